/*
 * scan.h: reads the fields of a stored hash from left to right, strictly.
 *
 * Each function moves *at_io behind what it has read and returns true, or returns false and leaves
 * *at_io anywhere. Nothing here allocates or consults the locale. Internal to hash*.c.
 */
#ifndef PGSASL_HASH_SCAN_H
#define PGSASL_HASH_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The ways in which schemes write octets. All are canonical: bits that belong to no octet must be
 * zero. */
enum scan_form {
    SCAN_BASE64,      /* RFC 4648, padded */
    SCAN_BASE64_BARE, /* RFC 4648 without padding */
    SCAN_BASE64_DOT,  /* the same with '.' for '+': passlib's "ab64" */
    SCAN_HEX          /* either case */
};

/* Octets of one field. */
struct scan_bytes {
    uint8_t *data; /* the caller's, of cap octets */
    size_t cap;
    size_t len;
};

/* The literal text. */
bool scan_text(const char **at_io, const char *text);

/* A decimal number from min to max, without sign and without leading zeros. */
bool scan_number(const char **at_io, uint32_t min, uint32_t max, uint32_t *value_r);

/* Octets up to the character end, which is read as well unless it is NUL. False where bytes_io->cap
 * is too small. */
bool scan_bytes(const char **at_io, enum scan_form form, char end, struct scan_bytes *bytes_io);

/* From min to max characters of crypt(3)'s alphabet "./0-9A-Za-z", as many as there are. */
bool scan_crypt64(const char **at_io, size_t min, size_t max);

/* The value of one character of crypt(3)'s alphabet, -1 for any other. */
int scan_crypt64_value(char c);

#endif
