/*
 * scrypt.c: scrypt (RFC 7914) as passlib writes it: "$scrypt$ln=16,r=8,p=1$<salt>$<digest>".
 *
 * crypt(3)'s form of scrypt, "$7$", is hash_crypt.c's. Memory and work are bounded alike for both
 * by hash_scrypt_affordable(). Fails with HASH_ERROR when there is no memory or OpenSSL fails.
 */
#include "hash/scheme.h"

#include <string.h>

#include <openssl/evp.h>

#include "hash/scan.h"
#include "base/secret.h"

enum {
    SCRYPT_DIGEST_LEN = 32,
    SCRYPT_N_LOG2_MIN = 2, /* libcrypt takes no less */
    SCRYPT_N_LOG2_MAX = 30,
    SCRYPT_BLOCK = 128 /* octets of memory per unit of N and r */
};

struct fields {
    uint32_t n_log2, r, p;
    size_t params_len; /* octets before the salt */
    uint8_t salt_data[HASH_BYTES_MAX], digest_data[SCRYPT_DIGEST_LEN];
    struct scan_bytes salt, digest;
};

bool hash_scrypt_affordable(uint32_t n_log2, uint32_t r, uint32_t p)
{
    /* N r p blocks are written and read once more: the bound on memory bounds the work too. */
    return n_log2 >= SCRYPT_N_LOG2_MIN && n_log2 <= SCRYPT_N_LOG2_MAX && r >= 1 && p >= 1 &&
           n_log2 / 16 < r && (uint64_t)r * p <= (HASH_MEMORY_MAX / SCRYPT_BLOCK) >> n_log2;
}

static bool parse(const char *stored, struct fields *fields_r)
{
    struct fields *f = fields_r;
    const char *at = stored;

    f->salt = (struct scan_bytes){f->salt_data, sizeof(f->salt_data), 0};
    f->digest = (struct scan_bytes){f->digest_data, sizeof(f->digest_data), 0};
    if (!scan_text(&at, "$scrypt$ln=") ||
        !scan_number(&at, SCRYPT_N_LOG2_MIN, SCRYPT_N_LOG2_MAX, &f->n_log2) ||
        !scan_text(&at, ",r=") || !scan_number(&at, 1, UINT32_MAX, &f->r) ||
        !scan_text(&at, ",p=") || !scan_number(&at, 1, UINT32_MAX, &f->p) || !scan_text(&at, "$") ||
        !hash_scrypt_affordable(f->n_log2, f->r, f->p))
        return false;
    f->params_len = (size_t)(at - stored);
    return scan_bytes(&at, SCAN_BASE64_BARE, '$', &f->salt) && f->salt.len > 0 &&
           scan_bytes(&at, SCAN_BASE64_BARE, '\0', &f->digest) &&
           f->digest.len == SCRYPT_DIGEST_LEN;
}

size_t hash_scrypt_check(const char *stored)
{
    struct fields fields;
    size_t params_len = parse(stored, &fields) ? fields.params_len : 0;

    secret_wipe(&fields, sizeof(fields));
    return params_len;
}

enum hash_result hash_scrypt_verify(const char *stored, const char *password, size_t password_len)
{
    struct fields fields;
    uint8_t made[SCRYPT_DIGEST_LEN];
    enum hash_result result = HASH_UNUSABLE;

    if (!parse(stored, &fields))
        goto out;
    result = HASH_ERROR;
    /* OpenSSL's limit covers its own p blocks too; ours was kept above. */
    if (EVP_PBE_scrypt(password, password_len, fields.salt.data, fields.salt.len,
            (uint64_t)1 << fields.n_log2, fields.r, fields.p, 2 * HASH_MEMORY_MAX, made,
            sizeof(made)) == 1)
        result = secret_equal(made, fields.digest.data, sizeof(made)) ? HASH_MATCH : HASH_MISMATCH;
out:
    secret_wipe(made, sizeof(made));
    secret_wipe(&fields, sizeof(fields));
    return result;
}
