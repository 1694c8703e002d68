/*
 * scan.c: reads the fields of a stored hash from left to right, strictly.
 *
 * A stored hash is what an operator or another program put into the table: nothing about it is
 * trusted. Every reader stops at the terminating NUL, accepts canonical forms only, and never
 * writes past the caller's buffer.
 */
#include "hash/scan.h"

#include <string.h>

#include "base/secret.h"

static const char CRYPT64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int index_in(const char *alphabet, char c)
{
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);

    return found == NULL ? -1 : (int)(found - alphabet);
}

static bool scan_text(const char **at_io, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*at_io, text, len) != 0)
        return false;
    *at_io += len;
    return true;
}

/* Decimal digits: of a two-digit number just two, else as many as there are. */
static bool scan_digits(const char **at_io, bool two, uint64_t max, uint64_t *value_r)
{
    size_t len = strspn(*at_io, "0123456789");

    *value_r = 0;
    if (len == 0 || (two ? len != 2 : len > 1 && **at_io == '0'))
        return false;
    for (; len > 0; len--, *at_io += 1) {
        *value_r = *value_r * 10 + (uint64_t)(**at_io - '0');
        if (*value_r > max)
            return false;
    }
    return true;
}

/* A number in characters of crypt(3)'s alphabet, the lowest six bits first. */
static bool scan_sixes(const char **at_io, unsigned count, uint64_t *value_r)
{
    *value_r = 0;
    for (unsigned i = 0; i < count; i++, *at_io += 1) {
        int six = index_in(CRYPT64, **at_io);

        if (six < 0)
            return false;
        *value_r |= (uint64_t)six << (6 * i);
    }
    return true;
}

static bool scan_number(const struct scan_part *part, const char **at_io, struct hash *hash_io)
{
    uint64_t *value = (uint64_t *)(void *)((char *)&hash_io->numbers + part->number);
    bool read;

    if (part->kind == SCAN_CHAR64 || part->kind == SCAN_CHARS64)
        read = scan_sixes(at_io, part->kind == SCAN_CHAR64 ? 1 : 5, value);
    else
        read = scan_digits(at_io, part->kind == SCAN_TWO_DIGITS, part->max, value);
    hash_io->params_len = 0; /* they end behind the last number */
    return read && *value >= part->min && *value <= part->max;
}

static bool is_member(enum scan_alphabet alphabet, char c)
{
    if (alphabet == SCAN_CRYPT64 || alphabet == SCAN_YESCRYPT)
        return index_in(CRYPT64, c) >= 0;
    return c > ' ' && c <= '~' && strchr(alphabet == SCAN_SHACRYPT ? "$:;*!\\" : "$", c) == NULL;
}

/*
 * yescrypt's four characters hold three bytes, the lowest bits first: the last character of a
 * shorter group has spare bits, which libcrypt requires to be zero.
 */
static bool is_in_groups(const char *chars, size_t len)
{
    static const int last_below[] = {64, 0, 4, 16}; /* by the length of the last group, 0 for 4 */

    return len > 0 && index_in(CRYPT64, chars[len - 1]) < last_below[len % 4];
}

static bool scan_chars(
    enum scan_alphabet alphabet, const char **at_io, uint8_t *chars_r, size_t cap, size_t *len_r)
{
    const char *start = *at_io;

    while ((size_t)(*at_io - start) < cap && is_member(alphabet, **at_io))
        *at_io += 1;
    *len_r = (size_t)(*at_io - start);
    memcpy(chars_r, start, *len_r);
    return alphabet != SCAN_YESCRYPT || is_in_groups(start, *len_r);
}

