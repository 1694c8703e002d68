/*
 * scram_attempt.h: an attempt of SCRAM-SHA-256, in several steps: name, challenge, proof, verdict.
 *
 * Look-up, checks, audit, throttle and login stamps are those of an attempt with a password. Knows
 * nothing of SASL; the mechanism reads and writes the messages.
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
    /* The challenge, set when scram_begin() returns true. */
    uint8_t salt[HASH_SALT_MAX];
    size_t salt_len;
    unsigned iterations;
};

/*
 * Makes all checks but the proof's. True: send the challenge, even if the user does not exist or a
 * check has failed; a name without a verifier always gets the same salt and iteration count. False:
 * end with scram_finish(), because every name would fail now (the message is malformed, the
 * database is down, the client is throttled). *attempt is borrowed until one of the functions below
 * ends the attempt and wipes *scram. Blocks for at most pgsasl_timeout_ms.
 */
bool scram_begin(
    struct scram_attempt *scram, struct backend *backend, const struct attempt *attempt);

/*
 * Checks the proof for message, RFC 5802's AuthMessage. True: nothing has failed, and signature_r
 * is the ServerSignature; but only scram_finish() accepts the attempt.
 */
bool scram_prove(struct scram_attempt *scram, const char *message, size_t len,
    const uint8_t proof[SCRAM_KEY_BYTES], uint8_t signature_r[SCRAM_KEY_BYTES]);

/* Decides as auth_attempt() does. Blocks for at most what is left of pgsasl_timeout_ms. */
enum reason scram_finish(struct scram_attempt *scram);

/*
 * Ends an exchange that cannot continue, with REASON_MALFORMED_RESPONSE or
 * REASON_ABANDONED_EXCHANGE. detail may be NULL.
 */
enum reason scram_refuse(struct scram_attempt *scram, enum reason reason, const char *detail);

#endif
