/*
 * crypt.c: crypt(5)'s schemes that still hold: bcrypt, SHA-256-crypt and SHA-512-crypt,
 * yescrypt, scrypt.
 *
 * The checks know each scheme's form and bound its cost, so that libcrypt is never asked about a
 * stored hash that is cut short, is one of its failure tokens ("*0"), or falls back to DES. The
 * work is done by crypt_rn(3), which shares nothing between threads. A password that libcrypt would
 * cut is hashed as far as it goes, for the time it takes, and never matches. Fails with HASH_ERROR
 * when there is no memory or this libcrypt was built without the scheme.
 */
#include "hash/scheme.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash/scan.h"
#include "base/secret.h"

enum {
    BCRYPT_COST_MIN = 4,
    BCRYPT_COST_MAX = 16, /* some 3 s */
    BCRYPT_SALT_LEN = 22,
    BCRYPT_DIGEST_LEN = 31,
    BCRYPT_PASSWORD_MAX = 72,

    SHACRYPT_ROUNDS_MIN = 1000,
    SHACRYPT_ROUNDS_MAX = 5000000, /* some 5 s; more for long passwords, which each round reads */
    SHACRYPT_SALT_MAX = 16,

    SCRYPT_SALT_MAX = 86, /* characters of 64 octets */

    DIGEST_256_LEN = 43, /* characters of 256 bits */
    DIGEST_512_LEN = 86
};

/* True where at holds a digest of len characters, with a '$' before it, and nothing more. */
static bool ends_in_digest(const char *at, size_t len)
{
    return scan_text(&at, "$") && scan_crypt64(&at, len, len) && *at == '\0';
}

size_t hash_bcrypt_check(const char *stored)
{
    const char *at = stored + strlen("$2a$"), *salt;
    int cost = 0;

    for (; *at >= '0' && *at <= '9' && cost < 100; at++)
        cost = cost * 10 + (*at - '0');
    if (at != stored + strlen("$2a$10") || cost < BCRYPT_COST_MIN || cost > BCRYPT_COST_MAX ||
        !scan_text(&at, "$"))
        return 0;
    salt = at;
    if (!scan_crypt64(
            &at, BCRYPT_SALT_LEN + BCRYPT_DIGEST_LEN, BCRYPT_SALT_LEN + BCRYPT_DIGEST_LEN) ||
        *at != '\0')
        return 0;
    return (size_t)(salt - stored);
}

/* A salt of SHA-crypt is free text; these are the characters that libcrypt takes and that cannot
 * end it. */
static bool scan_shacrypt_salt(const char **at_io)
{
    size_t len = 0;

    while ((*at_io)[len] > ' ' && (*at_io)[len] <= '~' && strchr("$:;*!\\", (*at_io)[len]) == NULL)
        len++;
    *at_io += len;
    return len <= SHACRYPT_SALT_MAX;
}

size_t hash_shacrypt_check(const char *stored)
{
    const char *at = stored + strlen("$5$"), *salt;
    uint32_t rounds;

    if (scan_text(&at, "rounds=") &&
        !(scan_number(&at, SHACRYPT_ROUNDS_MIN, SHACRYPT_ROUNDS_MAX, &rounds) &&
            scan_text(&at, "$")))
        return 0;
    salt = at;
    if (!scan_shacrypt_salt(&at) ||
        !ends_in_digest(at, stored[1] == '5' ? DIGEST_256_LEN : DIGEST_512_LEN))
        return 0;
    return (size_t)(salt - stored);
}

/*
 * Four characters hold three octets, the lowest bits first: the last character of a shorter group
 * has bits to spare, which libcrypt wants clear.
 */
static bool scan_yescrypt_salt(const char **at_io)
{
    static const int last_below[] = {64, 0, 4, 16}; /* by the length of the last group, 0 for 4 */
    const char *start = *at_io;

    return scan_crypt64(at_io, 1, SCRYPT_SALT_MAX) &&
           scan_crypt64_value((*at_io)[-1]) < last_below[(*at_io - start) % 4];
}

