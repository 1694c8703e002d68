/*
 * digest.c: one salted SHA-2: "{SSHA256}" and "{SSHA512}" of Dovecot and LDAP servers.
 *
 * What follows the prefix is digest and salt as one run of octets, in base64, or in hex where the
 * prefix says ".HEX". Fast to guess, and taken only so that a table can move over as it is; a
 * digest without a salt is refused. Fails with HASH_ERROR when OpenSSL does.
 */
#include "hash/scheme.h"

#include <string.h>

#include <openssl/evp.h>

#include "hash/scan.h"
#include "base/secret.h"

struct form {
    const char *prefix;
    const EVP_MD *(*function)(void);
    enum scan_form form;
};

static const struct form forms[] = {
    {"{SSHA256}", EVP_sha256, SCAN_BASE64},
    {"{SSHA512}", EVP_sha512, SCAN_BASE64},
    {"{SSHA256.HEX}", EVP_sha256, SCAN_HEX},
    {"{SSHA512.HEX}", EVP_sha512, SCAN_HEX},
};

struct fields {
    const struct form *form;
    size_t digest_len;
    uint8_t data[HASH_BYTES_MAX];
    struct scan_bytes bytes; /* the digest, then the salt */
};

static bool parse(const char *stored, struct fields *fields_r)
{
    struct fields *f = fields_r;

    f->bytes = (struct scan_bytes){f->data, sizeof(f->data), 0};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *at = stored;

        if (!scan_text(&at, forms[i].prefix))
            continue;
        f->form = &forms[i];
        f->digest_len = (size_t)EVP_MD_get_size(forms[i].function());
        return scan_bytes(&at, forms[i].form, '\0', &f->bytes) && f->bytes.len > f->digest_len;
    }
    return false;
}

size_t hash_digest_check(const char *stored)
{
    struct fields fields;
    size_t params_len = parse(stored, &fields) ? strlen(fields.form->prefix) : 0;

    secret_wipe(&fields, sizeof(fields));
    return params_len;
}

static bool digest(
    const struct fields *fields, const char *password, size_t password_len, uint8_t *made_r)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const uint8_t *salt = fields->data + fields->digest_len;
    size_t salt_len = fields->bytes.len - fields->digest_len;
    bool done = context != NULL &&
                EVP_DigestInit_ex(context, fields->form->function(), NULL) == 1 &&
                EVP_DigestUpdate(context, password, password_len) == 1 &&
                EVP_DigestUpdate(context, salt, salt_len) == 1 &&
                EVP_DigestFinal_ex(context, made_r, NULL) == 1;

    EVP_MD_CTX_free(context);
    return done;
}

enum hash_result hash_digest_verify(const char *stored, const char *password, size_t password_len)
{
    struct fields fields;
    uint8_t made[EVP_MAX_MD_SIZE];
    enum hash_result result = HASH_UNUSABLE;

    if (!parse(stored, &fields))
        goto out;
    result = HASH_ERROR;
    if (digest(&fields, password, password_len, made))
        result = secret_equal(made, fields.data, fields.digest_len) ? HASH_MATCH : HASH_MISMATCH;
out:
    secret_wipe(made, sizeof(made));
    secret_wipe(&fields, sizeof(fields));
    return result;
}
