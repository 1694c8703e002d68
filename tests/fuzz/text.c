/*
 * text.c: any bytes instead of a user name, escaped and trimmed.
 */
#include "base/text.h"

#include "fuzz.h"

enum { CAP_LEAST = 8, CAP_RANGE = 64 };

static void escape(const char *text, size_t size)
{
    size_t cap = CAP_LEAST + (size == 0 ? 0 : (unsigned char)text[0] % CAP_RANGE);
    char *out = malloc(cap);
    size_t length;

    MUST(out != NULL);
    length = text_escape(out, cap, text, size);
    MUST(length < cap && strlen(out) == length);
    for (size_t i = 0; i < length; i++)
        MUST(out[i] >= ' ' && out[i] <= '~');
    free(out);
}

static void trim(const char *text, size_t size)
{
    const char *inner = text;
    size_t length = size;

    if (!text_is_utf8(text, size))
        return;
    MUST(text_trim(&inner, &length) == (length < size));
    MUST(inner >= text && inner + length <= text + size);
    MUST(text_is_utf8(inner, length));
    MUST(!text_trim(&inner, &length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);

    escape(text, size);
    trim(text, size);
    free(text);
    return 0;
}
