/*
 * pgtext.h: values as PostgreSQL writes them: one-dimensional arrays, timestamps in ISO style.
 *
 * Nothing here allocates, or consults the locale or the time zone.
 */
#ifndef PGSASL_PG_PGTEXT_H
#define PGSASL_PG_PGTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Splits an array ("{a,NULL,\"b c\"}", PostgreSQL manual, 8.15.6) in place: text_io is overwritten,
 * and elements_r[] points into it, NULL for SQL NULL. Returns how many there are, at most cap;
 * further ones are dropped. -1: text_io is no such array.
 */
int pgtext_array(char *text_io, char **elements_r, int cap);

/*
 * "2026-01-31 12:00:00.5+01" in microseconds since 1970; "infinity" is INT64_MAX, "-infinity"
 * INT64_MIN. False for anything else, text NULL included.
 */
bool pgtext_time(const char *text, int64_t *us_r);

#endif
