/*
 * crypt.c: crypt(5)'s schemes that are still strong: bcrypt, SHA-256-crypt and SHA-512-crypt,
 * yescrypt, scrypt.
 *
 * Their forms are known, so libcrypt is never given a stored hash that is cut short, is one of its
 * failure tokens ("*0"), or falls back to DES. Uses crypt_rn(3), which shares nothing between
 * threads. Fails when there is no memory or this libcrypt was built without the scheme.
 */
#include "hash/scheme.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/*
 * Only the digest counts: a bcrypt salt's last character has bits to spare, which libcrypt clears
 * in its answer and other programs leave set.
 */
static enum derive_result take_digest(const struct hash *hash, const char *made, uint8_t *digest_r)
{
    size_t len = strlen(hash->text);

    if (strlen(made) != len)
        return DERIVE_REFUSED;
    memcpy(digest_r, made + len - hash->digest_len, hash->digest_len);
    return DERIVE_DONE;
}

enum derive_result derive_crypt(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    char phrase[CRYPT_MAX_PASSPHRASE_SIZE] = {0};
    struct crypt_data *data = calloc(1, sizeof *data);
    enum derive_result result = DERIVE_FAILED;
    const char *made;

    if (data == NULL || password_len >= sizeof phrase)
        goto out;
    memcpy(phrase, password, password_len);
    made = crypt_rn(phrase, hash->text, data, (int)sizeof *data);
    if (made != NULL)
        result = take_digest(hash, made, digest_r);
    else if (errno == EINVAL)
        result = DERIVE_REFUSED;
    secret_wipe(phrase, sizeof phrase);
    secret_wipe(data, sizeof *data);
out:
    free(data);
    return result;
}
