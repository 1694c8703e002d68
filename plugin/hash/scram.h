/*
 * scram.h: what SCRAM-SHA-256 (RFC 5802, RFC 7677) needs of a stored verifier.
 *
 * Pure computation: reentrant, touches no global state, blocks for nothing. OpenSSL's error queue
 * is left as it was.
 */
#ifndef PGSASL_HASH_SCRAM_H
#define PGSASL_HASH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash/hash.h"

enum { SCRAM_KEY_BYTES = 32 };

/* True for a usable hash that is a SCRAM-SHA-256 verifier, PostgreSQL's or Dovecot's. */
bool scram_is_verifier(const struct hash *hash);

/* True for two verifiers with the same salt and iteration count: one challenge serves both. */
bool scram_same_challenge(const struct hash *one, const struct hash *other);

/*
 * Whether proof was made with the password of verifier for message, RFC 5802's AuthMessage.
 * HASH_MATCH, and then signature_r is the ServerSignature; HASH_MISMATCH; or HASH_ERROR. verifier
 * NULL: HASH_MISMATCH after the same work. Compares in constant time.
 */
enum hash_result scram_check_proof(const struct hash *verifier, const char *message, size_t len,
    const uint8_t proof[SCRAM_KEY_BYTES], uint8_t signature_r[SCRAM_KEY_BYTES]);

/*
 * Makes a key of a text that may hold a password, at such a cost (some 25 ms) that what is derived
 * from the key gives nobody a fast guess at the text. False: OpenSSL failed. The caller wipes.
 */
bool scram_stretch(const char *text, uint8_t key_r[SCRAM_KEY_BYTES]);

#endif
