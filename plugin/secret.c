/*
 * secret.c: wiping, comparing and drawing secret bytes, by OpenSSL.
 *
 * No other leaf includes OpenSSL. Nothing here allocates, logs or blocks. OpenSSL's error queue
 * belongs to the host, whose TLS reads it: a failure here leaves nothing on it.
 */
#include "secret.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

void secret_wipe(void *secret, size_t capacity)
{
    if (secret)
        OPENSSL_cleanse(secret, capacity);
}

void secret_wipe_string(char *secret)
{
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

bool secret_random(void *out, size_t n)
{
    bool drawn = false;

    if (n <= INT_MAX) {
        (void)ERR_set_mark();
        drawn = RAND_bytes(out, (int)n) == 1;
        (void)ERR_pop_to_mark();
    }
    if (!drawn)
        secret_wipe(out, n);
    return drawn;
}
