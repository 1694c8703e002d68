/*
 * base64.c: encodes and decodes base64 with padding.
 */
#include "base/base64.h"

#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const uint8_t *bytes, size_t len, char *out_r)
{
    char *out = out_r;

    for (size_t i = 0; i < len; i += 3, out += 4) {
        const size_t held = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)bytes[i] << 16;

        if (held > 1)
            bits |= (uint32_t)bytes[i + 1] << 8;
        if (held > 2)
            bits |= bytes[i + 2];
        out[0] = ALPHABET[bits >> 18];
        out[1] = ALPHABET[bits >> 12 & 63];
        out[2] = held > 1 ? ALPHABET[bits >> 6 & 63] : '=';
        out[3] = held > 2 ? ALPHABET[bits & 63] : '=';
    }
    *out = '\0';
    return (size_t)(out - out_r);
}

/* The value of a group of four characters, of which `padding` at the end are '='. */
static bool read_group(const char *text, size_t padding, uint32_t *bits_r)
{
    *bits_r = 0;
    for (size_t i = 0; i < 4; i++) {
        const char *found = text[i] == '\0' ? NULL : memchr(ALPHABET, text[i], sizeof ALPHABET - 1);

        if (i >= 4 - padding ? text[i] != '=' : found == NULL)
            return false;
        *bits_r = *bits_r << 6 | (i >= 4 - padding ? 0 : (uint32_t)(found - ALPHABET));
    }
    return (*bits_r & ((1u << (8 * padding)) - 1)) == 0;
}

bool base64_decode(const char *text, size_t text_len, uint8_t *out_r, size_t len)
{
    if (text_len != BASE64_CHARS(len))
        return false;
    for (size_t i = 0; i < len; i += 3, text += 4) {
        const size_t held = len - i < 3 ? len - i : 3;
        uint32_t bits;

        if (!read_group(text, 3 - held, &bits))
            return false;
        for (size_t k = 0; k < held; k++)
            out_r[i + k] = (uint8_t)(bits >> (16 - 8 * k));
    }
    return true;
}
