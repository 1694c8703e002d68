/*
 * dovecot.c: Dovecot's "{SCHEME}" and "{SCHEME.ENCODING}" prefixes, taken off a stored hash.
 *
 * Names and encodings are those of Dovecot 2.3's password schemes, in either case. What comes out
 * is the plain form that the schemes of hash.c read: usually what stood behind the prefix; where
 * Dovecot has a format of its own, the prefix stays, spelt in one way. Decides nothing about the
 * hash but that its prefix is one that we take and suits what follows.
 */
#include "hash/scheme.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hash/scan.h"
#include "base/secret.h"

enum { NAME_MAX_LEN = 24, INNER_MAX = 8 };

struct wrapping {
    const char *name;
    bool binary;       /* digest and salt as octets, in base64 unless the prefix says otherwise */
    const char *plain; /* what stands before the rest in the plain form */
    const char *separators;       /* what the commas of the rest become, in order */
    const char *inner[INNER_MAX]; /* what the rest may begin with */
};

/* Dovecot hands all three of CRYPT, SHA256-CRYPT and SHA512-CRYPT to crypt(3), whatever follows. */
#define ANY_CRYPT                                          \
    {                                                      \
        "$y$", "$7$", "$2a$", "$2b$", "$2y$", "$6$", "$5$" \
    }

static const struct wrapping wrappings[] = {
    {"CRYPT", false, "", "", ANY_CRYPT},
    {"SHA256-CRYPT", false, "", "", ANY_CRYPT},
    {"SHA512-CRYPT", false, "", "", ANY_CRYPT},
    {"BLF-CRYPT", false, "", "", {"$2a$", "$2b$", "$2y$"}},
    {"ARGON2I", false, "", "", {"$argon2i$", "$argon2id$"}},
    {"ARGON2ID", false, "", "", {"$argon2id$", "$argon2i$"}},
    {"PBKDF2", false, "{PBKDF2}", "", {"$1$"}},
    {"SCRAM-SHA-256", false, "SCRAM-SHA-256$", ":$:", {""}},
    {"SSHA256", true, "{SSHA256}", "", {""}},
    {"SSHA512", true, "{SSHA512}", "", {""}},
};

enum encoding { ENCODING_DEFAULT, ENCODING_BASE64, ENCODING_HEX };

static const struct wrapping *find_wrapping(const char *name)
{
    for (size_t i = 0; i < sizeof(wrappings) / sizeof(wrappings[0]); i++) {
        if (strcasecmp(name, wrappings[i].name) == 0)
            return &wrappings[i];
    }
    return NULL;
}

static bool find_encoding(const char *name, enum encoding *encoding_r)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } names[] = {{"B64", ENCODING_BASE64}, {"BASE64", ENCODING_BASE64}, {"HEX", ENCODING_HEX}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i].name) == 0) {
            *encoding_r = names[i].encoding;
            return true;
        }
    }
    return false;
}

/* Reads "{NAME}" or "{NAME.ENCODING}". */
static bool scan_prefix(
    const char **at_io, const struct wrapping **wrapping_r, enum encoding *encoding_r)
{
    char name[NAME_MAX_LEN];
    const char *start = *at_io + 1, *end = strchr(start, '}');
    char *dot;

    if (end == NULL || (size_t)(end - start) >= sizeof(name))
        return false;
    memcpy(name, start, (size_t)(end - start));
    name[end - start] = '\0';
    *at_io = end + 1;
    *encoding_r = ENCODING_DEFAULT;
    dot = strchr(name, '.');
    if (dot != NULL) {
        *dot = '\0';
        if (!find_encoding(dot + 1, encoding_r))
            return false;
    }
    *wrapping_r = find_wrapping(name);
    return *wrapping_r != NULL;
}

/* The text behind the prefix, out of its encoding. */
static bool decode_text(const char *at, enum encoding encoding, char text_r[HASH_MAX])
{
    struct scan_bytes bytes = {(uint8_t *)text_r, HASH_MAX - 1, 0};

    if (encoding == ENCODING_DEFAULT)
        return (size_t)snprintf(text_r, HASH_MAX, "%s", at) < HASH_MAX;
    if (!scan_bytes(&at, encoding == ENCODING_HEX ? SCAN_HEX : SCAN_BASE64, '\0', &bytes))
        return false;
    text_r[bytes.len] = '\0';
    return strlen(text_r) == bytes.len;
}

static bool begins_with_one_of(const char *text, const char *const inner[INNER_MAX])
{
    for (size_t i = 0; i < INNER_MAX && inner[i] != NULL; i++) {
        if (strncmp(text, inner[i], strlen(inner[i])) == 0)
            return true;
    }
    return false;
}

/* Replaces commas by separators, one for one; false unless there are as many. */
static bool replace_commas(char *text_io, const char *separators)
{
    if (*separators == '\0')
        return true;
    for (char *comma = strchr(text_io, ','); comma != NULL; comma = strchr(comma, ',')) {
        if (*separators == '\0')
            return false;
        *comma = *separators++;
    }
    return *separators == '\0';
}

bool hash_dovecot_plain(const char *stored, char plain_r[HASH_MAX])
{
    const struct wrapping *wrapping;
    enum encoding encoding;
    char text[HASH_MAX];
    bool done = false;
    int len = -1;

    if (!scan_prefix(&stored, &wrapping, &encoding))
        return false;
    if (wrapping->binary && encoding == ENCODING_HEX)
        len = snprintf(plain_r, HASH_MAX, "{%s.HEX}%s", wrapping->name, stored);
    else if (wrapping->binary)
        len = snprintf(plain_r, HASH_MAX, "%s%s", wrapping->plain, stored);
    else if (decode_text(stored, encoding, text) && begins_with_one_of(text, wrapping->inner) &&
             replace_commas(text, wrapping->separators))
        len = snprintf(plain_r, HASH_MAX, "%s%s", wrapping->plain, text);
    done = len >= 0 && len < HASH_MAX;
    secret_wipe(text, sizeof(text));
    return done;
}
