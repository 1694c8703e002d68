/*
 * test_base64.c: each value has one encoding (RFC 4648, section 10); any other text is refused.
 */
#include "test.h"

#include <string.h>

#include "base/base64.h"

static const struct {
    const char *bytes;
    const char *text;
} pairs[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe\xfd", "//79"},
    {"\xfb\xef\xbe", "++++"},
};

TEST(bytes_become_text_and_back)
{
    for (size_t i = 0; i < ROWS(pairs); i++) {
        const size_t len = strlen(pairs[i].bytes);
        char text[16];
        uint8_t bytes[16];

        assert_int_equal(
            base64_encode((const uint8_t *)pairs[i].bytes, len, text), BASE64_CHARS(len));
        assert_string_equal(text, pairs[i].text);
        assert_true(base64_decode(text, strlen(text), bytes, len));
        assert_memory_equal(bytes, pairs[i].bytes, len);
    }
}

TEST(any_other_spelling_is_refused)
{
    static const struct {
        const char *text;
        size_t len;
    } wrong[] = {
        {"Zg=", 1},
        {"Zg", 1},
        {"Zh==", 1},
        {"Z===", 1},
        {"====", 1},
        {"Zm9=", 2},
        {"Zg==", 2},
        {"Zg==", 3},
        {"Zm9v", 2},
        {"Zm 9", 3},
        {"Zm9\n", 3},
        {"Zm-_", 3},
        {"Zg==Zg==", 4},
        {"Zm9vZg==", 3},
        {"", 1},
        {"Zg==", 0},
    };
    uint8_t bytes[16];

    for (size_t i = 0; i < ROWS(wrong); i++)
        assert_false(base64_decode(wrong[i].text, strlen(wrong[i].text), bytes, wrong[i].len));
}

RUN_TESTS(NULL, NULL)
