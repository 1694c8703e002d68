/*
 * secret.h: wipes, compares and generates secret bytes.
 *
 * Nothing here allocates, logs or blocks.
 */
#ifndef PGSASL_BASE_SECRET_H
#define PGSASL_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Overwrites capacity bytes; the compiler cannot optimise this away. NULL is tolerated. */
void secret_wipe(void *secret, size_t capacity);

/* Wipes up to the terminating NUL: for a string that fills its buffer. NULL is tolerated. */
void secret_wipe_string(char *secret);

/* Compares n bytes in a time that depends on n alone. */
bool secret_equal(const void *a, const void *b, size_t n);

/*
 * Fills out with n random bytes from the kernel (getrandom(2)). False, possible only early in boot:
 * out is all zero and must not be used.
 */
bool secret_random(void *out, size_t n);

#endif
