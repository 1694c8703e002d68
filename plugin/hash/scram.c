/*
 * scram.c: SCRAM-SHA-256 verifiers (RFC 5803, RFC 7677). The digest is StoredKey, then ServerKey.
 *
 * The password is hashed as its bytes stand. PostgreSQL normalises non-ASCII passwords by SASLprep
 * (RFC 4013) first, and keeps the bytes where that fails; the tables for it are in no library used
 * here. So a non-ASCII password that SASLprep leaves as it is, which composed letters such as
 * U+00E9 are, matches; one that SASLprep changes (a ligature, a decomposed accent, a non-breaking
 * space) does not. ASCII passwords are never changed. Fails when OpenSSL does.
 */
#include "hash/scram.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "hash/scheme.h"
#include "base/secret.h"

enum { KEY_LEN = SCRAM_KEY_BYTES, STRETCH_ROUNDS = 100000 };

_Static_assert(KEY_LEN == SHA256_DIGEST_LENGTH, "the keys are SHA-256's");

static bool hmac_of(
    const uint8_t key[KEY_LEN], const char *text, size_t text_len, uint8_t out_r[KEY_LEN])
{
    unsigned len = 0;

    return HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)text, text_len, out_r, &len) !=
               NULL &&
           len == KEY_LEN;
}

static bool hmac(const uint8_t key[KEY_LEN], const char *text, uint8_t out_r[KEY_LEN])
{
    return hmac_of(key, text, strlen(text), out_r);
}

static bool sha256(const uint8_t in[KEY_LEN], uint8_t out_r[KEY_LEN])
{
    return EVP_Digest(in, KEY_LEN, out_r, NULL, EVP_sha256(), NULL) == 1;
}

/* RFC 5802, section 3. */
enum derive_result derive_scram(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    uint8_t salted[KEY_LEN], client[KEY_LEN];
    bool done = PKCS5_PBKDF2_HMAC(password, (int)password_len, hash->salt, (int)hash->salt_len,
                    (int)hash->numbers.rounds, EVP_sha256(), KEY_LEN, salted) == 1 &&
                hmac(salted, "Client Key", client) && sha256(client, digest_r) &&
                hmac(salted, "Server Key", digest_r + KEY_LEN);

    secret_wipe(salted, sizeof salted);
    secret_wipe(client, sizeof client);
    return done ? DERIVE_DONE : DERIVE_FAILED;
}

bool scram_is_verifier(const struct hash *hash)
{
    return hash_is_usable(hash) && hash->scheme->derive == derive_scram;
}

bool scram_same_challenge(const struct hash *one, const struct hash *other)
{
    return scram_is_verifier(one) && scram_is_verifier(other) &&
           one->numbers.rounds == other->numbers.rounds && one->salt_len == other->salt_len &&
           memcmp(one->salt, other->salt, one->salt_len) == 0;
}

/* keys is StoredKey and ServerKey. RFC 5802, section 3. */
static enum hash_result check_proof(const uint8_t keys[2 * KEY_LEN], const char *message,
    size_t len, const uint8_t proof[KEY_LEN], uint8_t signature_r[KEY_LEN])
{
    uint8_t client[KEY_LEN], stored[KEY_LEN];
    enum hash_result result = HASH_ERROR;

    if (hmac_of(keys, message, len, client)) {
        for (size_t i = 0; i < KEY_LEN; i++)
            client[i] ^= proof[i];
        if (sha256(client, stored) && hmac_of(keys + KEY_LEN, message, len, signature_r))
            result = secret_equal(stored, keys, KEY_LEN) ? HASH_MATCH : HASH_MISMATCH;
    }
    secret_wipe(client, sizeof client);
    return result;
}

enum hash_result scram_check_proof(const struct hash *verifier, const char *message, size_t len,
    const uint8_t proof[KEY_LEN], uint8_t signature_r[KEY_LEN])
{
    static const uint8_t nobodys_keys[2 * KEY_LEN];
    enum hash_result result;

    ERR_set_mark();
    result = check_proof(
        verifier == NULL ? nobodys_keys : verifier->digest, message, len, proof, signature_r);
    ERR_pop_to_mark();
    if (verifier == NULL && result == HASH_MATCH)
        result = HASH_MISMATCH;
    if (result != HASH_MATCH)
        secret_wipe(signature_r, KEY_LEN);
    return result;
}

bool scram_stretch(const char *text, uint8_t key_r[KEY_LEN])
{
    static const unsigned char salt[] = "pgsasl salts of names without a verifier";
    bool made;

    ERR_set_mark();
    made = PKCS5_PBKDF2_HMAC(text, (int)strlen(text), salt, sizeof salt, STRETCH_ROUNDS,
               EVP_sha256(), KEY_LEN, key_r) == 1;
    ERR_pop_to_mark();
    return made;
}
