/*
 * test_wire.c: PLAIN and LOGIN messages become credentials; a malformed one leaves only its name.
 *
 * Messages are copied to memory of exactly their size, for the sanitizers. Every password here
 * contains PASSWORD, so one search shows that a malformed message leaves none behind.
 */
#include "test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include <sys/mman.h>
#include <unistd.h>

#include "sasl/wire.h"

#define PASSWORD "pA55-wOrd"

static bool holds_password(const struct credentials *credentials)
{
    const char *bytes = (const char *)credentials;

    for (size_t i = 0; i + sizeof PASSWORD - 1 <= sizeof *credentials; i++) {
        if (memcmp(bytes + i, PASSWORD, sizeof PASSWORD - 1) == 0)
            return true;
    }
    return false;
}

static bool holds_nothing(const struct credentials *credentials)
{
    return credentials->authzid[0] == '\0' && credentials->authzid_len == 0 &&
           credentials->authcid[0] == '\0' && credentials->authcid_len == 0 &&
           credentials->password[0] == '\0' && credentials->password_len == 0 &&
           !holds_password(credentials);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* A copy without a NUL after it, as the host passes messages. */
static char *exact(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static const char *parse(const char *message, size_t len, struct credentials *credentials_r)
{
    char *copy = exact(message, len);
    const char *fault;

    memset(credentials_r, 'X', sizeof *credentials_r);
    fault = wire_parse_plain(copy, len, credentials_r);
    free(copy);
    return fault;
}

TEST(a_good_plain_message_is_read)
{
    static const struct {
        const char *proves;
        const char *message;
        size_t len;
        const char *authzid, *authcid, *password;
    } cases[] = {
        {"no authzid", BYTES("\0user\0" PASSWORD), "", "user", PASSWORD},
        {"an authzid", BYTES("boss\0user\0" PASSWORD), "boss", "user", PASSWORD},
        {"a byte each", BYTES("z\0u\0p"), "z", "u", "p"},
        {"UTF-8 in each", BYTES("\xc3\xa4\0\xe2\x82\xac\0\xf0\x9f\x98\x80"), "\xc3\xa4",
            "\xe2\x82\xac", "\xf0\x9f\x98\x80"},
        {"blanks stay as sent", BYTES("\0 user \0 " PASSWORD "\t"), "", " user ",
            " " PASSWORD "\t"},
        {"line ends and SQL are text", BYTES("\0a\r\nb'; --\0" PASSWORD), "", "a\r\nb'; --",
            PASSWORD},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct credentials got;
        const char *fault = parse(cases[i].message, cases[i].len, &got);

        if (fault || got.fault || !same(got.authzid, cases[i].authzid) ||
            !same(got.authcid, cases[i].authcid) || !same(got.password, cases[i].password) ||
            !same(got.display_name, cases[i].authcid) || got.authzid_len != strlen(got.authzid) ||
            got.authcid_len != strlen(got.authcid) || got.password_len != strlen(got.password))
            fail_msg("%s: %s", cases[i].proves, fault == NULL ? "wrong fields" : fault);
    }
}

TEST(a_faulty_plain_message_is_refused)
{
    static const char few[] = "message has fewer than two NULs";
    static const char many[] = "message has more than two NULs";
    static const struct {
        const char *proves;
        const char *message;
        size_t len;
        const char *fault, *shown;
    } cases[] = {
        {"an empty message", BYTES(""), few, ""},
        {"no NUL: it may be the password", BYTES(PASSWORD), few, ""},
        {"one NUL: the leading one was forgotten", BYTES("user\0" PASSWORD), few, "user"},
        {"one NUL: the shell ate the other", BYTES("\0userS" PASSWORD), few, ""},
        {"one NUL: so it did after an authzid", BYTES("user\0userS" PASSWORD), few, "user"},
        {"a NUL alone", BYTES("\0"), few, ""},
        {"two NULs alone", BYTES("\0\0"), "user name is empty", ""},
        {"three NULs", BYTES("\0user\0" PASSWORD "\0"), many, "user"},
        {"three NULs, with an authzid", BYTES("user\0user\0" PASSWORD "\0"), many, "user"},
        {"a NUL in the password", BYTES("\0user\0\0" PASSWORD), many, "user"},
        {"a password in second place, C strings", BYTES("user\0" PASSWORD "\0\0"), many, "user"},
        {"a password in second place, C string", BYTES("user\0" PASSWORD "\0"), "password is empty",
            "user"},
        {"empty name", BYTES("\0\0" PASSWORD), "user name is empty", ""},
        {"empty name, with an authzid", BYTES("boss\0\0" PASSWORD), "user name is empty", "boss"},
        {"empty password", BYTES("\0user\0"), "password is empty", "user"},
        {"name is Latin-1", BYTES("\0m\xfcller\0" PASSWORD), "user name is not UTF-8",
            "m\\xfcller"},
        {"name is cut UTF-8", BYTES("\0user\xe2\x82\0" PASSWORD), "user name is not UTF-8",
            "user\\xe2\\x82"},
        {"authzid is not UTF-8", BYTES("\xff\0user\0" PASSWORD),
            "authorization identity is not UTF-8", "user"},
        {"password is not UTF-8", BYTES("\0user\0" PASSWORD "\xff"), "password is not UTF-8",
            "user"},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct credentials got;
        const char *fault = parse(cases[i].message, cases[i].len, &got);

        if (!same(fault, cases[i].fault) || !same(got.fault, fault) ||
            !same(got.display_name, cases[i].shown) || !holds_nothing(&got))
            fail_msg("%s: \"%s\", shown \"%s\"", cases[i].proves,
                fault == NULL ? "no fault" : fault, got.display_name);
    }
}

TEST(plain_without_a_message_is_refused)
{
    struct credentials got;

    memset(&got, 'X', sizeof got);
    assert_string_equal(wire_parse_plain(NULL, 0, &got), "message has fewer than two NULs");
    assert_true(holds_nothing(&got));
    assert_string_equal(got.display_name, "");
}

TEST(a_plain_message_of_900_nuls_is_refused)
{
    static const char nuls[900];
    struct credentials got;

    assert_string_equal(parse(nuls, sizeof nuls, &got), "message has more than two NULs");
    assert_true(holds_nothing(&got));
    assert_string_equal(got.display_name, "");
}

/* Fields of given lengths, around the limits. */
TEST(plain_lengths_are_bounded)
{
    static const struct {
        const char *proves;
        size_t authzid, authcid, password;
        const char *fault;
    } cases[] = {
        {"all as long as may be", AUTHCID_MAX, AUTHCID_MAX, PASSWORD_MAX, NULL},
        {"authzid", AUTHCID_MAX + 1, 4, 4, "authorization identity is longer than 255 octets"},
        {"name", 0, AUTHCID_MAX + 1, 4, "user name is longer than 255 octets"},
        {"password", 0, 4, PASSWORD_MAX + 1, "password is longer than 1024 octets"},
        {"name, by far", 0, 4096, 4, "user name is longer than 255 octets"},
        {"password, by far", 0, 4, 4096, "password is longer than 1024 octets"},
    };
    static char message[3 * 4096 + 2];

    for (size_t i = 0; i < ROWS(cases); i++) {
        size_t len = cases[i].authzid + 1 + cases[i].authcid + 1 + cases[i].password;
        struct credentials got;
        const char *fault;

        memset(message, 'z', cases[i].authzid);
        message[cases[i].authzid] = '\0';
        memset(message + cases[i].authzid + 1, 'n', cases[i].authcid);
        message[cases[i].authzid + 1 + cases[i].authcid] = '\0';
        memset(message + len - cases[i].password, 'p', cases[i].password);
        fault = parse(message, len, &got);
        if (!same(fault, cases[i].fault) || (fault != NULL && !holds_nothing(&got)) ||
            strchr(got.display_name, 'p') != NULL || got.display_name[0] != 'n')
            fail_msg("%s: %s, shown \"%s\"", cases[i].proves, fault == NULL ? "no fault" : fault,
                got.display_name);
        if (fault == NULL)
            assert_int_equal(strlen(got.password), PASSWORD_MAX);
    }
}

/* As sent up to the limit, escaped past it. A long one is cut with dots and stays UTF-8. */
TEST(a_displayed_name_always_fits_a_row)
{
    static const struct {
        const char *proves;
        char fill;
        size_t len;
        const char *ends;
        size_t shown;
    } cases[] = {
        {"a long ASCII name stays", 'n', AUTHCID_MAX, "nnnn", AUTHCID_MAX},
        {"a bad name of full length is escaped whole", '\xff', AUTHCID_MAX, "\\xff",
            4 * AUTHCID_MAX},
        {"4 kB of bad bytes are cut", '\xff', 4096, "\\xff...", DISPLAY_NAME_MAX - 1},
        {"4 kB of ASCII are cut", 'n', 4096, "n...", DISPLAY_NAME_MAX - 1},
    };
    static char name[4096];

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct credentials got = {0};
        size_t len;

        memset(name, cases[i].fill, cases[i].len);
        (void)wire_take_name(name, cases[i].len, &got);
        len = strlen(got.display_name);
        if (len != cases[i].shown || !text_is_utf8(got.display_name, len) ||
            strcmp(got.display_name + len - strlen(cases[i].ends), cases[i].ends) != 0)
            fail_msg("%s: %zu bytes, \"%s\"", cases[i].proves, len, got.display_name);
    }
}

/*
 * What is shown for a name that exactly fills or overflows what an escaped name with a NUL may
 * take.
 */
TEST(a_long_login_name_with_a_nul_fits)
{
    static char name[4096];

    for (size_t at = 200; at < 320; at++) {
        struct credentials got = {0};

        memset(name, '\xff', sizeof name);
        name[at] = '\0';
        assert_string_equal(wire_take_name(name, sizeof name, &got), "user name holds a NUL");
        assert_non_null(memchr(got.display_name, '\0', sizeof got.display_name));
        assert_int_equal(strspn(strpbrk(got.display_name, "."), "."), 3);
        assert_string_equal(got.display_name + strlen(got.display_name) - 3, "...");
    }
}

TEST(login_messages_are_read)
{
    static const char nul_name[] = "user name holds a NUL";
    static const struct {
        const char *proves;
        const char *name;
        size_t name_len;
        const char *password;
        size_t password_len;
        const char *name_fault, *fault, *shown;
    } cases[] = {
        {"both good", BYTES("user"), BYTES(PASSWORD), NULL, NULL, "user"},
        {"UTF-8", BYTES("\xc3\xbc"), BYTES("\xc3\xbc"), NULL, NULL, "\xc3\xbc"},
        {"empty name", BYTES(""), BYTES(PASSWORD), "user name is empty", "user name is empty", ""},
        {"empty password", BYTES("user"), BYTES(""), NULL, "password is empty", "user"},
        {"password is not UTF-8", BYTES("user"), BYTES(PASSWORD "\xff"), NULL,
            "password is not UTF-8", "user"},
        {"password holds a NUL", BYTES("user"), BYTES(PASSWORD "\0x"), NULL, "password holds a NUL",
            "user"},
        {"a bad name counts before a bad password", BYTES("\xff"), BYTES(""),
            "user name is not UTF-8", "user name is not UTF-8", "\\xff"},
        {"name holds a NUL", BYTES("us\0er"), BYTES(PASSWORD), nul_name, nul_name, "us\\x00..."},
        {"name ends in a NUL", BYTES("user\0"), BYTES(PASSWORD), nul_name, nul_name, "user\\x00"},
        {"name is a NUL", BYTES("\0"), BYTES(PASSWORD), nul_name, nul_name, "\\x00"},
        {"name begins with a NUL", BYTES("\0user"), BYTES(PASSWORD), nul_name, nul_name,
            "\\x00..."},
        {"a PLAIN message for a name", BYTES("\0user\0" PASSWORD), BYTES(PASSWORD), nul_name,
            nul_name, "\\x00user\\x00..."},
        {"a PLAIN message without its first NUL", BYTES("user\0" PASSWORD), BYTES(PASSWORD),
            nul_name, nul_name, "user\\x00..."},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct credentials got = {0};
        char *name = exact(cases[i].name, cases[i].name_len);
        char *password = exact(cases[i].password, cases[i].password_len);
        const char *name_fault = wire_take_name(name, cases[i].name_len, &got);
        const char *fault = wire_take_password(password, cases[i].password_len, &got);

        if (!same(name_fault, cases[i].name_fault) || !same(fault, cases[i].fault) ||
            !same(got.fault, fault) || !same(got.display_name, cases[i].shown))
            fail_msg("%s: %s, shown \"%s\"", cases[i].proves, fault == NULL ? "no fault" : fault,
                got.display_name);
        if (fault != NULL && !holds_nothing(&got))
            fail_msg("%s: leaves something behind", cases[i].proves);
        if (fault == NULL &&
            (!same(got.authcid, cases[i].name) || !same(got.password, cases[i].password) ||
                got.authcid_len != cases[i].name_len || got.password_len != cases[i].password_len ||
                got.authzid_len != 0))
            fail_msg("%s: wrong fields", cases[i].proves);
        free(password);
        free(name);
    }
}

TEST(login_lengths_are_bounded)
{
    static char bytes[4096];
    static const struct {
        size_t name, password;
        const char *fault;
    } cases[] = {
        {AUTHCID_MAX, PASSWORD_MAX, NULL},
        {AUTHCID_MAX + 1, 1, "user name is longer than 255 octets"},
        {1, PASSWORD_MAX + 1, "password is longer than 1024 octets"},
        {1, sizeof bytes, "password is longer than 1024 octets"},
    };

    memset(bytes, 'b', sizeof bytes);
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct credentials got = {0};

        (void)wire_take_name(bytes, cases[i].name, &got);
        if (!same(wire_take_password(bytes, cases[i].password, &got), cases[i].fault))
            fail_msg("%zu and %zu bytes: %s", cases[i].name, cases[i].password,
                got.fault == NULL ? "no fault" : got.fault);
        assert_true(got.fault == NULL || holds_nothing(&got));
    }
}

