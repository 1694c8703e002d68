/*
 * scan.c: reads the fields of a stored hash from left to right, strictly.
 *
 * A stored hash is what an operator or another program put into the table: nothing about it is
 * trusted. Every reader stops at the terminating NUL, takes canonical forms only, and never writes
 * past the caller's buffer.
 */
#include "hash/scan.h"

#include <string.h>

static const char CRYPT64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int index_in(const char *alphabet, char c)
{
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);

    return found == NULL ? -1 : (int)(found - alphabet);
}

bool scan_text(const char **at_io, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*at_io, text, len) != 0)
        return false;
    *at_io += len;
    return true;
}

bool scan_number(const char **at_io, uint32_t min, uint32_t max, uint32_t *value_r)
{
    const char *at = *at_io;
    uint64_t value = 0;

    if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9'))
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > max)
            return false;
    }
    *at_io = at;
    *value_r = (uint32_t)value;
    return value >= min;
}

int scan_crypt64_value(char c)
{
    return index_in(CRYPT64, c);
}

bool scan_crypt64(const char **at_io, size_t min, size_t max)
{
    size_t len = strspn(*at_io, CRYPT64);

    *at_io += len;
    return len >= min && len <= max;
}

/* The value of one character of form, -1 for any other; *bits_r is how many bits it stands for. */
static int digit(enum scan_form form, char c, unsigned *bits_r)
{
    *bits_r = 6;
    switch (form) {
    case SCAN_BASE64:
    case SCAN_BASE64_BARE:
        return index_in(BASE64, c);
    case SCAN_BASE64_DOT:
        return c == '+' ? -1 : index_in(BASE64, c == '.' ? '+' : c);
    case SCAN_HEX:
        *bits_r = 4;
        return index_in("0123456789abcdef", (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
    }
    return -1;
}

/* The '=' that complete a field of digits characters to whole groups of four. */
static bool scan_padding(const char **at_io, size_t digits)
{
    while (digits % 4 != 0) {
        if (**at_io != '=')
            return false;
        *at_io += 1;
        digits++;
    }
    return true;
}

bool scan_bytes(const char **at_io, enum scan_form form, char end, struct scan_bytes *bytes_io)
{
    const char *start = *at_io;
    uint32_t bits = 0;
    unsigned held = 0, width;
    int value;

    bytes_io->len = 0;
    for (; (value = digit(form, **at_io, &width)) >= 0; *at_io += 1) {
        bits = (bits << width | (uint32_t)value) & 0xffff;
        held += width;
        if (held < 8)
            continue;
        held -= 8;
        if (bytes_io->len == bytes_io->cap)
            return false;
        bytes_io->data[bytes_io->len++] = (uint8_t)(bits >> held);
    }
    /* A lone last character holds no octet, and left-over bits that are set would be a second
     * spelling. */
    if (held >= width || (bits & ((1u << held) - 1)) != 0)
        return false;
    if (form == SCAN_BASE64 && !scan_padding(at_io, (size_t)(*at_io - start)))
        return false;
    if (**at_io != end)
        return false;
    *at_io += end == '\0' ? 0 : 1;
    return true;
}
