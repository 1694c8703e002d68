/*
 * test_exchange.c: exchanges of PLAIN and LOGIN that end with a verdict, and those that the client
 * breaks off: each leaves one row.
 */
#include "test.h"

#include <string.h>

#include "doubles.h"
#include "fake_host.h"
#include "sasl/mechanisms.h"

/* SHA-256-crypt, 1,000 rounds, of "right". */
#define RIGHT_HASH "$5$rounds=1000$saltysalt$qlwZSzJ.XyNzxcUBrTZdQ750RejUHiLt.3nPiNdBbe9"

static struct backend *backend;

static int set_up(void **state)
{
    (void)state;
    doubles_reset();
    fake_host_reset("smtpd");
    backend = double_backend();
    doubles_find_user(RIGHT_HASH);
    return 0;
}

static void expect_row(enum reason reason, const char *username)
{
    assert_int_equal(double_audit.failures, 1);
    assert_string_equal(reason_name(double_audit.failure.reason), reason_name(reason));
    assert_int_equal(double_audit.failure.failed, REASON_BIT(reason));
    assert_string_equal(double_audit.username, username);
    assert_int_equal(double_audit.logins, 0);
}

static void expect_no_row(void)
{
    assert_int_equal(double_audit.failures, 0);
}

#define TEST_EXCHANGE(name) TEST_WITH(name, set_up, NULL)

TEST_EXCHANGE(a_right_password_is_accepted_and_noted)
{
    struct fake_exchange plain = fake_begin(&mech_plain, backend);

    assert_int_equal(fake_step(&plain, BYTES("\0app1\0right")), SASL_OK);
    assert_int_equal(plain.oparams.doneflag, 1);
    assert_string_equal(fake_canonical, "app1");
    fake_end(&plain);
    expect_no_row();
    assert_int_equal(double_audit.logins, 1);
}

TEST_EXCHANGE(a_wrong_password_is_one_row_whatever_libsasl_disposes_of)
{
    struct fake_exchange login = fake_begin(&mech_login, backend);

    assert_int_equal(fake_step(&login, NULL, 0), SASL_CONTINUE);
    assert_int_equal(fake_say(&login, "app1"), SASL_CONTINUE);
    assert_int_equal(fake_say(&login, "wrong"), SASL_BADAUTH);
    fake_end(&login);
    expect_row(REASON_WRONG_PASSWORD, "app1");
}

TEST_EXCHANGE(plain_that_is_never_answered_is_abandoned_without_a_name)
{
    struct fake_exchange plain = fake_begin(&mech_plain, backend);

    fake_end(&plain);
    expect_row(REASON_ABANDONED_EXCHANGE, "");
    assert_string_equal(double_audit.mechanism, "PLAIN");
    assert_int_equal(double_lookup.calls, 0);
}

TEST_EXCHANGE(login_that_is_left_at_its_first_prompt_is_abandoned_without_a_name)
{
    struct fake_exchange login = fake_begin(&mech_login, backend);

    fake_step(&login, NULL, 0);
    fake_end(&login);
    expect_row(REASON_ABANDONED_EXCHANGE, "");
}

TEST_EXCHANGE(login_that_is_left_at_its_second_prompt_is_abandoned_with_its_name)
{
    struct fake_exchange login = fake_begin(&mech_login, backend);

    fake_step(&login, NULL, 0);
    fake_say(&login, "app1");
    fake_end(&login);
    expect_row(REASON_ABANDONED_EXCHANGE, "app1");
    assert_string_equal(double_audit.mechanism, "LOGIN");
}

TEST_EXCHANGE(a_bad_name_that_is_abandoned_is_just_that)
{
    struct fake_exchange login = fake_begin(&mech_login, backend);

    fake_step(&login, NULL, 0);
    fake_say(&login, "caf\xe9");
    fake_end(&login);
    expect_row(REASON_ABANDONED_EXCHANGE, "caf\\xe9");
}

