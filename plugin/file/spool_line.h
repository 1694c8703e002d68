/*
 * spool_line.h: one line of the spool, a flat JSON object of strings (RFC 8259), written and read
 * back.
 */
#ifndef PGSASL_FILE_SPOOL_LINE_H
#define PGSASL_FILE_SPOOL_LINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes {"name":"value",…} and a newline to out. NULL values become null. Values must be UTF-8.
 * Returns the length, 0 when cap is too small.
 */
size_t spool_line_write(
    char *out, size_t cap, const char *const *names, const char *const *values, size_t count);

/*
 * Reads a line (NUL-terminated, without its newline) in place: values_r[i] points into line, or is
 * NULL for null and for names that are absent. Other names are passed over. False: it is no such
 * object; line is then undefined.
 */
bool spool_line_read(char *line, const char *const *names, const char **values_r, size_t count);

#endif
