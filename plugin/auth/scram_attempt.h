/*
 * scram_attempt.h: an attempt of SCRAM-SHA-256, which is decided in several steps: the name, the
 * challenge, the proof, the verdict.
 *
 * Same look-up, checks, audit, throttle and login stamps as an attempt with a password. Knows
 * nothing of SASL; the messages are the mechanism's.
 */
#ifndef PGSASL_AUTH_SCRAM_ATTEMPT_H
#define PGSASL_AUTH_SCRAM_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/run.h"
#include "hash/scram.h"

/* Wiped when the attempt ends. */
struct scram_attempt {
    struct auth_run run;
    /* The challenge, once scram_begin() has returned true. */
    uint8_t salt[HASH_SALT_MAX];
    size_t salt_len;
    unsigned iterations;
};

/*
 * Makes all checks but the proof's. True: go on with the challenge, whoever was looked up and
 * whatever has failed; a name without a verifier has a salt and an iteration count of its own, the
 * same each time. False: everybody would hear the same now (the message is malformed, the database
 * is down, the client is throttled): end it with scram_finish(). *attempt is borrowed until then;
 * after one of the three ends below *scram is wiped. Blocks for at most pgsasl_timeout_ms.
 */
bool scram_begin(
    struct scram_attempt *scram, struct backend *backend, const struct attempt *attempt);

/*
 * Checks the proof for message, RFC 5802's AuthMessage. True: nothing has failed, and signature_r
 * is the ServerSignature; the attempt is accepted by scram_finish() alone.
 */
bool scram_prove(struct scram_attempt *scram, const char *message, size_t len,
    const uint8_t proof[SCRAM_KEY_BYTES], uint8_t signature_r[SCRAM_KEY_BYTES]);

/* Decides as auth_attempt() does. Blocks for at most what is left of pgsasl_timeout_ms. */
enum reason scram_finish(struct scram_attempt *scram);

/* The same where the exchange cannot go on: REASON_MALFORMED_RESPONSE or
 * REASON_ABANDONED_EXCHANGE. detail may be NULL. */
enum reason scram_refuse(struct scram_attempt *scram, enum reason reason, const char *detail);

#endif
