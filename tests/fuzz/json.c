/*
 * json.c: any text as a value. The object is printable ASCII, its quotes and backslashes are
 * balanced, and json_spell_out() changes only its \u escapes.
 */
#include "base/json.h"

#include "fuzz.h"

enum { CAP = 16384 };

/* Whether object is {"value":"..."} with nothing in it that ends the string early. */
static void check_object(const char *object, size_t len)
{
    static const char head[] = "{\"value\":\"";
    size_t at = sizeof head - 1;

    MUST(strncmp(object, head, at) == 0 && len > at + 1);
    while (at < len - 2) {
        MUST(object[at] >= 0x20 && object[at] < 0x7f && object[at] != '"');
        at += object[at] == '\\' ? 2 : 1;
    }
    MUST(at == len - 2 && strcmp(object + at, "\"}") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);
    char object[CAP];
    char spelt_out[CAP];
    struct json json;
    size_t len;

    json_begin(&json, object, sizeof object);
    json_text(&json, "value", text, 1000);
    len = json_end(&json);
    MUST(len > 0 && strlen(object) == len);
    if (*text != '\0' && strcmp(object, "{}") != 0) {
        check_object(object, len);
        len = json_spell_out(object, spelt_out, sizeof spelt_out);
        MUST(len >= strlen(object));
        check_object(spelt_out, len);
    }
    free(text);
    return 0;
}
