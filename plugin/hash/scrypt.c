/*
 * scrypt.c: scrypt (RFC 7914) as passlib writes it. crypt(3)'s form of it is crypt.c's.
 *
 * Fails when there is no memory or OpenSSL fails.
 */
#include "hash/scheme.h"

#include <openssl/evp.h>

enum derive_result derive_scrypt(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    const struct hash_numbers *n = &hash->numbers;
    const uint64_t limit = 2 * (uint64_t)HASH_MEMORY_KIB_MAX * 1024; /* p blocks are counted too */

    return EVP_PBE_scrypt(password, password_len, hash->salt, hash->salt_len, (uint64_t)1 << n->ln,
               n->r, n->p, limit, digest_r, hash->digest_len) == 1
               ? DERIVE_DONE
               : DERIVE_FAILED;
}
