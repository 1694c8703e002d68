/*
 * scan.h: reads a stored hash by its scheme's form.
 *
 * Nothing here allocates or consults the locale. Internal to hash/ and its tests.
 */
#ifndef PGSASL_HASH_SCAN_H
#define PGSASL_HASH_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash/hash.h"

/* How bytes are written. All must be canonical: bits that belong to no byte are zero. */
enum scan_alphabet {
    /* characters that stand for themselves */
    SCAN_CRYPT64,   /* "./0-9A-Za-z" */
    SCAN_YESCRYPT,  /* the same, as groups of four */
    SCAN_SHACRYPT,  /* what libcrypt accepts and what cannot end the salt */
    SCAN_PRINTABLE, /* ASCII but for '$' and the blank */
    /* encoded bytes */
    SCAN_BASE64,      /* RFC 4648, padded */
    SCAN_BASE64_BARE, /* without padding */
    SCAN_BASE64_DOT,  /* without padding, '.' for '+': passlib's "ab64" */
    SCAN_HEX          /* either case */
};

enum scan_kind {
    SCAN_DONE = 0, /* the end of a form */
    SCAN_TEXT,
    SCAN_OPTION,
    SCAN_END,
    SCAN_NUMBER,
    SCAN_TWO_DIGITS,
    SCAN_CHAR64,
    SCAN_CHARS64,
    SCAN_SALT,
    SCAN_DIGEST,
    SCAN_DIGEST_AND_SALT
};

/* One part of a form; schemes.def says what each kind is. */
struct scan_part {
    enum scan_kind kind;
    enum scan_alphabet alphabet;
    const char *text;
    size_t number;     /* which: its offset in struct hash_numbers */
    uint64_t min, max; /* of the number, or of the length of the salt or digest */
    size_t digest_len; /* of SCAN_DIGEST_AND_SALT */
};

/*
 * Reads hash_io->text from behind the prefix to its end. True if it is of the form; hash_io's
 * numbers, salt, digest and params_len are then filled. hash_io must be zeroed except its text.
 */
bool scan_form(const struct scan_part *form, size_t prefix_len, struct hash *hash_io);

/*
 * Reads bytes in a BASE64 alphabet or HEX as far as they go, and moves *at_io behind them. False,
 * and *at_io anywhere, if they are not canonical or more than cap.
 */
bool scan_bytes(
    enum scan_alphabet alphabet, const char **at_io, uint8_t *bytes_r, size_t cap, size_t *len_r);

#endif
