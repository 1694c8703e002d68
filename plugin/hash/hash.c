/*
 * hash.c: finds a stored hash's scheme and lets it do the work.
 *
 * The table below is the whole list of what is accepted; anything else denies every password.
 * Whatever a scheme finds, a stored hash that its check refuses is never hashed against and so
 * never matches. OpenSSL's error queue, which the host reads after its own TLS calls, is left as it
 * was.
 */
#include "hash/hash.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "hash/scheme.h"
#include "base/secret.h"

static const struct scheme schemes[] = {
    {"$y$", '.', hash_yescrypt_check, hash_crypt_verify},
    {"$7$", '.', hash_crypt_scrypt_check, hash_crypt_verify},
    {"$2a$", '.', hash_bcrypt_check, hash_crypt_verify},
    {"$2b$", '.', hash_bcrypt_check, hash_crypt_verify},
    {"$2y$", '.', hash_bcrypt_check, hash_crypt_verify},
    {"$6$", '.', hash_shacrypt_check, hash_crypt_verify},
    {"$5$", '.', hash_shacrypt_check, hash_crypt_verify},
    {"$argon2id$", 'A', hash_argon2_check, hash_argon2_verify},
    {"$argon2i$", 'A', hash_argon2_check, hash_argon2_verify},
    {"$argon2d$", 'A', hash_argon2_check, hash_argon2_verify},
    {"SCRAM-SHA-256$", 'A', hash_scram_check, hash_scram_verify},
    {"$pbkdf2-sha256$", 'A', hash_pbkdf2_check, hash_pbkdf2_verify},
    {"$pbkdf2-sha512$", 'A', hash_pbkdf2_check, hash_pbkdf2_verify},
    {"{PBKDF2}", '0', hash_pbkdf2_check, hash_pbkdf2_verify},
    {"$scrypt$", 'A', hash_scrypt_check, hash_scrypt_verify},
    {"{SSHA256}", 'A', hash_digest_check, hash_digest_verify},
    {"{SSHA512}", 'A', hash_digest_check, hash_digest_verify},
    {"{SSHA256.HEX}", '0', hash_digest_check, hash_digest_verify},
    {"{SSHA512.HEX}", '0', hash_digest_check, hash_digest_verify},
};

/* Against which everybody is verified where the table holds nothing to go by. */
static const char FALLBACK[] = "$2b$10$......................"    /* salt */
                               "..............................."; /* digest */

/*
 * Writes stored in its plain form and finds its scheme. *params_len_r is what check() says. NULL
 * where stored is unusable. plain_r holds what is to be wiped in either case.
 */
static const struct scheme *find(const char *stored, char plain_r[HASH_MAX], size_t *params_len_r)
{
    plain_r[0] = '\0';
    if (stored == NULL || strnlen(stored, HASH_MAX) == HASH_MAX)
        return NULL;
    if (stored[0] != '{')
        snprintf(plain_r, HASH_MAX, "%s", stored);
    else if (!hash_dovecot_plain(stored, plain_r))
        return NULL;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncmp(plain_r, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            *params_len_r = schemes[i].check(plain_r);
            return *params_len_r > 0 ? &schemes[i] : NULL;
        }
    }
    return NULL;
}

enum hash_result hash_verify(const char *stored, const char *password, size_t password_len)
{
    char plain[HASH_MAX];
    size_t params_len;
    const struct scheme *scheme = find(stored, plain, &params_len);
    enum hash_result result = HASH_UNUSABLE;

    if (password_len == 0)
        password = "";
    if (scheme != NULL) {
        ERR_set_mark();
        result = scheme->verify(plain, password, password_len);
        ERR_pop_to_mark();
    }
    /* crypt(3) stops at a NUL, and HMAC pads with them: it would be a second spelling. */
    if (result == HASH_MATCH && memchr(password, '\0', password_len) != NULL)
        result = HASH_MISMATCH;
    secret_wipe(plain, sizeof(plain));
    return result;
}

bool hash_usable(const char *stored)
{
    char plain[HASH_MAX];
    size_t params_len;
    bool usable = find(stored, plain, &params_len) != NULL;

    secret_wipe(plain, sizeof(plain));
    return usable;
}

void hash_decoy(const char *like, char *decoy_r, size_t cap)
{
    char plain[HASH_MAX];
    size_t params_len = 0;
    const struct scheme *scheme = find(like, plain, &params_len);

    for (char *c = plain + params_len; scheme != NULL && *c != '\0'; c++) {
        if (strchr("$:=", *c) == NULL)
            *c = scheme->zero;
    }
    if (cap > 0)
        snprintf(decoy_r, cap, "%s", scheme != NULL ? plain : FALLBACK);
    secret_wipe(plain, sizeof(plain));
}
