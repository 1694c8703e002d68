/*
 * base64.h: base64 with padding (RFC 4648, section 4). Each value has one encoding.
 *
 * Nothing here allocates, logs or consults the locale.
 */
#ifndef PGSASL_BASE_BASE64_H
#define PGSASL_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of characters for len bytes, without a NUL. */
#define BASE64_CHARS(len) (((len) + 2) / 3 * 4)

/* Writes BASE64_CHARS(len) characters and a NUL to out_r. Returns the number of characters. */
size_t base64_encode(const uint8_t *bytes, size_t len, char *out_r);

/*
 * Decodes text, which must be the encoding of exactly len bytes: no white space, full padding, no
 * bits left over. False otherwise; out_r may then be partly written.
 */
bool base64_decode(const char *text, size_t text_len, uint8_t *out_r, size_t len);

#endif
