/*
 * scheme.h: what a scheme is: a row of schemes.def, and a function that makes digests.
 *
 * Internal to hash/ and its tests.
 */
#ifndef PGSASL_HASH_SCHEME_H
#define PGSASL_HASH_SCHEME_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash/hash.h"
#include "hash/scan.h"

/* Work is bounded alike for all schemes; schemes.def says for each how its numbers keep to it. */
#define HASH_ROUNDS_MAX UINT64_C(10000000)      /* iterations of a scheme without memory */
#define HASH_MEMORY_KIB_MAX UINT64_C(1048576)   /* of one hash: 1 GiB */
#define HASH_TRAFFIC_KIB_MAX UINT64_C(16777216) /* memory touched in all passes: 16 GiB */
/* N r p: 1 GiB in blocks of 128 bytes, each written and read once more, which bounds the work. */
#define HASH_SCRYPT_BLOCKS_MAX UINT64_C(8388608)

/* The password_max of a scheme that reads all of it: PBKDF2's interface counts in int. */
#define HASH_PASSWORD_MAX INT_MAX

enum derive_result {
    DERIVE_FAILED = 0, /* no memory or a library failure */
    DERIVE_REFUSED,    /* the library does not know such a hash */
    DERIVE_DONE
};

/*
 * Writes the digest of password, hash->digest_len bytes of it, as hash says. password is never NULL
 * and never longer than the scheme's password_max. Wipes what else it made of the password.
 */
typedef enum derive_result derive_function(const struct hash *hash, const char *password,
    size_t password_len, uint8_t digest_r[HASH_DIGEST_MAX]);

#define SCHEME(id, prefix, form, bounds, memory, work, zero, password_max, derive, manual) \
    derive_function derive_##derive;
#include "hash/schemes.def"

/* A row of the list; see schemes.def. */
struct scheme {
    const char *name, *prefix;
    const struct scan_part *form;
    bool (*is_bounded)(const struct hash_numbers *n);
    struct hash_cost (*cost)(const struct hash_numbers *n);
    char zero;
    size_t password_max;
    derive_function *derive;
};

/* The schemes one by one; NULL after the last. */
const struct scheme *hash_scheme(size_t i);

/*
 * Writes the plain form of stored, which begins with '{' and is shorter than HASH_MAX. False where
 * the prefix is not accepted or does not suit what follows; plain_r is wiped by the caller in
 * either case.
 */
bool hash_unwrap(const char *stored, char plain_r[HASH_MAX]);

#endif
