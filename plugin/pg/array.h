/*
 * array.h: one-dimensional arrays as PostgreSQL writes them.
 *
 * Nothing here allocates or consults the locale.
 */
#ifndef PGSASL_PG_ARRAY_H
#define PGSASL_PG_ARRAY_H

/*
 * Splits an array ("{a,NULL,\"b c\"}", PostgreSQL manual, 8.15.6) in place: text_io is overwritten,
 * and elements_r[] points into it, NULL for SQL NULL. Returns the number of elements, at most cap;
 * further ones are dropped. -1: text_io is no such array.
 */
int array_split(char *text_io, char **elements_r, int cap);

#endif
