/*
 * json.c: writes one JSON object into the caller's memory.
 *
 * What does not fit is counted and not written; json_end() then returns 0. Only printable ASCII is
 * copied unchanged.
 */
#include "base/json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Appends one byte if it fits; len counts it in any case, so json_end() sees an overflow. */
static void put(struct json *json, char byte)
{
    if (json->len < json->cap)
        json->out[json->len] = byte;
    json->len++;
}

static void put_all(struct json *json, const char *bytes)
{
    for (; *bytes != '\0'; bytes++)
        put(json, *bytes);
}

/* \uXXXX; a surrogate pair for a character beyond the basic plane. */
static void put_escape(struct json *json, uint32_t character)
{
    char escape[16];

    if (character > 0xffff) {
        character -= 0x10000;
        snprintf(escape, sizeof escape, "\\u%04x\\u%04x", (unsigned)(0xd800 + (character >> 10)),
            (unsigned)(0xdc00 + (character & 0x3ff)));
    } else {
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)character);
    }
    put_all(json, escape);
}

static void put_character(struct json *json, uint32_t character)
{
    if (character == '"' || character == '\\')
        put(json, '\\');
    if (character >= 0x20 && character < 0x7f)
        put(json, (char)character);
    else
        put_escape(json, character);
}

/* A byte of text that is no UTF-8: \xHH, its backslash escaped. */
static void put_byte(struct json *json, unsigned char byte)
{
    char escape[8];

    snprintf(escape, sizeof escape, "\\\\x%02x", byte);
    put_all(json, escape);
}

static void put_string(struct json *json, const char *text, size_t len)
{
    bool utf8 = text_is_utf8(text, len);
    uint32_t character;
    size_t used;

    put(json, '"');
    for (; len > 0; text += used, len -= used) {
        used = utf8 ? text_decode(text, len, &character) : 1;
        if (utf8)
            put_character(json, character);
        else if ((unsigned char)*text < 0x80 && *text != '\0')
            put_character(json, (unsigned char)*text);
        else
            put_byte(json, (unsigned char)*text);
    }
    put(json, '"');
}

static void put_name(struct json *json, const char *name)
{
    if (json->comma)
        put(json, ',');
    put_string(json, name, strlen(name));
    put(json, ':');
    json->comma = true;
}

void json_begin(struct json *json, char *out, size_t cap)
{
    *json = (struct json){.out = out, .cap = cap};
    put(json, '{');
}

void json_text(struct json *json, const char *name, const char *text, size_t max)
{
    size_t len = text == NULL ? 0 : strnlen(text, max + 1);

    if (len > max) {
        len = max;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    if (len == 0)
        return;
    put_name(json, name);
    put_string(json, text, len);
}

void json_number(struct json *json, const char *name, unsigned long number)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%lu", number);
    put_name(json, name);
    put_all(json, digits);
}

void json_list(struct json *json, const char *name)
{
    put_name(json, name);
    put(json, '[');
    json->comma = false;
}

void json_list_item(struct json *json, const char *text)
{
    if (json->comma)
        put(json, ',');
    put_string(json, text, strlen(text));
    json->comma = true;
}

void json_list_end(struct json *json)
{
    put(json, ']');
    json->comma = true;
}

size_t json_end(struct json *json)
{
    put(json, '}');
    if (json->len >= json->cap) {
        if (json->cap > 0)
            json->out[0] = '\0';
        return 0;
    }
    json->out[json->len] = '\0';
    return json->len;
}

size_t json_spell_out(const char *object, char *out, size_t cap)
{
    struct json copy = {.out = out, .cap = cap};

    for (; *object != '\0'; object++) {
        put(&copy, *object);
        if (*object != '\\')
            continue;
        object++;
        if (*object == 'u')
            put(&copy, '\\');
        put(&copy, *object);
    }
    if (copy.len >= cap)
        return 0;
    out[copy.len] = '\0';
    return copy.len;
}