/*
 * Wrong lengths from a host: Cyrus SASL's own testsuite passes 4294967293. The bytes end at the
 * edge of a page that cannot be read.
 */
static char *before_the_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    memset(pages, 'b', page);
    return pages + page - 1;
}

static const size_t wrong_lengths[] = {
    WIRE_MESSAGE_MAX + 1, 65536, INT32_MAX, 4294967293, SIZE_MAX};
static const char too_long[] = "message is longer than 16384 octets";

TEST(a_wrong_length_is_judged_before_the_first_byte)
{
    const char *byte = before_the_edge();

    for (size_t i = 0; i < ROWS(wrong_lengths); i++) {
        struct credentials got;

        assert_string_equal(wire_parse_plain(byte + 1, wrong_lengths[i], &got), too_long);
        assert_true(holds_nothing(&got));
        assert_string_equal(got.display_name, "");
        memset(&got, 0, sizeof got);
        assert_string_equal(wire_take_name(byte + 1, wrong_lengths[i], &got), too_long);
        assert_string_equal(wire_take_password(byte, 1, &got), too_long);
        assert_true(holds_nothing(&got));
        assert_string_equal(got.display_name, "");
        memset(&got, 0, sizeof got);
        assert_null(wire_take_name(BYTES("user"), &got));
        assert_string_equal(wire_take_password(byte + 1, wrong_lengths[i], &got), too_long);
        assert_true(holds_nothing(&got));
        assert_string_equal(got.display_name, "user");
    }
}

TEST(the_longest_message_is_read_to_its_end)
{
    static char message[WIRE_MESSAGE_MAX];
    struct credentials got = {0};

    memset(message, 'b', sizeof message);
    assert_string_equal(
        wire_parse_plain(message, sizeof message, &got), "message has fewer than two NULs");
    assert_string_equal(
        wire_take_name(message, sizeof message, &got), "user name is longer than 255 octets");
}

/* A host that passes NULL with a length. */
TEST(no_bytes_are_an_empty_message)
{
    struct credentials got = {0};

    assert_string_equal(wire_parse_plain(NULL, 5, &got), "message has fewer than two NULs");
    assert_string_equal(wire_take_name(NULL, 5, &got), "user name is empty");
    memset(&got, 0, sizeof got);
    assert_null(wire_take_name(BYTES("user"), &got));
    assert_string_equal(wire_take_password(NULL, 5, &got), "password is empty");
}

TEST(a_login_password_needs_a_name)
{
    struct credentials got = {0};

    assert_string_equal(wire_take_password(BYTES(PASSWORD), &got), "user name is empty");
    assert_true(holds_nothing(&got));
}

RUN_TESTS(NULL, NULL)
