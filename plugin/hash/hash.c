/*
 * hash.c: parses a stored hash by its scheme's form, and compares a password's digest with it.
 *
 * What schemes.def lists is all that is accepted; anything else denies every password. This is the
 * only place that compares digests.
 */
#include "hash/hash.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "hash/scheme.h"
#include "base/secret.h"

#define SCHEME(id, prefix, form, bounds, memory, work, zero, password_max, derive, manual) \
    static bool id##_is_bounded(const struct hash_numbers *n)                              \
    {                                                                                      \
        (void)n;                                                                           \
        return bounds;                                                                     \
    }                                                                                      \
    static struct hash_cost id##_cost(const struct hash_numbers *n)                        \
    {                                                                                      \
        (void)n;                                                                           \
        return (struct hash_cost){memory, work};                                           \
    }
#include "hash/schemes.def"

/* clang-format off */
#define FORM(...) (const struct scan_part[]){__VA_ARGS__, {.kind = SCAN_DONE}}
#define TEXT(literal) {.kind = SCAN_TEXT, .text = (literal)}
#define OPTION(literal) {.kind = SCAN_OPTION, .text = (literal)}
#define END {.kind = SCAN_END}
#define NUMBER_AS(how, name, low, high) \
    {.kind = (how), .number = offsetof(struct hash_numbers, name), .min = (low), .max = (high)}
#define NUMBER(name, low, high) NUMBER_AS(SCAN_NUMBER, name, low, high)
#define TWO_DIGITS(name, low, high) NUMBER_AS(SCAN_TWO_DIGITS, name, low, high)
#define CHAR64(name, low, high) NUMBER_AS(SCAN_CHAR64, name, low, high)
#define CHARS64(name, low, high) NUMBER_AS(SCAN_CHARS64, name, low, high)
#define SALT(in, low, high) \
    {.kind = SCAN_SALT, .alphabet = SCAN_##in, .min = (low), .max = (high)}
#define DIGEST(in, low, high) \
    {.kind = SCAN_DIGEST, .alphabet = SCAN_##in, .min = (low), .max = (high)}
#define DIGEST_AND_SALT(in, len, low, high) \
    {.kind = SCAN_DIGEST_AND_SALT, .alphabet = SCAN_##in, .digest_len = (len), .min = (low), .max = (high)}

static const struct scheme schemes[] = {
#define SCHEME(id, prefix, form, bounds, memory, work, zero, password_max, derive, manual) \
    {#id, prefix, form, id##_is_bounded, id##_cost, zero, password_max, derive_##derive},
#include "hash/schemes.def"
};
/* clang-format on */

/* The decoy before any stored hash has been seen. */
static const char FALLBACK[] = "$2b$10$......................"    /* salt */
                               "..............................."; /* digest */

const struct scheme *hash_scheme(size_t i)
{
    return i < sizeof schemes / sizeof *schemes ? &schemes[i] : NULL;
}

static bool make_plain(const char *stored, char plain_r[HASH_MAX])
{
    if (stored == NULL || strnlen(stored, HASH_MAX) == HASH_MAX)
        return false;
    if (stored[0] == '{')
        return hash_unwrap(stored, plain_r);
    memcpy(plain_r, stored, strlen(stored) + 1);
    return true;
}

static const struct scheme *find_scheme(const char *plain)
{
    const struct scheme *scheme;

    for (size_t i = 0; (scheme = hash_scheme(i)) != NULL; i++)
        if (strncmp(plain, scheme->prefix, strlen(scheme->prefix)) == 0)
            return scheme;
    return NULL;
}

bool hash_parse(const char *stored, struct hash *hash_r)
{
    const struct scheme *scheme;

    memset(hash_r, 0, sizeof *hash_r);
    scheme = make_plain(stored, hash_r->text) ? find_scheme(hash_r->text) : NULL;
    if (scheme != NULL && scan_form(scheme->form, strlen(scheme->prefix), hash_r) &&
        scheme->is_bounded(&hash_r->numbers)) {
        hash_r->scheme = scheme;
        return true;
    }
    hash_wipe(hash_r);
    return false;
}

bool hash_is_usable(const struct hash *hash)
{
    return hash != NULL && hash->scheme != NULL;
}

struct hash_cost hash_cost(const struct hash *hash)
{
    return hash->scheme->cost(&hash->numbers);
}

const char *hash_excess(const struct hash *hash, const struct hash_cost *ceiling)
{
    struct hash_cost cost = hash_cost(hash);

    if (cost.memory_kib > ceiling->memory_kib)
        return "the stored hash takes more memory than pgsasl_hash_max_memory_kb";
    if (cost.work_ms > ceiling->work_ms)
        return "the stored hash takes more time than pgsasl_hash_max_ms";
    return NULL;
}

static enum hash_result compare(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *made)
{
    const size_t max = hash->scheme->password_max;
    const bool whole = password_len <= max && memchr(password, '\0', password_len) == NULL;

    switch (hash->scheme->derive(hash, password, password_len <= max ? password_len : max, made)) {
    case DERIVE_DONE:
        /* crypt(3) stops at a NUL, and HMAC pads with them: it would be a second spelling. */
        return secret_equal(made, hash->digest, hash->digest_len) && whole ? HASH_MATCH
                                                                           : HASH_MISMATCH;
    case DERIVE_REFUSED:
        return HASH_UNUSABLE;
    case DERIVE_FAILED:
        break;
    }
    return HASH_ERROR;
}

enum hash_result hash_verify(const struct hash *hash, const char *password, size_t password_len)
{
    uint8_t made[HASH_DIGEST_MAX] = {0};
    enum hash_result result;

    if (!hash_is_usable(hash))
        return HASH_UNUSABLE;
    ERR_set_mark();
    result = compare(hash, password_len == 0 ? "" : password, password_len, made);
    ERR_pop_to_mark();
    secret_wipe(made, sizeof made);
    return result;
}

void hash_decoy(const struct hash *like, struct hash *decoy_r)
{
    if (!hash_is_usable(like)) {
        (void)hash_parse(FALLBACK, decoy_r);
        return;
    }
    if (decoy_r != like)
        *decoy_r = *like;
    for (char *c = decoy_r->text + decoy_r->params_len; *c != '\0'; c++)
        if (strchr("$:,=", *c) == NULL)
            *c = decoy_r->scheme->zero;
    memset(decoy_r->digest, 0, sizeof decoy_r->digest);
    if (decoy_r->salt_at >= decoy_r->params_len)
        memset(decoy_r->salt, 0, sizeof decoy_r->salt);
}

void hash_wipe(struct hash *hash)
{
    secret_wipe(hash, sizeof *hash);
}
