/*
 * hash.c: finds the scheme of a stored hash by its prefix and lets it verify.
 *
 * One row a scheme. A hash that no row's check() passes denies every password and costs no work.
 * Never matches by default: each result but the scheme's own match is a denial.
 */
#include "hash.h"

#include <string.h>

#include "hash_scheme.h"

static const struct scheme schemes[] = {
    {"$2a$", '.', hash_bcrypt_check, hash_crypt_verify},
    {"$2b$", '.', hash_bcrypt_check, hash_crypt_verify},
    {"$2y$", '.', hash_bcrypt_check, hash_crypt_verify},
    {"$y$", '.', hash_yescrypt_check, hash_crypt_verify},
    {"$7$", '.', hash_crypt_scrypt_check, hash_crypt_verify},
    {"$6$", '.', hash_shacrypt_check, hash_crypt_verify},
    {"$5$", '.', hash_shacrypt_check, hash_crypt_verify},
    {"$argon2id$", 'A', hash_argon2_check, hash_argon2_verify},
    {"$argon2i$", 'A', hash_argon2_check, hash_argon2_verify},
    {"$argon2d$", 'A', hash_argon2_check, hash_argon2_verify},
    {"SCRAM-SHA-256$", 'A', hash_scram_check, hash_scram_verify},
};

/* Scheme and cost of the decoy where no other is known: what gen_salt('bf', 10) and most panels
 * make. */
static const char common_hash[] = "$2b$10$.....................................................";

/* The row of a well-formed hash, with the length of its parameters; NULL where it is unusable. */
static const struct scheme *find(const char *stored, size_t *parameters_r)
{
    if (stored == NULL || strnlen(stored, HASH_MAX) == HASH_MAX)
        return NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(stored, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            *parameters_r = schemes[i].check(stored);
            return *parameters_r > 0 ? &schemes[i] : NULL;
        }
    return NULL;
}

enum hash_result hash_verify(const char *stored, const char *password, size_t password_len)
{
    size_t parameters;
    const struct scheme *scheme = find(stored, &parameters);

    if (scheme == NULL)
        return HASH_UNUSABLE;
    return scheme->verify(
        stored, password == NULL ? "" : password, password == NULL ? 0 : password_len);
}

bool hash_usable(const char *stored)
{
    size_t parameters;

    return find(stored, &parameters) != NULL;
}

void hash_decoy(const char *like, char *decoy_r, size_t cap)
{
    size_t parameters = 0;
    const struct scheme *scheme = find(like, &parameters);

    if (scheme == NULL) {
        like = common_hash;
        scheme = find(like, &parameters);
    }
    if (cap < strlen(like) + 1) {
        if (cap > 0)
            decoy_r[0] = '\0';
        return;
    }
    memcpy(decoy_r, like, strlen(like) + 1);
    for (char *at = decoy_r + parameters; *at != '\0'; at++)
        if (strchr("$:=", *at) == NULL)
            *at = scheme->zero;
}
