/*
 * spool_line.c: writes and reads the flat JSON objects of the spool file.
 *
 * Reads only what JSON allows and only strings and nulls in it; anything else is no line of ours
 * and is refused whole. Never allocates.
 */
#include "file/spool_line.h"

#include <stdio.h>
#include <string.h>

/* Appends one octet; a full buffer stays full, which *at_io > cap tells. */
static void put(char *out, size_t cap, size_t *at_io, char octet)
{
    if (*at_io < cap)
        out[*at_io] = octet;
    ++*at_io;
}

static void put_string(char *out, size_t cap, size_t *at_io, const char *text)
{
    char escape[8];

    put(out, cap, at_io, '"');
    for (; *text != '\0'; text++) {
        unsigned char octet = (unsigned char)*text;

        if (octet == '"' || octet == '\\') {
            put(out, cap, at_io, '\\');
            put(out, cap, at_io, *text);
        } else if (octet < 0x20 || octet == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", octet);
            for (const char *at = escape; *at != '\0'; at++)
                put(out, cap, at_io, *at);
        } else {
            put(out, cap, at_io, *text);
        }
    }
    put(out, cap, at_io, '"');
}

static void put_word(char *out, size_t cap, size_t *at_io, const char *word)
{
    for (; *word != '\0'; word++)
        put(out, cap, at_io, *word);
}

size_t spool_line_write(
    char *out, size_t cap, const char *const *names, const char *const *values, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        put(out, cap, &at, i == 0 ? '{' : ',');
        put_string(out, cap, &at, names[i]);
        put(out, cap, &at, ':');
        if (values[i] == NULL)
            put_word(out, cap, &at, "null");
        else
            put_string(out, cap, &at, values[i]);
    }
    put_word(out, cap, &at, "}\n");
    return at <= cap ? at : 0;
}

static char *skip_blanks(char *at)
{
    return at + strspn(at, " \t\r");
}

static int hex_value(const char *digits)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = digits[i] == '\0' ? NULL : strchr(hex, digits[i] | 0x20);

        if (digit == NULL)
            return -1;
        value = value * 16 + (int)(digit - hex);
    }
    return value;
}

/* One escape sequence behind the backslash; we write \u only for control characters, so more is not
 * read. */
static bool read_escape(char **from_io, char **to_io)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char *found;
    int code;

    if (**from_io == 'u') {
        code = hex_value(*from_io + 1);
        if (code <= 0 || code > 0x7f)
            return false;
        *(*to_io)++ = (char)code;
        *from_io += 5;
        return true;
    }
    found = **from_io == '\0' ? NULL : strchr(names, **from_io);
    if (found == NULL)
        return false;
    *(*to_io)++ = values[found - names];
    ++*from_io;
    return true;
}

/* Reads a string in place; its end is NUL-terminated, *at_io goes behind the closing quote. NULL:
 * no string. */
static char *read_string(char **at_io)
{
    char *from = *at_io;
    char *start = from + 1;
    char *to = start;

    if (*from++ != '"')
        return NULL;
    while (*from != '"') {
        if ((unsigned char)*from < 0x20)
            return NULL; /* the end of the line among them */
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        from++;
        if (!read_escape(&from, &to))
            return NULL;
    }
    *at_io = from + 1;
    *to = '\0';
    return start;
}

static bool read_member(char **at_io, const char *const *names, const char **values_r, size_t count)
{
    char *at = *at_io;
    char *value = NULL;
    const char *name = read_string(&at);

    if (name == NULL)
        return false;
    at = skip_blanks(at);
    if (*at++ != ':')
        return false;
    at = skip_blanks(at);
    if (strncmp(at, "null", 4) == 0)
        at += 4;
    else if ((value = read_string(&at)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            values_r[i] = value;
    *at_io = skip_blanks(at);
    return true;
}

bool spool_line_read(char *line, const char *const *names, const char **values_r, size_t count)
{
    char *at = skip_blanks(line);

    for (size_t i = 0; i < count; i++)
        values_r[i] = NULL;
    if (*at != '{')
        return false;
    do {
        at = skip_blanks(at + 1);
        if (!read_member(&at, names, values_r, count))
            return false;
    } while (*at == ',');
    return *at == '}' && *skip_blanks(at + 1) == '\0';
}
