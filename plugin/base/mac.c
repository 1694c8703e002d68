/*
 * mac.c: HMAC-SHA-256 by OpenSSL's EVP_MAC(3).
 *
 * struct mac is never defined: it is OpenSSL's context under our name. Errors are return values.
 */
#include "base/mac.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

static EVP_MAC_CTX *context_of(struct mac *mac)
{
    return (EVP_MAC_CTX *)mac;
}

struct mac *mac_new(const uint8_t *key, size_t key_len)
{
    char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);

    EVP_MAC_free(hmac);
    if (context != NULL && EVP_MAC_init(context, key, key_len, params) != 1) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return (struct mac *)context;
}

struct mac *mac_dup(const struct mac *mac)
{
    return (struct mac *)EVP_MAC_CTX_dup((const EVP_MAC_CTX *)mac);
}

void mac_free(struct mac *mac)
{
    EVP_MAC_CTX_free(context_of(mac));
}

bool mac_add(struct mac *mac, const void *data, size_t len)
{
    return len == 0 || EVP_MAC_update(context_of(mac), data, len) == 1;
}

bool mac_add_field(struct mac *mac, const void *data, size_t len)
{
    uint64_t prefix = len;

    return mac_add(mac, &prefix, sizeof prefix) && mac_add(mac, data, len);
}

bool mac_finish(struct mac *mac, uint8_t out_r[MAC_BYTES])
{
    size_t len = 0;
    bool made = EVP_MAC_final(context_of(mac), out_r, &len, MAC_BYTES) == 1 && len == MAC_BYTES;

    mac_free(mac);
    return made;
}

void mac_mark(void)
{
    ERR_set_mark();
}

void mac_forget_errors(void)
{
    ERR_pop_to_mark();
}
