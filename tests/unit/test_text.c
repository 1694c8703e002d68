/*
 * test_text.c: the functions of text.h on client bytes, and of address.h on the host's addresses.
 *
 * Inputs are copied to memory of exactly their size, so that the sanitizers find a read past the
 * end.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"

/* A copy that ends where its memory ends. */
static char *exact(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

TEST(utf8_is_as_rfc_3629_says)
{
    static const struct {
        const char *proves;
        const char *bytes;
        size_t len;
        bool good;
    } cases[] = {
        {"nothing at all is well-formed", BYTES(""), true},
        {"ASCII", BYTES("user\t~\x7f"), true},
        {"NUL is refused", BYTES("us\0er"), false},
        {"two bytes, least", BYTES("\xc2\x80"), true},
        {"two bytes, last", BYTES("\xdf\xbf"), true},
        {"three bytes, least", BYTES("\xe0\xa0\x80"), true},
        {"last before the surrogates", BYTES("\xed\x9f\xbf"), true},
        {"first after the surrogates", BYTES("\xee\x80\x80"), true},
        {"three bytes, last", BYTES("\xef\xbf\xbf"), true},
        {"four bytes, least", BYTES("\xf0\x90\x80\x80"), true},
        {"U+10FFFF", BYTES("\xf4\x8f\xbf\xbf"), true},
        {"U+110000", BYTES("\xf4\x90\x80\x80"), false},
        {"over-long NUL", BYTES("\xc0\x80"), false},
        {"over-long slash in two bytes", BYTES("\xc0\xaf"), false},
        {"over-long in two bytes, last", BYTES("\xc1\xbf"), false},
        {"over-long in three bytes, last", BYTES("\xe0\x9f\xbf"), false},
        {"over-long in four bytes, last", BYTES("\xf0\x8f\xbf\xbf"), false},
        {"first surrogate", BYTES("\xed\xa0\x80"), false},
        {"last surrogate", BYTES("\xed\xbf\xbf"), false},
        {"a lone continuation byte", BYTES("a\x80"), false},
        {"cut after one of two", BYTES("a\xc3"), false},
        {"cut after two of three", BYTES("\xe2\x82"), false},
        {"cut after three of four", BYTES("\xf0\x9f\x98"), false},
        {"ASCII where the second byte belongs", BYTES("\xc3("), false},
        {"ASCII where the third byte belongs", BYTES("\xe2\x82("), false},
        {"five-byte form", BYTES("\xf8\x88\x80\x80\x80"), false},
        {"0xfe", BYTES("\xfe"), false},
        {"0xff", BYTES("\xff"), false},
        {"Latin-1", BYTES("m\xfcller"), false},
        {"the fault may come last", BYTES("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\xff"), false},
        {"mixed lengths", BYTES("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z"), true},
    };

    assert_true(text_is_utf8(NULL, 0));
    for (size_t i = 0; i < ROWS(cases); i++) {
        char *bytes = exact(cases[i].bytes, cases[i].len);

        if (text_is_utf8(bytes, cases[i].len) != cases[i].good)
            fail_msg("%s", cases[i].proves);
        free(bytes);
    }
}

TEST(escape_leaves_printable_ascii_only)
{
    static const struct {
        const char *proves;
        const char *bytes;
        size_t len;
        size_t cap;
        const char *want;
    } cases[] = {
        {"nothing", BYTES(""), 8, ""},
        {"printable ASCII stays", BYTES(" aZ~!'"), 64, " aZ~!'"},
        {"a quote cannot end the field", BYTES("a\" reason=\"b"), 64, "a\\\" reason=\\\"b"},
        {"a backslash cannot forge an escape", BYTES("\\x41"), 64, "\\\\x41"},
        {"CR LF cannot end the line", BYTES("a\r\nb"), 64, "a\\x0d\\x0ab"},
        {"NUL cannot end the string", BYTES("a\0b"), 64, "a\\x00b"},
        {"terminal controls", BYTES("\x1b[2J\x7f"), 64, "\\x1b[2J\\x7f"},
        {"bytes of UTF-8", BYTES("\xc3\xbc\xff"), 64, "\\xc3\\xbc\\xff"},
        {"fits to the byte", BYTES("abcdefg"), 8, "abcdefg"},
        {"one too many", BYTES("abcdefgh"), 8, "abcd..."},
        {"escapes fit to the byte", BYTES("abc\n"), 8, "abc\\x0a"},
        {"no half escape before the dots", BYTES("abc\n!"), 8, "abc..."},
        {"an escape that just leaves the dots room", BYTES("\n!!!!"), 8, "\\x0a..."},
        {"no half backslash pair", BYTES("abc\"\"\""), 8, "abc..."},
        {"more than any buffer", BYTES("\xff\xff\xff\xff\xff\xff\xff"), 12, "\\xff\\xff..."},
        {"a cap too small for dots stays empty", BYTES("a"), 3, ""},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        char *bytes = exact(cases[i].bytes, cases[i].len);
        char *out = malloc(cases[i].cap);
        size_t len;

        assert_non_null(out);
        len = text_escape(out, cases[i].cap, bytes, cases[i].len);
        if (strcmp(out, cases[i].want) != 0 || len != strlen(out))
            fail_msg("%s: got %zu, \"%s\"", cases[i].proves, len, out);
        free(out);
        free(bytes);
    }
}

/* Every byte at every cap: always terminated, never past cap, and a cut ends in dots. */
TEST(escape_keeps_within_any_cap)
{
    char input[40];
    char out[80];

    for (size_t i = 0; i < sizeof input; i++)
        input[i] = i % 3 == 0 ? '"' : i % 3 == 1 ? '\x01' : 'a';
    for (size_t cap = 8; cap < sizeof out; cap++) {
        size_t len;

        memset(out, 'X', sizeof out);
        len = text_escape(out, cap, input, sizeof input);
        assert_true(len < cap && len + 4 >= cap - 3);
        assert_int_equal(strlen(out), len);
        assert_string_equal(out + len - 3, "...");
        assert_int_equal(out[cap], 'X');
    }
}

TEST(trim_removes_invisible_characters)
{
    static const struct {
        const char *proves;
        const char *bytes;
        size_t len;
        const char *want;
    } cases[] = {
        {"nothing to take", BYTES("user"), "user"},
        {"nothing at all", BYTES(""), ""},
        {"all blank", BYTES(" \t\r\n"), ""},
        {"white space at both ends", BYTES("\t user\r\n"), "user"},
        {"inner white space stays", BYTES(" a b "), "a b"},
        {"controls", BYTES("\x01user\x1b\x7f"), "user"},
        {"C1 control", BYTES("user\xc2\x85"), "user"},
        {"no-break space", BYTES("\xc2\xa0user\xc2\xa0"), "user"},
        {"soft hyphen", BYTES("user\xc2\xad"), "user"},
        {"byte order mark", BYTES("\xef\xbb\xbfuser"), "user"},
        {"zero-width space", BYTES("user\xe2\x80\x8b"), "user"},
        {"zero-width joiner", BYTES("user\xe2\x80\x8d"), "user"},
        {"right-to-left mark", BYTES("\xe2\x80\x8fuser"), "user"},
        {"line separator", BYTES("user\xe2\x80\xa8"), "user"},
        {"right-to-left override", BYTES("\xe2\x80\xaeuser"), "user"},
        {"word joiner", BYTES("user\xe2\x81\xa0"), "user"},
        {"isolate", BYTES("\xe2\x81\xa6user\xe2\x81\xa9"), "user"},
        {"Mongolian vowel separator", BYTES("user\xe1\xa0\x8e"), "user"},
        {"ideographic space", BYTES("\xe3\x80\x80user"), "user"},
        {"Hangul filler", BYTES("user\xe3\x85\xa4"), "user"},
        {"tag character", BYTES("user\xf3\xa0\x81\xbf"), "user"},
        {"several kinds at once", BYTES(" \xef\xbb\xbf\tuser\xe2\x80\x8b \n"), "user"},
        {"only invisible ones", BYTES("\xe2\x80\x8b\xc2\xa0"), ""},
        {"the euro sign is seen", BYTES("\xe2\x82\xac"), "\xe2\x82\xac"},
        {"so is U+00A1", BYTES("\xc2\xa1"), "\xc2\xa1"},
        {"and the Arabic number sign", BYTES("\xd8\x80"), "\xd8\x80"},
        {"a variation selector stays with its character", BYTES("\xe2\x9d\xa4\xef\xb8\x8f "),
            "\xe2\x9d\xa4\xef\xb8\x8f"},
        {"a broken end is left alone", BYTES("user\x80"), "user\x80"},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        char *bytes = exact(cases[i].bytes, cases[i].len);
        const char *text = bytes;
        size_t len = cases[i].len;
        bool trimmed = text_trim(&text, &len);

        if (len != strlen(cases[i].want) || memcmp(text, cases[i].want, len) != 0 ||
            trimmed != (len != cases[i].len))
            fail_msg("%s: %zu bytes left", cases[i].proves, len);
        free(bytes);
    }
}

TEST(address_is_canonical_or_absent)
{
    static const struct {
        const char *proves;
        const char *ip_port;
        const char *text; /* NULL: refused */
        unsigned port;
    } cases[] = {
        {"the host gave none", NULL, NULL, 0},
        {"empty", "", NULL, 0},
        {"only a port", ";25", NULL, 0},
        {"IPv4", "192.0.2.7;49152", "192.0.2.7", 49152},
        {"IPv6", "2001:db8::1;25", "2001:db8::1", 25},
        {"IPv6 is shortened", "2001:0DB8:0:0:0:0:0:1;25", "2001:db8::1", 25},
        {"mapped IPv4 becomes IPv4", "::ffff:192.0.2.7;25", "192.0.2.7", 25},
        {"mapped IPv4 in hexadecimal as well", "::ffff:c000:207;25", "192.0.2.7", 25},
        {"a scope comes off", "fe80::1%eth0;25", "fe80::1", 25},
        {"the longest", "2001:db80:1111:2222:3333:4444:5555:6666;65535",
            "2001:db80:1111:2222:3333:4444:5555:6666", 65535},
        {"no port", "192.0.2.7", "192.0.2.7", 0},
        {"Postfix does not know the port", "192.0.2.7;unknown", "192.0.2.7", 0},
        {"a port past 65535", "192.0.2.7;65536", "192.0.2.7", 0},
        {"a port that would overflow", "192.0.2.7;99999999999999999999", "192.0.2.7", 0},
        {"a negative port", "192.0.2.7;-1", "192.0.2.7", 0},
        {"Postfix does not know the address", "unknown;unknown", NULL, 0},
        {"a host name", "mail.example.net;25", NULL, 0},
        {"too many octets", "192.0.2.7.9;25", NULL, 0},
        {"SQL", "192.0.2.7'--;25", NULL, 0},
        {"longer than any address", "2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa;25",
            NULL, 0},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct address address;
        const char *want = cases[i].text == NULL ? "" : cases[i].text;
        bool good;

        memset(&address, 'X', sizeof address);
        good = address_parse(cases[i].ip_port, &address);
        if (good != (cases[i].text != NULL) || strcmp(address.text, want) != 0 ||
            address.port != cases[i].port)
            fail_msg("%s: got \"%s\" %u", cases[i].proves, address.text, address.port);
    }
}

RUN_TESTS(NULL, NULL)
