/*
 * test_json.c: any bytes are written as one JSON object in ASCII.
 */
#include "test.h"

#include <string.h>

#include "base/json.h"

static const struct {
    const char *proves;
    const char *text;
    size_t max;
    const char *object;
} texts[] = {
    {"plain", "app1", 100, "{\"v\":\"app1\"}"},
    {"nothing", "", 100, "{}"},
    {"NULL", NULL, 100, "{}"},
    {"quote and backslash", "a\"b\\c", 100, "{\"v\":\"a\\\"b\\\\c\"}"},
    {"controls", "a\n\x01\x7f", 100, "{\"v\":\"a\\u000a\\u0001\\u007f\"}"},
    {"two bytes", "caf\xc3\xa9", 100, "{\"v\":\"caf\\u00e9\"}"},
    {"three bytes", "\xe2\x82\xac", 100, "{\"v\":\"\\u20ac\"}"},
    {"four bytes", "\xf0\x9f\x98\x80", 100, "{\"v\":\"\\ud83d\\ude00\"}"},
    {"the last character", "\xf4\x8f\xbf\xbf", 100, "{\"v\":\"\\udbff\\udfff\"}"},
    {"not UTF-8", "a\xff\"", 100, "{\"v\":\"a\\\\xff\\\"\"}"},
    {"cut", "abcdef", 3, "{\"v\":\"abc\"}"},
    {"cut before a character that does not fit", "ab\xc3\xa9", 3, "{\"v\":\"ab\"}"},
    {"cut to nothing", "\xc3\xa9", 1, "{}"},
};

TEST(a_text_is_written_escaped)
{
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct json json;
        char out[128];

        json_begin(&json, out, sizeof out);
        json_text(&json, "v", texts[i].text, texts[i].max);
        assert_int_equal(json_end(&json), strlen(texts[i].object));
        if (strcmp(out, texts[i].object) != 0)
            fail_msg("%s: %s", texts[i].proves, out);
    }
}

static size_t write_all(char *out, size_t cap)
{
    struct json json;

    json_begin(&json, out, cap);
    json_text(&json, "a", "x", 9);
    json_number(&json, "n", 65535);
    json_list(&json, "empty");
    json_list_end(&json);
    json_list(&json, "list");
    json_list_item(&json, "one");
    json_list_item(&json, "two");
    json_list_end(&json);
    json_text(&json, "z", "y", 9);
    return json_end(&json);
}

TEST(members_are_separated)
{
    char out[128];

    assert_true(write_all(out, sizeof out) > 0);
    assert_string_equal(
        out, "{\"a\":\"x\",\"n\":65535,\"empty\":[],\"list\":[\"one\",\"two\"],\"z\":\"y\"}");
}

TEST(an_object_that_does_not_fit_is_empty)
{
    char out[128];
    size_t len = write_all(out, sizeof out);

    for (size_t cap = 1; cap <= len; cap++) {
        char *small = malloc(cap); /* on the heap, so that writing past it shows */

        assert_int_equal(write_all(small, cap), 0);
        assert_string_equal(small, "");
        free(small);
    }
    assert_int_equal(write_all(out, len + 1), len);
}

TEST(escapes_get_a_backslash_for_databases_without_the_character)
{
    static const char *const pairs[][2] = {
        {"{\"v\":\"caf\\u00e9\"}", "{\"v\":\"caf\\\\u00e9\"}"},
        {"{\"v\":\"a\\\\u00e9\"}", "{\"v\":\"a\\\\u00e9\"}"},
        {"{\"v\":\"\\\"\\\\\"}", "{\"v\":\"\\\"\\\\\"}"},
    };

    for (size_t i = 0; i < ROWS(pairs); i++) {
        char out[64];

        assert_int_equal(json_spell_out(pairs[i][0], out, sizeof out), strlen(pairs[i][1]));
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(json_spell_out(pairs[i][0], out, strlen(pairs[i][1])), 0);
    }
}

RUN_TESTS(NULL, NULL)
