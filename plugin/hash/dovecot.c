/*
 * dovecot.c: Dovecot's "{SCHEME}" and "{SCHEME.ENCODING}" prefixes, taken off a stored hash.
 *
 * Names and encodings are those of Dovecot 2.3's password schemes, in either case. The result is the
 * plain form that schemes.def describes: usually what follows the prefix; where Dovecot has a format
 * of its own, the prefix stays, in capitals. Decides nothing about the hash except that its prefix
 * is accepted and suits what follows.
 */
#include "hash/scheme.h"

#include <string.h>
#include <strings.h>

enum { NAME_LEN_MAX = 24, PREFIXES_MAX = 8 };

enum kind { WHOLE, REST, BYTES };
enum encoding { NONE, BASE64, HEX };

struct wrapping {
    const char *name;
    enum kind kind;
    const char *prefixes[PREFIXES_MAX]; /* NULL after the last */
};

static const struct wrapping wrappings[] = {
#define WRAPPING(name, kind, ...) {name, kind, {__VA_ARGS__}},
#include "hash/schemes.def"
};

static const struct {
    const char *name;
    enum encoding encoding;
} encodings[] = {
#define ENCODING(name, encoding) {name, encoding},
#include "hash/schemes.def"
};

static const struct wrapping *find_wrapping(const char *name)
{
    for (size_t i = 0; i < sizeof wrappings / sizeof *wrappings; i++)
        if (strcasecmp(name, wrappings[i].name) == 0)
            return &wrappings[i];
    return NULL;
}

static bool find_encoding(const char *name, enum encoding *encoding_r)
{
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (strcasecmp(name, encodings[i].name) == 0) {
            *encoding_r = encodings[i].encoding;
            return true;
        }
    return false;
}

/* Reads "{NAME}" or "{NAME.ENCODING}". */
static bool scan_prefix(
    const char **at_io, const struct wrapping **wrapping_r, enum encoding *encoding_r)
{
    char name[NAME_LEN_MAX];
    const char *start = *at_io + 1, *end = strchr(start, '}');
    char *dot;

    if (end == NULL || (size_t)(end - start) >= sizeof name)
        return false;
    memcpy(name, start, (size_t)(end - start));
    name[end - start] = '\0';
    *at_io = end + 1;
    *encoding_r = NONE;
    dot = strchr(name, '.');
    if (dot != NULL) {
        *dot = '\0';
        if (!find_encoding(dot + 1, encoding_r))
            return false;
    }
    *wrapping_r = find_wrapping(name);
    return *wrapping_r != NULL;
}

/* Appends the text at at, decoded. */
static bool append_decoded(const char *at, enum encoding encoding, char text_io[HASH_MAX])
{
    size_t before = strlen(text_io), room = HASH_MAX - 1 - before, len = strlen(at);

    if (encoding == NONE) {
        if (len > room)
            return false;
        memcpy(text_io + before, at, len + 1);
        return true;
    }
    if (!scan_bytes(encoding == HEX ? SCAN_HEX : SCAN_BASE64, &at, (uint8_t *)text_io + before,
            room, &len) ||
        *at != '\0')
        return false;
    text_io[before + len] = '\0';
    return strlen(text_io + before) == len;
}

static bool begins_with_one_of(const char *text, const char *const prefixes[PREFIXES_MAX])
{
    for (size_t i = 0; i < PREFIXES_MAX && prefixes[i] != NULL; i++)
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

bool hash_unwrap(const char *stored, char plain_r[HASH_MAX])
{
    const struct wrapping *wrapping;
    enum encoding encoding;

    if (!scan_prefix(&stored, &wrapping, &encoding))
        return false;
    switch (wrapping->kind) {
    case WHOLE:
        plain_r[0] = '\0';
        return append_decoded(stored, encoding, plain_r) &&
               begins_with_one_of(plain_r, wrapping->prefixes);
    case REST:
        strcpy(plain_r, wrapping->prefixes[0]);
        return append_decoded(stored, encoding, plain_r);
    case BYTES:
        strcpy(plain_r, wrapping->prefixes[encoding == HEX ? 1 : 0]);
        return append_decoded(stored, NONE, plain_r);
    }
    return false;
}
