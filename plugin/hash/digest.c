/*
 * digest.c: one salted SHA-2: "{SSHA256}" and "{SSHA512}" of Dovecot and LDAP servers.
 *
 * The digest's length says which SHA-2. Fails when OpenSSL does.
 */
#include "hash/scheme.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum derive_result derive_digest(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    const EVP_MD *sha2 = hash->digest_len == SHA256_DIGEST_LENGTH ? EVP_sha256() : EVP_sha512();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, sha2, NULL) == 1 &&
                EVP_DigestUpdate(context, password, password_len) == 1 &&
                EVP_DigestUpdate(context, hash->salt, hash->salt_len) == 1 &&
                EVP_DigestFinal_ex(context, digest_r, NULL) == 1;

    EVP_MD_CTX_free(context);
    return done ? DERIVE_DONE : DERIVE_FAILED;
}
