/*
 * pbkdf2.c: PBKDF2 (RFC 8018) as passlib and Dovecot write it.
 *
 * passlib: "$pbkdf2-sha256$<rounds>$<salt>$<digest>", and sha512, in its base64 with '.' for '+'.
 * Dovecot: "{PBKDF2}$1$<salt>$<rounds>$<digest>", SHA-1, the salt as it stands, the digest in hex.
 * A digest must be as long as its function's: PBKDF2 is cut anywhere without a trace, and a digest
 * cut to nothing would match everything. Fails with HASH_ERROR when OpenSSL does.
 */
#include "hash/scheme.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "hash/scan.h"
#include "base/secret.h"

struct fields {
    const EVP_MD *function;
    uint32_t rounds;
    size_t params_len; /* octets before the first of salt and digest that a decoy may change */
    uint8_t salt_data[HASH_MAX], digest_data[EVP_MAX_MD_SIZE];
    struct scan_bytes salt, digest;
};

static bool scan_rounds(const char **at_io, struct fields *fields_io)
{
    return scan_number(at_io, 1, HASH_ITERATIONS_MAX, &fields_io->rounds) && scan_text(at_io, "$");
}

/* Dovecot's salt is drawn from letters and digits and hashed as these characters. */
static bool scan_plain_salt(const char **at_io, struct scan_bytes *salt_io)
{
    size_t len = strcspn(*at_io, "$");

    if (len == 0 || len > salt_io->cap)
        return false;
    memcpy(salt_io->data, *at_io, len);
    salt_io->len = len;
    *at_io += len;
    return scan_text(at_io, "$");
}

static bool parse_dovecot(const char *at, const char *stored, struct fields *f)
{
    f->function = EVP_sha1();
    if (!scan_plain_salt(&at, &f->salt) || !scan_rounds(&at, f))
        return false;
    f->params_len = (size_t)(at - stored);
    return scan_bytes(&at, SCAN_HEX, '\0', &f->digest);
}

static bool parse_passlib(const char *at, const char *stored, struct fields *f)
{
    if (!scan_rounds(&at, f))
        return false;
    f->params_len = (size_t)(at - stored);
    return scan_bytes(&at, SCAN_BASE64_DOT, '$', &f->salt) && f->salt.len > 0 &&
           scan_bytes(&at, SCAN_BASE64_DOT, '\0', &f->digest);
}

static bool parse(const char *stored, struct fields *fields_r)
{
    struct fields *f = fields_r;
    const char *at = stored;
    bool parsed = false;

    f->salt = (struct scan_bytes){f->salt_data, sizeof(f->salt_data), 0};
    f->digest = (struct scan_bytes){f->digest_data, sizeof(f->digest_data), 0};
    if (scan_text(&at, "{PBKDF2}$1$")) {
        parsed = parse_dovecot(at, stored, f);
    } else if (scan_text(&at, "$pbkdf2-sha256$")) {
        f->function = EVP_sha256();
        parsed = parse_passlib(at, stored, f);
    } else if (scan_text(&at, "$pbkdf2-sha512$")) {
        f->function = EVP_sha512();
        parsed = parse_passlib(at, stored, f);
    }
    return parsed && f->digest.len == (size_t)EVP_MD_get_size(f->function);
}

size_t hash_pbkdf2_check(const char *stored)
{
    struct fields fields;
    size_t params_len = parse(stored, &fields) ? fields.params_len : 0;

    secret_wipe(&fields, sizeof(fields));
    return params_len;
}

enum hash_result hash_pbkdf2_verify(const char *stored, const char *password, size_t password_len)
{
    struct fields fields;
    uint8_t made[EVP_MAX_MD_SIZE];
    enum hash_result result = HASH_UNUSABLE;

    if (!parse(stored, &fields) || password_len > INT_MAX)
        goto out;
    result = HASH_ERROR;
    if (PKCS5_PBKDF2_HMAC(password, (int)password_len, fields.salt.data, (int)fields.salt.len,
            (int)fields.rounds, fields.function, (int)fields.digest.len, made) == 1)
        result =
            secret_equal(made, fields.digest.data, fields.digest.len) ? HASH_MATCH : HASH_MISMATCH;
out:
    secret_wipe(made, sizeof(made));
    secret_wipe(&fields, sizeof(fields));
    return result;
}