/*
 * The three characters of parameters that crypt_gensalt(3) writes: flavour 'j', log2 N - 1, r - 1.
 * The format knows more of them, and longer ones; no program writes those, and what is not read
 * here can't be bounded.
 */
size_t hash_yescrypt_check(const char *stored)
{
    enum { ONE_CHARACTER = 48 }; /* values from here on take more characters than one */
    const char *at = stored + strlen("$y$"), *salt;
    int n, r;

    if (!scan_text(&at, "j"))
        return 0;
    n = scan_crypt64_value(at[0]);
    r = n < 0 ? -1 : scan_crypt64_value(at[1]);
    if (n < 0 || n >= ONE_CHARACTER || r < 0 || r >= ONE_CHARACTER || at[2] != '$' ||
        !hash_scrypt_affordable((uint32_t)n + 1, (uint32_t)r + 1, 1))
        return 0;
    at += 3;
    salt = at;
    if (!scan_yescrypt_salt(&at) || !ends_in_digest(at, DIGEST_256_LEN))
        return 0;
    return (size_t)(salt - stored);
}

/* 30 bits in five characters, the lowest first. */
static bool scan_30_bits(const char **at_io, uint32_t *value_r)
{
    uint32_t value = 0;

    for (unsigned shift = 0; shift < 30; shift += 6) {
        int six = scan_crypt64_value(**at_io);

        if (six < 0)
            return false;
        value |= (uint32_t)six << shift;
        *at_io += 1;
    }
    *value_r = value;
    return true;
}

size_t hash_crypt_scrypt_check(const char *stored)
{
    const char *at = stored + strlen("$7$"), *salt;
    int n_log2 = scan_crypt64_value(*at);
    uint32_t r, p;

    if (n_log2 < 0)
        return 0;
    at++;
    if (!scan_30_bits(&at, &r) || !scan_30_bits(&at, &p) ||
        !hash_scrypt_affordable((uint32_t)n_log2, r, p))
        return 0;
    salt = at;
    if (!scan_crypt64(&at, 1, SCRYPT_SALT_MAX) || !ends_in_digest(at, DIGEST_256_LEN))
        return 0;
    return (size_t)(salt - stored);
}

/* How many characters at the end of a checked hash are its digest. */
static size_t digest_len(const char *stored)
{
    const char *dollar = strrchr(stored, '$');

    return stored[1] == '2' ? (size_t)BCRYPT_DIGEST_LEN : strlen(dollar + 1);
}

/*
 * Compares digests only: a bcrypt salt's last character has bits to spare, which libcrypt clears in
 * its answer and other programs leave set.
 */
static enum hash_result compare(const char *stored, const char *made, bool whole)
{
    size_t len = strlen(stored), tail = digest_len(stored);

    if (strlen(made) != len)
        return HASH_UNUSABLE;
    return secret_equal(stored + len - tail, made + len - tail, tail) && whole ? HASH_MATCH
                                                                               : HASH_MISMATCH;
}

enum hash_result hash_crypt_verify(const char *stored, const char *password, size_t password_len)
{
    size_t limit = stored[1] == '2' ? (size_t)BCRYPT_PASSWORD_MAX : CRYPT_MAX_PASSPHRASE_SIZE - 1;
    size_t len = password_len < limit ? password_len : limit;
    char phrase[CRYPT_MAX_PASSPHRASE_SIZE] = {0};
    struct crypt_data *data = calloc(1, sizeof(*data));
    enum hash_result result = HASH_ERROR;
    const char *made;

    if (data == NULL)
        return HASH_ERROR;
    memcpy(phrase, password, len);
    made = crypt_rn(phrase, stored, data, (int)sizeof(*data));
    if (made != NULL)
        result = compare(stored, made, len == password_len);
    else if (errno == EINVAL)
        result = HASH_UNUSABLE;
    secret_wipe(phrase, sizeof(phrase));
    secret_wipe(data, sizeof(*data));
    free(data);
    return result;
}
