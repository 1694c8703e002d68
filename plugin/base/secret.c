/*
 * secret.c: wipes and compares secret bytes with OpenSSL, reads random ones from the kernel.
 *
 * Nothing here allocates, logs, blocks or takes a lock. OpenSSL's own generator has locks, and a
 * child that was forked while another thread held one would wait for it forever.
 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include <openssl/crypto.h>

void secret_wipe(void *secret, size_t capacity)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, capacity);
}

void secret_wipe_string(char *secret)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, strlen(secret));
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

bool secret_random(void *out, size_t n)
{
    size_t drawn = 0;

    while (drawn < n) {
        ssize_t more = getrandom((unsigned char *)out + drawn, n - drawn, GRND_NONBLOCK);

        if (more < 0 && errno != EINTR) {
            secret_wipe(out, n);
            return false;
        }
        if (more > 0)
            drawn += (size_t)more;
    }
    return true;
}