/* The value of one character of an encoding, -1 for any other. */
static int digit(enum scan_alphabet alphabet, char c)
{
    if (alphabet == SCAN_HEX)
        return index_in("0123456789abcdef", (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
    if (alphabet == SCAN_BASE64_DOT)
        return c == '+' ? -1 : index_in(BASE64, c == '.' ? '+' : c);
    return index_in(BASE64, c);
}

/* The '=' that complete a field of so many characters to whole groups of four. */
static bool scan_padding(const char **at_io, size_t chars)
{
    for (; chars % 4 != 0; chars++)
        if (!scan_text(at_io, "="))
            return false;
    return true;
}

bool scan_bytes(
    enum scan_alphabet alphabet, const char **at_io, uint8_t *bytes_r, size_t cap, size_t *len_r)
{
    const unsigned width = alphabet == SCAN_HEX ? 4 : 6;
    const char *start = *at_io;
    uint32_t bits = 0;
    unsigned held = 0;
    int value;

    *len_r = 0;
    for (; (value = digit(alphabet, **at_io)) >= 0; *at_io += 1) {
        bits = (bits << width | (uint32_t)value) & 0xffff;
        held += width;
        if (held < 8)
            continue;
        held -= 8;
        if (*len_r == cap)
            return false;
        bytes_r[(*len_r)++] = (uint8_t)(bits >> held);
    }
    /* A lone last character holds no byte; left-over bits that are set make a second spelling. */
    if (held >= width || (bits & ((1u << held) - 1)) != 0)
        return false;
    return alphabet != SCAN_BASE64 || scan_padding(at_io, (size_t)(*at_io - start));
}

/* A salt or digest, in bytes or in characters as its alphabet counts. */
static bool scan_field(
    const struct scan_part *part, const char **at_io, uint8_t *field_r, size_t cap, size_t *len_r)
{
    if (part->max < cap)
        cap = part->max;
    return (part->alphabet < SCAN_BASE64 ? scan_chars : scan_bytes)(
               part->alphabet, at_io, field_r, cap, len_r) &&
           *len_r >= part->min;
}

static bool scan_salt(const struct scan_part *part, const char **at_io, struct hash *hash_io)
{
    return scan_field(part, at_io, hash_io->salt, sizeof hash_io->salt, &hash_io->salt_len);
}

static bool scan_digest(const struct scan_part *part, const char **at_io, struct hash *hash_io)
{
    size_t len;

    if (!scan_field(part, at_io, hash_io->digest + hash_io->digest_len,
            sizeof hash_io->digest - hash_io->digest_len, &len))
        return false;
    hash_io->digest_len += len;
    return true;
}

static bool scan_both(const struct scan_part *part, const char **at_io, struct hash *hash_io)
{
    uint8_t bytes[HASH_DIGEST_MAX + HASH_SALT_MAX];
    size_t len;
    bool read = scan_bytes(part->alphabet, at_io, bytes, part->digest_len + part->max, &len) &&
                len >= part->digest_len + part->min;

    if (read) {
        hash_io->digest_len = part->digest_len;
        hash_io->salt_len = len - part->digest_len;
        memcpy(hash_io->digest, bytes, hash_io->digest_len);
        memcpy(hash_io->salt, bytes + hash_io->digest_len, hash_io->salt_len);
    }
    secret_wipe(bytes, sizeof bytes);
    return read;
}

static bool scan_part(const struct scan_part *part, const char **at_io, struct hash *hash_io)
{
    const size_t offset = (size_t)(*at_io - hash_io->text);

    switch (part->kind) {
    case SCAN_TEXT:
        return scan_text(at_io, part->text);
    case SCAN_NUMBER:
    case SCAN_TWO_DIGITS:
    case SCAN_CHAR64:
    case SCAN_CHARS64:
        return scan_number(part, at_io, hash_io);
    case SCAN_SALT:
    case SCAN_DIGEST:
    case SCAN_DIGEST_AND_SALT:
        if (hash_io->params_len == 0)
            hash_io->params_len = offset;
        if (part->kind == SCAN_DIGEST)
            return scan_digest(part, at_io, hash_io);
        hash_io->salt_at = offset;
        return (part->kind == SCAN_SALT ? scan_salt : scan_both)(part, at_io, hash_io);
    case SCAN_OPTION:
    case SCAN_END:
    case SCAN_DONE:
        break;
    }
    return true;
}

bool scan_form(const struct scan_part *form, size_t prefix_len, struct hash *hash_io)
{
    const char *at = hash_io->text + prefix_len;

    for (const struct scan_part *part = form; part->kind != SCAN_DONE; part++) {
        if (part->kind == SCAN_OPTION && !scan_text(&at, part->text))
            while (part->kind != SCAN_END)
                part++;
        if (!scan_part(part, &at, hash_io))
            return false;
    }
    return *at == '\0';
}
