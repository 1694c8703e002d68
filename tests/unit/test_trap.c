/*
 * test_trap.c: finds the user name in the messages of each trap mechanism, and nothing else; and no
 * such exchange ever succeeds.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "doubles.h"
#include "fake_host.h"
#include "sasl/mechanisms.h"
#include "sasl/trap.h"
#include "sasl/trap_message.h"

static struct backend *backend;
static sasl_server_plug_t plugs[TRAPS_MAX];
static size_t plug_count;

static int set_up(void **state)
{
    static char names[] = "CRAM-MD5 DIGEST-MD5 NTLM XOAUTH2 OAUTHBEARER SCRAM-SHA-1 GSSAPI";

    (void)state;
    doubles_reset();
    fake_host_reset("smtpd");
    backend = double_backend();
    backend->options.trap_mechanisms = names;
    plug_count = trap_plugs(backend, plugs);
    assert_int_equal(plug_count, 7);
    return 0;
}

#define TEST_TRAP(name) TEST_WITH(name, set_up, NULL)

static const sasl_server_plug_t *plug(const char *name)
{
    for (size_t i = 0; i < plug_count; i++)
        if (strcmp(plugs[i].mech_name, name) == 0)
            return &plugs[i];
    fail_msg("no plug %s", name);
    return NULL;
}

static void expect_row(const char *mechanism, const char *username)
{
    assert_int_equal(double_audit.failures, 1);
    assert_string_equal(
        reason_name(double_audit.failure.reason), reason_name(REASON_MECHANISM_NOT_OFFERED));
    assert_int_equal(double_audit.failure.failed, REASON_BIT(REASON_MECHANISM_NOT_OFFERED));
    assert_string_equal(double_audit.mechanism, mechanism);
    assert_string_equal(double_audit.username, username);
    assert_string_equal(double_audit.detail, "");
    assert_int_equal(double_lookup.calls, 0);
    assert_int_equal(double_audit.logins, 0);
}

/* ---- names ---- */

#define DIGEST " 0123456789abcdefABCDEF0123456789"

/* An AUTHENTICATE_MESSAGE whose user name, four bytes, is at 64. */
#define NTLM_HEAD(user_len, user_at, flags)                             \
    "NTLMSSP\0\3\0\0\0"                                                 \
    "\0\0\0\0\x40\0\0\0"                                                \
    "\0\0\0\0\x40\0\0\0"                                                \
    "\0\0\0\0\x40\0\0\0" user_len user_len user_at "\0\0\0\0\x40\0\0\0" \
    "\0\0\0\0\x40\0\0\0" flags

