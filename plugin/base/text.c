/*
 * text.c: examines client bytes and renders them safely.
 *
 * All functions share one decoder and one table of invisible characters. Bytes are read once, left
 * to right (or right to left when trimming), never past their length. Nothing is allocated or kept,
 * and the locale is not consulted.
 */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

/* Shapes of a UTF-8 sequence, by its first byte (RFC 3629, section 3). */
static const struct shape {
    unsigned char mask, lead;
    unsigned char len;
    uint32_t least; /* a smaller character in this shape is an over-long form */
} shapes[] = {
    {0x80, 0x00, 1, 0x1},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

/*
 * Characters that nobody sees at either end of a word, in order: White_Space, controls (Cc), the
 * invisible part of format (Cf), and fillers that print as blanks. Variation selectors are absent,
 * as they belong to the character before them; so are the Arabic and Egyptian format characters
 * that do print.
 */
static const struct range {
    uint32_t first, last;
} invisible[] = {
    {0x0001, 0x0020},   /* C0 controls, tab and line ends among them; space */
    {0x007f, 0x00a0},   /* DEL, C1 controls, no-break space */
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x034f, 0x034f},   /* combining grapheme joiner */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x115f, 0x1160},   /* Hangul fillers */
    {0x1680, 0x1680},   /* Ogham space */
    {0x17b4, 0x17b5},   /* Khmer inherent vowels */
    {0x180e, 0x180e},   /* Mongolian vowel separator */
    {0x2000, 0x200f},   /* spaces by width, zero-width characters, direction marks */
    {0x2028, 0x202f},   /* line and paragraph separators, embeddings, narrow space */
    {0x205f, 0x206f},   /* mathematical space, word joiner, invisible operators, isolates */
    {0x2800, 0x2800},   /* Braille blank */
    {0x3000, 0x3000},   /* ideographic space */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xffa0, 0xffa0},   /* half-width Hangul filler */
    {0xfff9, 0xfffb},   /* interlinear annotation */
    {0x1bca0, 0x1bca3}, /* shorthand format controls */
    {0x1d173, 0x1d17a}, /* musical format controls */
    {0xe0000, 0xe007f}, /* tags */
};

size_t text_decode(const char *text, size_t len, uint32_t *character_r)
{
    const unsigned char *bytes = (const unsigned char *)text;
    const struct shape *shape = shapes;
    const struct shape *end = shapes + sizeof shapes / sizeof *shapes;
    uint32_t character;

    if (len == 0)
        return 0;
    while (shape < end && (bytes[0] & shape->mask) != shape->lead)
        shape++;
    if (shape == end || shape->len > len)
        return 0;
    character = bytes[0] & (unsigned char)~shape->mask;
    for (size_t i = 1; i < shape->len; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < shape->least || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *character_r = character;
    return shape->len;
}

/* As text_decode(), for the last character of text. */
static size_t decode_last(const char *text, size_t len, uint32_t *character_r)
{
    size_t back = 1;

    while (back < 4 && back < len && ((unsigned char)text[len - back] & 0xc0) == 0x80)
        back++;
    if (len == 0 || text_decode(text + len - back, back, character_r) != back)
        return 0;
    return back;
}

static bool is_invisible(uint32_t character)
{
    for (size_t i = 0; i < sizeof invisible / sizeof *invisible; i++) {
        if (character <= invisible[i].last)
            return character >= invisible[i].first;
    }
    return false;
}

bool text_is_utf8(const char *text, size_t len)
{
    uint32_t character;
    size_t used;

    while (len > 0) {
        used = text_decode(text, len, &character);
        if (used == 0)
            return false;
        text += used;
        len -= used;
    }
    return true;
}

/* Writes one byte's rendering, at most 4 bytes and no NUL. Returns its length. */
static size_t escape_byte(unsigned char byte, char *out)
{
    static const char digits[] = "0123456789abcdef";

    if (byte == '"' || byte == '\\') {
        out[0] = '\\';
        out[1] = (char)byte;
        return 2;
    }
    if (byte >= 0x20 && byte < 0x7f) {
        out[0] = (char)byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 0xf];
    return 4;
}

size_t text_escape(char *out, size_t cap, const char *text, size_t len)
{
    static const char dots[] = "...";
    size_t used = 0;
    size_t cut = 0; /* the end of the last escape after which the dots still fit */
    char piece[4];
    size_t piece_len;

    if (cap < sizeof dots) {
        if (cap > 0)
            out[0] = '\0';
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        piece_len = escape_byte((unsigned char)text[i], piece);
        if (used + piece_len >= cap) {
            memcpy(out + cut, dots, sizeof dots);
            return cut + sizeof dots - 1;
        }
        memcpy(out + used, piece, piece_len);
        used += piece_len;
        if (used + sizeof dots <= cap)
            cut = used;
    }
    out[used] = '\0';
    return used;
}

bool text_trim(const char **text_io, size_t *len_io)
{
    const char *text = *text_io;
    size_t len = *len_io;
    uint32_t character;
    size_t used;

    while ((used = text_decode(text, len, &character)) > 0 && is_invisible(character)) {
        text += used;
        len -= used;
    }
    while ((used = decode_last(text, len, &character)) > 0 && is_invisible(character))
        len -= used;
    if (len == *len_io)
        return false;
    *text_io = text;
    *len_io = len;
    return true;
}
