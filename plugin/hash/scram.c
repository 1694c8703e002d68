/*
 * scram.c: SCRAM-SHA-256 verifiers (RFC 5803, RFC 7677) in PostgreSQL's form,
 * "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>".
 *
 * The password is hashed as its octets stand. PostgreSQL normalises non-ASCII passwords by SASLprep
 * (RFC 4013) first, and keeps the octets where that fails; the tables for it are in no library used
 * here. So a non-ASCII password that SASLprep leaves as it is, which composed letters such as
 * U+00E9 are, matches; one that SASLprep changes (a ligature, a decomposed accent, a non-breaking
 * space) does not. ASCII passwords are never changed. Fails with HASH_ERROR when OpenSSL does.
 */
#include "hash/scheme.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "hash/scan.h"
#include "base/secret.h"

enum { KEY_LEN = SHA256_DIGEST_LENGTH };

struct fields {
    uint32_t iterations;
    size_t params_len; /* octets before the salt */
    uint8_t salt_data[HASH_BYTES_MAX], stored_data[KEY_LEN], server_data[KEY_LEN];
    struct scan_bytes salt, stored_key, server_key;
};

/* What a password comes to. */
struct keys {
    uint8_t salted[KEY_LEN], client[KEY_LEN], stored[KEY_LEN], server[KEY_LEN];
};

static bool parse(const char *stored, struct fields *fields_r)
{
    struct fields *f = fields_r;
    const char *at = stored;

    f->salt = (struct scan_bytes){f->salt_data, sizeof(f->salt_data), 0};
    f->stored_key = (struct scan_bytes){f->stored_data, sizeof(f->stored_data), 0};
    f->server_key = (struct scan_bytes){f->server_data, sizeof(f->server_data), 0};
    if (!scan_text(&at, "SCRAM-SHA-256$") ||
        !scan_number(&at, 1, HASH_ITERATIONS_MAX, &f->iterations) || !scan_text(&at, ":"))
        return false;
    f->params_len = (size_t)(at - stored);
    return scan_bytes(&at, SCAN_BASE64, '$', &f->salt) && f->salt.len > 0 &&
           scan_bytes(&at, SCAN_BASE64, ':', &f->stored_key) && f->stored_key.len == KEY_LEN &&
           scan_bytes(&at, SCAN_BASE64, '\0', &f->server_key) && f->server_key.len == KEY_LEN;
}

size_t hash_scram_check(const char *stored)
{
    struct fields fields;
    size_t params_len = parse(stored, &fields) ? fields.params_len : 0;

    secret_wipe(&fields, sizeof(fields));
    return params_len;
}

static bool hmac(const uint8_t key[KEY_LEN], const char *text, uint8_t out_r[KEY_LEN])
{
    unsigned len = 0;

    return HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)text, strlen(text), out_r,
               &len) != NULL &&
           len == KEY_LEN;
}

/* RFC 5802, section 3. */
static bool derive(
    const struct fields *fields, const char *password, int password_len, struct keys *keys_r)
{
    return PKCS5_PBKDF2_HMAC(password, password_len, fields->salt.data, (int)fields->salt.len,
               (int)fields->iterations, EVP_sha256(), KEY_LEN, keys_r->salted) == 1 &&
           hmac(keys_r->salted, "Client Key", keys_r->client) &&
           EVP_Digest(keys_r->client, KEY_LEN, keys_r->stored, NULL, EVP_sha256(), NULL) == 1 &&
           hmac(keys_r->salted, "Server Key", keys_r->server);
}

enum hash_result hash_scram_verify(const char *stored, const char *password, size_t password_len)
{
    struct fields fields;
    struct keys keys;
    enum hash_result result = HASH_UNUSABLE;

    if (!parse(stored, &fields) || password_len > INT_MAX)
        goto out;
    result = HASH_ERROR;
    if (derive(&fields, password, (int)password_len, &keys)) {
        bool client = secret_equal(keys.stored, fields.stored_key.data, KEY_LEN);
        bool server = secret_equal(keys.server, fields.server_key.data, KEY_LEN);

        result = client && server ? HASH_MATCH : HASH_MISMATCH;
    }
out:
    secret_wipe(&keys, sizeof(keys));
    secret_wipe(&fields, sizeof(fields));
    return result;
}