static const struct {
    const char *what;
    trap_find_name *find;
    const char *message;
    size_t len;
    const char *name; /* NULL: none */
} names[] = {
    {"CRAM-MD5", trap_name_of_cram_md5, BYTES("app1" DIGEST), "app1"},
    {"CRAM-MD5, a blank in the name", trap_name_of_cram_md5, BYTES("app 1" DIGEST), "app 1"},
    {"CRAM-MD5, no digest", trap_name_of_cram_md5, BYTES("app1 secret"), NULL},
    {"CRAM-MD5, the digest cut short", trap_name_of_cram_md5,
        BYTES("app1 0123456789abcdef0123456789abcde"), NULL},
    {"CRAM-MD5, too long a digest", trap_name_of_cram_md5,
        BYTES("app1 0123456789abcdef0123456789abcdef0"), NULL},
    {"CRAM-MD5, no name", trap_name_of_cram_md5, BYTES(DIGEST), NULL},
    {"CRAM-MD5, a newline in the name", trap_name_of_cram_md5, BYTES("app\n1" DIGEST), NULL},
    {"CRAM-MD5, nothing", trap_name_of_cram_md5, BYTES(""), NULL},
    {"DIGEST-MD5", trap_name_of_digest_md5, BYTES("username=\"app1\",realm=\"x\",response=00"),
        "app1"},
    {"DIGEST-MD5, not the first", trap_name_of_digest_md5,
        BYTES("charset=utf-8, realm=\"a,username=\\\"b\" ,username=\"app1\",nc=1"), "app1"},
    {"DIGEST-MD5, escapes", trap_name_of_digest_md5, BYTES("username=\"a\\\"b\\\\c\""), "a\"b\\c"},
    {"DIGEST-MD5, in another's value", trap_name_of_digest_md5,
        BYTES("x=\"username=\\\"app1\\\"\""), NULL},
    {"DIGEST-MD5, no end", trap_name_of_digest_md5, BYTES("username=\"app1"), NULL},
    {"DIGEST-MD5, an escape at the end", trap_name_of_digest_md5, BYTES("username=\"app1\\"), NULL},
    {"DIGEST-MD5, no quote", trap_name_of_digest_md5, BYTES("username=app1"), NULL},
    {"DIGEST-MD5, empty", trap_name_of_digest_md5, BYTES("username=\"\""), NULL},
    {"DIGEST-MD5, cut short", trap_name_of_digest_md5, BYTES("username="), NULL},
    {"DIGEST-MD5, nothing but commas", trap_name_of_digest_md5, BYTES(",, ,"), NULL},
    {"NTLM, Unicode", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\x08\0", "\x40\0\0\0", "\1\0\0\0") "a\0p\0p\0\1\1"), "app\xc4\x81"},
    {"NTLM, OEM", trap_name_of_ntlm, BYTES(NTLM_HEAD("\4\0", "\x40\0\0\0", "\0\0\0\0") "app1"),
        "app1"},
    {"NTLM, a pair", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\4\0", "\x40\0\0\0", "\1\0\0\0") "\x3d\xd8\0\xde"), "\xf0\x9f\x98\x80"},
    {"NTLM, half of a pair", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\2\0", "\x40\0\0\0", "\1\0\0\0") "\x3d\xd8"), NULL},
    {"NTLM, an odd length", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\3\0", "\x40\0\0\0", "\1\0\0\0") "a\0p\0"), NULL},
    {"NTLM, past the end", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\6\0", "\x40\0\0\0", "\1\0\0\0") "a\0p\0"), NULL},
    {"NTLM, far past the end", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\4\0", "\xfe\xff\xff\xff", "\1\0\0\0") "a\0p\0"), NULL},
    {"NTLM, in the head", trap_name_of_ntlm,
        BYTES(NTLM_HEAD("\4\0", "\x08\0\0\0", "\1\0\0\0") "a\0p\0"), NULL},
    {"NTLM, empty", trap_name_of_ntlm, BYTES(NTLM_HEAD("\0\0", "\x40\0\0\0", "\1\0\0\0")), NULL},
    {"NTLM, of type 1", trap_name_of_ntlm, BYTES("NTLMSSP\0\1\0\0\0\7\x82\x08\xa2"), NULL},
    {"NTLM, cut short", trap_name_of_ntlm, BYTES("NTLMSSP\0\3\0\0\0\0"), NULL},
    {"XOAUTH2", trap_name_of_xoauth2, BYTES("user=app1\1auth=Bearer t0ken\1\1"), "app1"},
    {"XOAUTH2, no ^A", trap_name_of_xoauth2, BYTES("user=app1 auth=Bearer t0ken"), NULL},
    {"XOAUTH2, a blank for the first ^A", trap_name_of_xoauth2,
        BYTES("user=app1 auth=Bearer t0ken\1\1"), NULL},
    {"XOAUTH2, the two characters for the first ^A", trap_name_of_xoauth2,
        BYTES("user=app1^Aauth=Bearer t0ken\1\1"), NULL},
    {"XOAUTH2, nothing for the first ^A", trap_name_of_xoauth2,
        BYTES("user=app1AUTH=BEARERt0ken\1\1"), NULL},
    {"XOAUTH2, the token first", trap_name_of_xoauth2, BYTES("auth=Bearer t0ken\1user=app1\1\1"),
        NULL},
    {"XOAUTH2, empty", trap_name_of_xoauth2, BYTES("user=\1auth=Bearer t0ken\1\1"), NULL},
    {"OAUTHBEARER", trap_name_of_oauthbearer,
        BYTES("n,a=a=2Cpp1,\1host=mail\1auth=Bearer t0ken\1\1"), "a,pp1"},
    {"OAUTHBEARER, no name", trap_name_of_oauthbearer, BYTES("n,,\1auth=Bearer t0ken\1\1"), NULL},
    {"OAUTHBEARER, no end of the header", trap_name_of_oauthbearer,
        BYTES("n,a=app1\1auth=Bearer t0ken,\1"), NULL},
    {"OAUTHBEARER, no ^A", trap_name_of_oauthbearer, BYTES("n,a=app1,auth=Bearer t0ken"), NULL},
    {"OAUTHBEARER, cut short", trap_name_of_oauthbearer, BYTES("n,\1"), NULL},
    {"SCRAM", trap_name_of_scram, BYTES("n,,n=app1,r=abc"), "app1"},
    {"SCRAM, no name", trap_name_of_scram, BYTES("n,,r=abc"), NULL},
};

TEST(a_name_is_found_where_the_mechanism_has_it_and_nowhere_else)
{
    for (size_t i = 0; i < ROWS(names); i++) {
        /* In memory of just its size, for ASan. */
        char *message = malloc(names[i].len + (names[i].len == 0));
        char name[TRAP_NAME_MAX];
        size_t len = 0;
        bool found;

        memcpy(message, names[i].message, names[i].len);
        found = names[i].find(message, names[i].len, name, &len);
        free(message);
        if (found != (names[i].name != NULL))
            fail_msg("%s: %.*s", names[i].what, found ? (int)len : 4, found ? name : "none");
        if (found && (len != strlen(names[i].name) || memcmp(name, names[i].name, len) != 0))
            fail_msg("%s: %.*s", names[i].what, (int)len, name);
    }
}

TEST(a_length_that_cannot_be_is_judged_before_a_byte_is_read)
{
    static trap_find_name *const all[] = {trap_name_of_cram_md5, trap_name_of_digest_md5,
        trap_name_of_ntlm, trap_name_of_xoauth2, trap_name_of_oauthbearer, trap_name_of_scram};
    char name[TRAP_NAME_MAX];
    size_t len;

    for (size_t i = 0; i < ROWS(all); i++) {
        assert_false(all[i]("n", 4294967293U, name, &len));
        assert_false(all[i](NULL, 0, name, &len));
    }
}

/* ---- exchanges ---- */

TEST_TRAP(cram_md5_shows_its_name_after_a_challenge)
{
    struct fake_exchange exchange = fake_begin(plug("CRAM-MD5"), plug("CRAM-MD5")->glob_context);

    assert_int_equal(fake_step(&exchange, NULL, 0), SASL_CONTINUE);
    assert_int_equal(exchange.out[0], '<');
    assert_int_equal(exchange.out[exchange.out_len - 1], '>');
    assert_int_equal(fake_say(&exchange, "app1" DIGEST), SASL_BADAUTH);
    fake_end(&exchange);
    expect_row("CRAM-MD5", "app1");
    assert_string_equal(fake_canonical, "app1"); /* the host logs it */
}

TEST_TRAP(digest_md5_shows_its_name_after_a_challenge)
{
    struct fake_exchange exchange =
        fake_begin(plug("DIGEST-MD5"), plug("DIGEST-MD5")->glob_context);
    char challenge[512];

    assert_int_equal(fake_step(&exchange, NULL, 0), SASL_CONTINUE);
    snprintf(challenge, sizeof challenge, "%.*s", (int)exchange.out_len, exchange.out);
    assert_non_null(strstr(challenge, ",realm=\"mail.example\","));
    assert_int_equal(fake_say(&exchange, "username=\"app1\",response=00"), SASL_BADAUTH);
    fake_end(&exchange);
    expect_row("DIGEST-MD5", "app1");
}

TEST_TRAP(ntlm_shows_its_name_in_its_second_message)
{
    struct fake_exchange exchange = fake_begin(plug("NTLM"), plug("NTLM")->glob_context);

    assert_int_equal(fake_step(&exchange, BYTES("NTLMSSP\0\1\0\0\0\7\x82\x08\xa2")), SASL_CONTINUE);
    assert_int_equal(exchange.out_len, 52);
    assert_memory_equal(exchange.out, "NTLMSSP\0\2\0\0", 12);
    assert_int_equal(
        fake_step(&exchange, BYTES(NTLM_HEAD("\4\0", "\x40\0\0\0", "\1\0\0\0") "a\0b\0")),
        SASL_BADAUTH);
    fake_end(&exchange);
    expect_row("NTLM", "ab");
}

static const struct {
    const char *mechanism;
    const char *message;
    const char *name;
} single[] = {
    {"XOAUTH2", "user=app1\1auth=Bearer t0ken\1\1", "app1"},
    {"OAUTHBEARER", "n,a=app1,\1auth=Bearer t0ken\1\1", "app1"},
    {"SCRAM-SHA-1", "n,,n=app1,r=abc", "app1"},
    {"GSSAPI", "anything at all", ""},
    {"CRAM-MD5", "app1" DIGEST, "app1"}, /* a client that does not wait for the challenge */
    {"XOAUTH2", "auth=Bearer t0ken", ""},
};

TEST_TRAP(other_mechanisms_are_refused_after_their_first_message)
{
    for (size_t i = 0; i < ROWS(single); i++) {
        const sasl_server_plug_t *trap = plug(single[i].mechanism);
        struct fake_exchange exchange;

        doubles_reset();
        exchange = fake_begin(trap, trap->glob_context);
        assert_int_equal(fake_say(&exchange, single[i].message), SASL_BADAUTH);
        fake_end(&exchange);
        expect_row(single[i].mechanism, single[i].name);
    }
}

TEST_TRAP(a_trap_that_is_left_is_abandoned)
{
    struct fake_exchange exchange = fake_begin(plug("CRAM-MD5"), plug("CRAM-MD5")->glob_context);

    assert_int_equal(fake_step(&exchange, NULL, 0), SASL_CONTINUE);
    fake_end(&exchange);
    assert_int_equal(double_audit.failures, 1);
    assert_int_equal(double_audit.failure.reason, REASON_ABANDONED_EXCHANGE);
}

TEST_TRAP(no_message_is_ever_accepted)
{
    static const char *const messages[] = {"", "x", "\1", "n,,n=app1,r=abc", ("app1" DIGEST)};

    for (size_t i = 0; i < plug_count; i++)
        for (size_t k = 0; k < ROWS(messages); k++) {
            struct fake_exchange exchange = fake_begin(&plugs[i], plugs[i].glob_context);
            int steps = 0;

            while (exchange.context != NULL && steps++ < 3)
                assert_int_not_equal(fake_say(&exchange, messages[k]), SASL_OK);
            assert_null(exchange.context);
            assert_int_equal(exchange.oparams.doneflag, 0);
        }
}

/* mech_compare() of libsasl looks at these flags one after the other. */
TEST_TRAP(a_trap_sorts_ahead_of_any_stock_mechanism)
{
    for (size_t i = 0; i < plug_count; i++)
        assert_int_equal(plugs[i].security_flags & 0xffff,
            SASL_SEC_NOPLAINTEXT | SASL_SEC_NOACTIVE | SASL_SEC_NODICTIONARY |
                SASL_SEC_FORWARD_SECRECY | SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS |
                SASL_SEC_MUTUAL_AUTH);
}

RUN_TESTS(NULL, NULL)
