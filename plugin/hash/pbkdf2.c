/*
 * pbkdf2.c: PBKDF2 (RFC 8018) as passlib and Dovecot write it.
 *
 * The digest is as long as that of the function below it, which is how the function is known. Fails
 * when OpenSSL does.
 */
#include "hash/scheme.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

static const EVP_MD *sha_of_length(size_t len)
{
    if (len == SHA512_DIGEST_LENGTH)
        return EVP_sha512();
    return len == SHA256_DIGEST_LENGTH ? EVP_sha256() : EVP_sha1();
}

enum derive_result derive_pbkdf2(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    return PKCS5_PBKDF2_HMAC(password, (int)password_len, hash->salt, (int)hash->salt_len,
               (int)hash->numbers.rounds, sha_of_length(hash->digest_len), (int)hash->digest_len,
               digest_r) == 1
               ? DERIVE_DONE
               : DERIVE_FAILED;
}