TEST_EXCHANGE(an_empty_response_under_exim_is_a_hang_up)
{
    struct fake_exchange exchange;

    fake_host_reset("exim");
    exchange = fake_begin(&mech_plain, backend);
    assert_int_equal(fake_step(&exchange, "", 0), SASL_BADAUTH);
    fake_end(&exchange);
    expect_row(REASON_ABANDONED_EXCHANGE, "");
    assert_string_equal(fake_canonical, "-"); /* without a name Exim logs an error of its own */

    set_up(NULL);
    fake_host_reset("exim");
    exchange = fake_begin(&mech_login, backend);
    assert_int_equal(fake_step(&exchange, NULL, 0), SASL_CONTINUE);
    assert_int_equal(fake_step(&exchange, "", 0), SASL_BADAUTH);
    fake_end(&exchange);
    expect_row(REASON_ABANDONED_EXCHANGE, "");

    set_up(NULL);
    fake_host_reset("exim");
    exchange = fake_begin(&mech_login, backend);
    assert_int_equal(fake_step(&exchange, NULL, 0), SASL_CONTINUE);
    assert_int_equal(fake_say(&exchange, "app1"), SASL_CONTINUE);
    assert_int_equal(fake_step(&exchange, "", 0), SASL_BADAUTH);
    fake_end(&exchange);
    expect_row(REASON_ABANDONED_EXCHANGE, "app1");
}

TEST_EXCHANGE(an_empty_response_elsewhere_is_malformed)
{
    struct fake_exchange plain = fake_begin(&mech_plain, backend);

    assert_int_equal(fake_step(&plain, "", 0), SASL_BADPROT);
    fake_end(&plain);
    expect_row(REASON_MALFORMED_RESPONSE, "");
}

TEST_EXCHANGE(an_exchange_without_memory_is_recorded_too)
{
    struct fake_exchange plain;

    fake_has_no_memory = true;
    plain = fake_begin(&mech_plain, backend);
    assert_int_equal(plain.code, SASL_UNAVAIL);
    expect_row(REASON_BACKEND_UNAVAILABLE, "");
    assert_string_equal(double_audit.detail, "out of memory");
}

TEST_EXCHANGE(what_the_row_needs_is_copied_when_the_exchange_begins)
{
    char service[] = "submission";
    char host[] = "mail.example";
    char address[] = "192.0.2.9;4711";
    struct fake_exchange plain;

    fake_sparams.service = service;
    fake_sparams.serverFQDN = host;
    fake_sparams.ipremoteport = address;
    plain = fake_begin(&mech_plain, backend);
    memset(service, 'x', sizeof service - 1);
    memset(host, 'x', sizeof host - 1);
    memset(address, 'x', sizeof address - 1);
    fake_end(&plain);
    expect_row(REASON_ABANDONED_EXCHANGE, "");
    assert_string_equal(double_audit.service, "submission");
    assert_string_equal(double_audit.server_host, "mail.example");
    assert_string_equal(double_audit.client.text, "192.0.2.9");
    assert_int_equal(double_audit.client.port, 4711);
}

/* ---- hosts that do things of their own ---- */

#define MECHANISM_ADDRESS(plug) &plug,
static const sasl_server_plug_t *const plugs[] = {MECHANISMS(MECHANISM_ADDRESS)};

/* pgsasl lets no user act as another, so it must not claim this feature. */
TEST(no_mechanism_promises_to_act_as_another)
{
    for (size_t i = 0; i < ROWS(plugs); i++)
        assert_int_equal(plugs[i]->features & SASL_FEAT_ALLOWS_PROXY, 0);
}

static const size_t wrong_length = 4294967293U; /* of Cyrus SASL's own testsuite */

TEST_EXCHANGE(a_message_whose_length_the_host_has_wrong_is_malformed)
{
    for (size_t i = 0; i < ROWS(plugs); i++) {
        struct fake_exchange exchange;

        if (plugs[i] == &mech_login)
            continue;
        set_up(NULL);
        exchange = fake_begin(plugs[i], backend);
        assert_int_equal(fake_step(&exchange, "\0user\0pw", wrong_length), SASL_BADPROT);
        fake_end(&exchange);
        expect_row(REASON_MALFORMED_RESPONSE, "");
        assert_non_null(strstr(double_audit.detail, "message is longer than"));
    }
}

/* One exchange of LOGIN, in which one of the lengths is wrong. */
static void log_in(size_t name_len, size_t password_len, const char *shown)
{
    struct fake_exchange login;

    set_up(NULL);
    login = fake_begin(&mech_login, backend);
    assert_int_equal(fake_step(&login, NULL, 0), SASL_CONTINUE);
    assert_int_equal(fake_step(&login, "user", name_len), SASL_CONTINUE);
    assert_int_equal(fake_step(&login, "pw", password_len), SASL_BADPROT);
    fake_end(&login);
    expect_row(REASON_MALFORMED_RESPONSE, shown);
    assert_non_null(strstr(double_audit.detail, "message is longer than"));
}

TEST_EXCHANGE(login_bears_a_wrong_length)
{
    log_in(wrong_length, 2, "");
    log_in(4, wrong_length, "user");
}

RUN_TESTS(NULL, NULL)
