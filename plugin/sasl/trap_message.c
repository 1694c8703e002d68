/*
 * trap_message.c: looks for the user name where the mechanism's form has it, and nowhere else.
 */
#include "sasl/trap_message.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "sasl/scram_message.h"

static bool is_readable(size_t len)
{
    return len > 0 && len <= TRAP_MESSAGE_MAX;
}

/* Copies a name that is neither empty nor too long and holds no control character. */
static bool take_name(const char *name, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    if (len == 0 || len > TRAP_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    memcpy(name_r, name, len);
    *len_r = len;
    return true;
}

/* ---- CRAM-MD5 ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Without the digest it may be anything, such as a name and a password in clear. */
bool trap_name_of_cram_md5(
    const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    enum { DIGITS = 32 };

    if (!is_readable(len) || len <= DIGITS + 1 || message[len - DIGITS - 1] != ' ')
        return false;
    for (size_t i = len - DIGITS; i < len; i++)
        if (!is_hex(message[i]))
            return false;
    return take_name(message, len - DIGITS - 1, name_r, len_r);
}

/* ---- DIGEST-MD5 ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind a directive's value, which is quoted or a token. */
static size_t skip_value(const char *message, size_t len, size_t at)
{
    if (at < len && message[at] == '"') {
        for (at++; at < len && message[at] != '"'; at++)
            at += message[at] == '\\';
        at++;
    }
    while (at < len && message[at] != ',')
        at++;
    return at;
}

/* The text of the quoted string that begins at `at`. */
static bool take_quoted(
    const char *message, size_t len, size_t at, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    char name[TRAP_NAME_MAX];
    size_t used = 0;

    if (at >= len || message[at] != '"')
        return false;
    for (at++; at < len && message[at] != '"'; at++) {
        at += message[at] == '\\';
        if (at >= len || used == sizeof name)
            return false;
        name[used++] = message[at];
    }
    return at < len && take_name(name, used, name_r, len_r);
}

bool trap_name_of_digest_md5(
    const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    static const char directive[] = "username=";
    const size_t directive_len = sizeof directive - 1;

    for (size_t at = 0; is_readable(len) && at < len; at++) {
        while (at < len && (is_blank(message[at]) || message[at] == ','))
            at++;
        if (len - at > directive_len && strncasecmp(message + at, directive, directive_len) == 0)
            return take_quoted(message, len, at + directive_len, name_r, len_r);
        while (at < len && message[at] != '=' && message[at] != ',')
            at++;
        if (at < len && message[at] == '=')
            at = skip_value(message, len, at + 1);
    }
    return false;
}

/* ---- NTLM ---- */

static unsigned little_endian(const char *at, unsigned bytes)
{
    unsigned value = 0;

    while (bytes-- > 0)
        value = value << 8 | (unsigned char)at[bytes];
    return value;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* From UTF-16, little endian. False: half of a pair, or no room. */
static bool take_utf16(const char *text, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    char name[TRAP_NAME_MAX + 4];
    size_t used = 0;

    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        uint32_t c = little_endian(text + i, 2);

        if (c >= 0xd800 && c < 0xdc00 && len - i >= 4) {
            const uint32_t low = little_endian(text + i + 2, 2);

            if (low < 0xdc00 || low > 0xdfff)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        } else if (c >= 0xd800 && c < 0xe000) {
            return false;
        }
        used += put_utf8(name + used, c);
        if (used > TRAP_NAME_MAX)
            return false;
    }
    return take_name(name, used, name_r, len_r);
}

bool trap_name_of_ntlm(const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    enum { TYPE = 8, USER = 36, FLAGS = 60, LEAST = 52, UNICODE = 1 };
    static const char head[] = "NTLMSSP\0\3\0\0";
    size_t name_len, at;
    bool unicode;

    if (!is_readable(len) || len < LEAST || memcmp(message, head, sizeof head) != 0)
        return false;
    name_len = little_endian(message + USER, 2);
    at = little_endian(message + USER + 4, 4);
    if (at < LEAST || at > len || name_len > len - at)
        return false;
    /* Old clients leave the flags out; we have told them to write Unicode. */
    unicode =
        at < FLAGS + 4 || len < FLAGS + 4 || (little_endian(message + FLAGS, 4) & UNICODE) != 0;
    return unicode ? take_utf16(message + at, name_len, name_r, len_r)
                   : take_name(message + at, name_len, name_r, len_r);
}

/* ---- mechanisms with a token ---- */

/* A name in whose place a client that puts no ^A between the fields may have left the token. */
static bool may_hold_token(const char *name, size_t len)
{
    static const char *const words[] = {"auth=", "bearer"};

    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        for (size_t i = 0; i + strlen(words[w]) <= len; i++)
            if (strncasecmp(name + i, words[w], strlen(words[w])) == 0)
                return true;
    return memchr(name, ' ', len) != NULL || memchr(name, '^', len) != NULL;
}

bool trap_name_of_xoauth2(
    const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    static const char head[] = "user=";
    const size_t head_len = sizeof head - 1;
    const char *end;

    if (!is_readable(len) || len <= head_len || memcmp(message, head, head_len) != 0)
        return false;
    message += head_len;
    end = memchr(message, '\1', len - head_len);
    return end != NULL && !may_hold_token(message, (size_t)(end - message)) &&
           take_name(message, (size_t)(end - message), name_r, len_r);
}

bool trap_name_of_oauthbearer(
    const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    static const char end_of_header[] = ",\1";
    char name[TRAP_NAME_MAX];
    const char *comma, *end;

    if (!is_readable(len))
        return false;
    comma = memchr(message, ',', len);
    end = memmem(message, len, end_of_header, sizeof end_of_header - 1);
    if (comma == NULL || end == NULL || end - comma < 4 || memcmp(comma, ",a=", 3) != 0)
        return false;
    comma += 3;
    if (memchr(comma, ',', (size_t)(end - comma)) != NULL ||
        may_hold_token(comma, (size_t)(end - comma)) || end - comma > TRAP_NAME_MAX)
        return false;
    scram_decode_name((struct scram_text){comma, (size_t)(end - comma)}, name, sizeof name, len_r);
    return take_name(name, *len_r, name_r, len_r);
}

bool trap_name_of_scram(const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r)
{
    char name[TRAP_NAME_MAX + 1];

    return scram_find_name(message, len, name, sizeof name, len_r) &&
           take_name(name, *len_r, name_r, len_r);
}
