/*
 * scram.c: SCRAM-SHA-256 verifiers (RFC 5803, RFC 7677). The digest is StoredKey, then ServerKey.
 *
 * The password is hashed as its bytes stand. PostgreSQL normalises non-ASCII passwords by SASLprep
 * (RFC 4013) first, and keeps the bytes where that fails; the tables for it are in no library used
 * here. So a non-ASCII password that SASLprep leaves as it is, which composed letters such as
 * U+00E9 are, matches; one that SASLprep changes (a ligature, a decomposed accent, a non-breaking
 * space) does not. ASCII passwords are never changed. Fails when OpenSSL does.
 */
#include "hash/scheme.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/secret.h"

enum { KEY_LEN = SHA256_DIGEST_LENGTH };

static bool hmac(const uint8_t key[KEY_LEN], const char *text, uint8_t out_r[KEY_LEN])
{
    unsigned len = 0;

    return HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)text, strlen(text), out_r,
               &len) != NULL &&
           len == KEY_LEN;
}

/* RFC 5802, section 3. */
enum derive_result derive_scram(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    uint8_t salted[KEY_LEN], client[KEY_LEN];
    bool done = PKCS5_PBKDF2_HMAC(password, (int)password_len, hash->salt, (int)hash->salt_len,
                    (int)hash->numbers.rounds, EVP_sha256(), KEY_LEN, salted) == 1 &&
                hmac(salted, "Client Key", client) &&
                EVP_Digest(client, KEY_LEN, digest_r, NULL, EVP_sha256(), NULL) == 1 &&
                hmac(salted, "Server Key", digest_r + KEY_LEN);

    secret_wipe(salted, sizeof salted);
    secret_wipe(client, sizeof client);
    return done ? DERIVE_DONE : DERIVE_FAILED;
}
