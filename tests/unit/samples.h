/*
 * samples.h: stored hashes made from the forms of schemes.def, for test_hash.c and list_schemes.c.
 *
 * They have the form of a scheme, with any lengths and numbers, and match no password.
 */
#ifndef PGSASL_SAMPLES_H
#define PGSASL_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash/scheme.h"

enum { SAMPLE_PARTS = 24, SAMPLE_MAX = 1024 };

/* A value for each part of a form: the number, or the length of the salt or digest. */
struct sample {
    const struct scheme *scheme;
    bool with_options; /* with the optional parts */
    uint64_t value[SAMPLE_PARTS];
};

/* How many parts a form has. */
size_t sample_parts(const struct scheme *scheme);

/* True for a part that has a value. */
bool sample_has_value(const struct scan_part *part);

/* The cheapest hash of a scheme, with salts of about 16 and the shortest digests. */
struct sample sample_cheap(const struct scheme *scheme, bool with_options);

/* Writes the plain form. False: it cannot be written, because a number has too many digits. */
bool sample_write(const struct sample *sample, char out_r[SAMPLE_MAX]);

/* True if the sample can be written and the plugin accepts it. */
bool sample_is_usable(const struct sample *sample);

/* Calls visit for the cheap samples and for those with values on both sides of each bound. */
void samples_at_bounds(void (*visit)(const struct sample *sample, const char *stored));

/*
 * Calls visit for samples that cost just no more than ceiling, and for those that cost just more:
 * for each number of a form, with the others at several values. Returns how many pairs there were.
 */
size_t samples_at_ceiling(const struct hash_cost *ceiling,
    void (*visit)(const struct sample *sample, const char *stored));

/*
 * Calls visit for plain in all of Dovecot's wrappings, whether they may contain it or not: each in
 * every encoding and in several spellings of the prefix.
 */
void samples_wrapped(const char *plain, void (*visit)(const char *stored));

#endif
