/*
 * test_row.c: the JSON objects of a failed attempt and of a login.
 */
#include "test.h"

#include <string.h>

#include "auth/row.h"

static struct credentials credentials;

static const struct attempt full = {
    .credentials = &credentials,
    .mechanism = "PLAIN",
    .client = {"192.0.2.7", 40000},
    .server = {"198.51.100.1", 587},
    .service = "smtp",
    .server_host = "mail.example.com",
};

static const struct attempt bare = {.credentials = &credentials, .mechanism = "LOGIN"};

static const struct timespec moment = {1769860800, 123456789}; /* 2026-01-31 12:00:00 UTC */

#define ID "0190b7a4-0000-7000-8000-000000000000"

TEST(a_failure_has_the_names_of_the_columns)
{
    const struct failure failure = {
        .attempt = &full,
        .attempt_id = ID,
        .occurred_at = moment,
        .reason = REASON_ACCOUNT_SUSPENDED,
        .failed = REASON_BIT(REASON_WRONG_PASSWORD) | REASON_BIT(REASON_ACCOUNT_SUSPENDED),
        .user_id = "7",
        .detail = "why",
    };
    char row[ROW_MAX];
    size_t len;

    strcpy(credentials.display_name, "caf\xc3\xa9");
    len = row_of_failure(&failure, row, sizeof row);
    assert_int_equal(len, strlen(row));
    assert_string_equal(row,
        "{\"attempt_id\":\"" ID "\",\"occurred_at\":\"2026-01-31T12:00:00.123456Z\","
        "\"username\":\"caf\\u00e9\",\"user_id\":\"7\",\"reason\":\"account_suspended\","
        "\"failed_checks\":[\"account_suspended\",\"wrong_password\"],\"mechanism\":\"PLAIN\","
        "\"client_addr\":\"192.0.2.7\",\"client_port\":40000,\"server_addr\":\"198.51.100.1\","
        "\"service\":\"smtp\",\"server_host\":\"mail.example.com\",\"detail\":\"why\"}");
}

TEST(what_is_unknown_is_absent)
{
    const struct failure failure = {
        .attempt = &bare,
        .attempt_id = ID,
        .occurred_at = moment,
        .reason = REASON_MALFORMED_RESPONSE,
        .failed = REASON_BIT(REASON_MALFORMED_RESPONSE),
        .detail = "",
    };
    char row[ROW_MAX];

    credentials.display_name[0] = '\0';
    assert_true(row_of_failure(&failure, row, sizeof row) > 0);
    assert_string_equal(row,
        "{\"attempt_id\":\"" ID "\",\"occurred_at\":\"2026-01-31T12:00:00.123456Z\","
        "\"reason\":\"malformed_response\",\"failed_checks\":[\"malformed_response\"],"
        "\"mechanism\":\"LOGIN\"}");
}

TEST(the_longest_row_fits)
{
    char long_text[1000];
    struct attempt attempt = full;
    struct failure failure = {
        .attempt = &attempt,
        .attempt_id = ID,
        .occurred_at = moment,
        .failed = (reason_set)-1,
        .user_id = long_text,
        .detail = long_text,
    };
    char row[ROW_MAX];

    memset(long_text, '\x01', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    memset(credentials.display_name, '\\', DISPLAY_NAME_MAX - 1);
    attempt.mechanism = attempt.service = attempt.server_host = long_text;
    assert_true(row_of_failure(&failure, row, sizeof row) > 0);
}

TEST(a_login_names_its_retired_password)
{
    struct login login = {&full, moment, "7", NULL, 0};
    char row[ROW_MAX];

    assert_true(row_of_login(&login, row, sizeof row) > 0);
    assert_string_equal(row,
        "{\"occurred_at\":\"2026-01-31T12:00:00.123456Z\",\"user_id\":\"7\","
        "\"mechanism\":\"PLAIN\",\"client_addr\":\"192.0.2.7\",\"client_port\":40000,"
        "\"server_addr\":\"198.51.100.1\",\"service\":\"smtp\","
        "\"server_host\":\"mail.example.com\"}");
    login.retired_id = "12";
    assert_true(row_of_login(&login, row, sizeof row) > 0);
    assert_non_null(strstr(row, "\"user_id\":\"7\",\"retired_id\":\"12\","));
}

TEST(both_report_what_waits_in_the_spool)
{
    const struct login login = {&full, moment, "7", NULL, 4096};
    const struct failure failure = {.attempt = &bare,
        .attempt_id = ID,
        .occurred_at = moment,
        .detail = "",
        .spool_waiting = 1};
    char row[ROW_MAX];

    assert_true(row_of_login(&login, row, sizeof row) > 0);
    assert_non_null(strstr(row, ",\"spool_waiting\":4096}"));
    assert_true(row_of_failure(&failure, row, sizeof row) > 0);
    assert_non_null(strstr(row, ",\"spool_waiting\":1}"));
}

TEST(attempt_ids_are_unique_and_in_order_of_time)
{
    struct failure first = {.occurred_at = {1769860800, 0}};
    struct failure second = {.occurred_at = {1769860800, 1000000}};
    struct failure again = {.occurred_at = {1769860800, 1000000}};

    assert_true(row_set_id(&first) && row_set_id(&second) && row_set_id(&again));
    assert_true(strcmp(first.attempt_id, second.attempt_id) < 0);
    assert_string_not_equal(second.attempt_id, again.attempt_id);
    assert_int_equal(first.attempt_id[14], '7');
    assert_non_null(strchr("89ab", first.attempt_id[19]));
}

RUN_TESTS(NULL, NULL)
