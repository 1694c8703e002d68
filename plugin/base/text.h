/*
 * text.h: examines client bytes and renders them safely.
 *
 * Every function takes (pointer, length); none needs a terminating NUL, allocates, or consults the
 * locale.
 */
#ifndef PGSASL_BASE_TEXT_H
#define PGSASL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * True for well-formed UTF-8 (RFC 3629: no surrogates, no over-long forms, nothing past U+10FFFF)
 * without NUL. text may be NULL when len is 0.
 */
bool text_is_utf8(const char *text, size_t len);

/*
 * Reads the first character of text. Returns its length in bytes, 0 where it is not well-formed or
 * there is none.
 */
size_t text_decode(const char *text, size_t len, uint32_t *character_r);

/*
 * Renders len bytes into out for a log line: printable ASCII as it is, `"` and `\` with a backslash
 * before them, every other byte as \xHH. Cut with "..." where cap is short, never inside an escape.
 * Always NUL-terminated; cap at least 8. Returns the length written.
 */
size_t text_escape(char *out, size_t cap, const char *text, size_t len);

/*
 * Narrows *text_io, *len_io to the part without white space and invisible characters at either end:
 * ASCII and Unicode white space, control and format characters, zero-width characters, BOM. text
 * must be well-formed UTF-8. Returns true when something was removed.
 */
bool text_trim(const char **text_io, size_t *len_io);

#endif
