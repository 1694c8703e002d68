/*
 * scheme.h: what the hash_*.c files share: the row that a scheme fills in the table of hash.c.
 *
 * Internal to hash*.c. A stored hash reaches a scheme NUL-terminated, shorter than HASH_MAX and in
 * its plain form (hash_dovecot_plain()), beginning with the scheme's prefix.
 */
#ifndef PGSASL_HASH_SCHEME_H
#define PGSASL_HASH_SCHEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash/hash.h"

/*
 * Work is bounded alike for all schemes: the memory of one hash, and the memory touched in all
 * passes of it, in octets. Iterations of schemes without memory are bounded by HASH_ITERATIONS_MAX.
 */
#define HASH_MEMORY_MAX ((uint64_t)1 << 30)
#define HASH_TRAFFIC_MAX ((uint64_t)16 << 30)

enum {
    HASH_ITERATIONS_MAX = 10000000,
    HASH_BYTES_MAX = HASH_MAX / 4 * 3 /* octets that the longest stored hash can decode to */
};

struct scheme {
    const char *prefix;
    char zero; /* the character that stands for zero bits in the scheme's salt and digest */

    /*
     * The number of octets of stored that say scheme and parameters, salt and digest standing after
     * them; 0 where stored is malformed or asks for too much work.
     */
    size_t (*check)(const char *stored);

    /* Does the work and compares. check() has passed. password is never NULL. */
    enum hash_result (*verify)(const char *stored, const char *password, size_t password_len);
};

/*
 * Writes the plain form of stored, which begins with '{' and is shorter than HASH_MAX. False where
 * the prefix is none that is accepted; plain_r is wiped by the caller in either case.
 */
bool hash_dovecot_plain(const char *stored, char plain_r[HASH_MAX]);

size_t hash_bcrypt_check(const char *stored);
size_t hash_shacrypt_check(const char *stored);
size_t hash_yescrypt_check(const char *stored);
size_t hash_crypt_scrypt_check(const char *stored);
enum hash_result hash_crypt_verify(const char *stored, const char *password, size_t password_len);

size_t hash_argon2_check(const char *stored);
enum hash_result hash_argon2_verify(const char *stored, const char *password, size_t password_len);

size_t hash_digest_check(const char *stored);
enum hash_result hash_digest_verify(const char *stored, const char *password, size_t password_len);

size_t hash_pbkdf2_check(const char *stored);
enum hash_result hash_pbkdf2_verify(const char *stored, const char *password, size_t password_len);

size_t hash_scram_check(const char *stored);
enum hash_result hash_scram_verify(const char *stored, const char *password, size_t password_len);

size_t hash_scrypt_check(const char *stored);
enum hash_result hash_scrypt_verify(const char *stored, const char *password, size_t password_len);

/* True where scrypt, or yescrypt, with these parameters exists and keeps to the bounds. */
bool hash_scrypt_affordable(uint32_t n_log2, uint32_t r, uint32_t p);

#endif
