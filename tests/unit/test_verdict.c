/*
 * test_verdict.c: the order of the checks, their names, and that nothing unforeseen is ever
 * accepted.
 *
 * The order is written out here once more, as DESIGN.md has it, so that a change of it is made
 * twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "auth/verdict.h"

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

/* The first failing check of any pair is the one that stands higher. */
static const struct {
    enum reason reason;
    const char *name;
} order[] = {
    {REASON_MALFORMED_RESPONSE, "malformed_response"},
    {REASON_AUTHZID_MISMATCH, "authzid_mismatch"},
    {REASON_TLS_REQUIRED, "tls_required"},
    {REASON_THROTTLED, "throttled"},
    {REASON_BACKEND_UNAVAILABLE, "backend_unavailable"},
    {REASON_DELETED_USER, "deleted_user"},
    {REASON_USERNAME_HAS_AT, "username_has_at"},
    {REASON_USERNAME_WHITESPACE, "username_whitespace"},
    {REASON_UNKNOWN_USER, "unknown_user"},
    {REASON_ACCOUNT_CLOSED, "account_closed"},
    {REASON_ACCOUNT_SUSPENDED, "account_suspended"},
    {REASON_ACCOUNT_PAST_DUE, "account_past_due"},
    {REASON_DISABLED_USER, "disabled_user"},
    {REASON_UNUSABLE_HASH, "unusable_hash"},
    {REASON_STALE_PASSWORD, "stale_password"},
    {REASON_PASSWORD_WHITESPACE, "password_whitespace"},
    {REASON_WRONG_PASSWORD, "wrong_password"},
    {REASON_IP_NOT_AUTHORIZED, "ip_not_authorized"},
};

static void each_reason_has_its_name(void **state)
{
    (void)state;
    assert_int_equal(ROWS(order), REASON_COUNT);
    for (size_t i = 0; i < ROWS(order); i++)
        assert_string_equal(reason_name(order[i].reason), order[i].name);
    assert_string_equal(reason_name(REASON_ACCEPTED), "accepted");
    assert_string_equal(reason_name((enum reason)(REASON_COUNT + 1)), "backend_unavailable");
}

static void the_first_failing_check_is_the_reason(void **state)
{
    reason_set later = 0;

    (void)state;
    for (size_t first = ROWS(order); first-- > 0;) {
        reason_set bit = REASON_BIT(order[first].reason);

        assert_int_equal(verdict_reason(bit), order[first].reason);
        assert_int_equal(verdict_reason(bit | later), order[first].reason);
        for (size_t second = first + 1; second < ROWS(order); second++)
            assert_int_equal(
                verdict_reason(bit | REASON_BIT(order[second].reason)), order[first].reason);
        later |= bit;
    }
}

static void only_the_empty_set_is_accepted(void **state)
{
    const enum reason zeroed = {0};

    (void)state;
    assert_int_equal(zeroed, REASON_BACKEND_UNAVAILABLE);
    assert_int_equal(verdict_reason(0), REASON_ACCEPTED);
    for (unsigned bit = 0; bit < 32; bit++)
        assert_int_not_equal(verdict_reason((reason_set)1 << bit), REASON_ACCEPTED);
    assert_int_equal(verdict_reason((reason_set)1 << 31), REASON_BACKEND_UNAVAILABLE);
}

static void checks_are_an_array_literal(void **state)
{
    static const struct {
        const char *proves;
        reason_set failed;
        const char *want;
    } cases[] = {
        {"none", 0, "{}"},
        {"one", REASON_BIT(REASON_WRONG_PASSWORD), "{wrong_password}"},
        {"two, in order", REASON_BIT(REASON_WRONG_PASSWORD) | REASON_BIT(REASON_ACCOUNT_SUSPENDED),
            "{account_suspended,wrong_password}"},
        {"the backend stands where the look-up does",
            REASON_BIT(REASON_BACKEND_UNAVAILABLE) | REASON_BIT(REASON_TLS_REQUIRED),
            "{tls_required,backend_unavailable}"},
        {"first and last",
            REASON_BIT(REASON_MALFORMED_RESPONSE) | REASON_BIT(REASON_IP_NOT_AUTHORIZED),
            "{malformed_response,ip_not_authorized}"},
        {"a stray bit has no name", (reason_set)1 << 31, "{}"},
    };
    char out[VERDICT_CHECKS_MAX];

    (void)state;
    for (size_t i = 0; i < ROWS(cases); i++) {
        verdict_checks_text(cases[i].failed, out, sizeof(out));
        if (strcmp(out, cases[i].want) != 0)
            fail_msg("%s: got %s", cases[i].proves, out);
    }
}

static void all_checks_fit(void **state)
{
    char out[VERDICT_CHECKS_MAX];
    size_t names = 0;
    size_t commas = 0;

    (void)state;
    verdict_checks_text(~(reason_set)0, out, sizeof(out));
    for (size_t i = 0; i < ROWS(order); i++)
        names += strlen(order[i].name);
    for (const char *at = out; *at; at++)
        commas += *at == ',';
    assert_int_equal(commas, ROWS(order) - 1);
    assert_int_equal(strlen(out), names + commas + strlen("{}"));
}

/* Whatever the cap: a whole literal of whole names, and not a byte past it. */
static void a_short_cap_leaves_out_whole_names(void **state)
{
    static const reason_set failed =
        REASON_BIT(REASON_DISABLED_USER) | REASON_BIT(REASON_WRONG_PASSWORD);
    static const char whole[] = "{disabled_user,wrong_password}";
    char out[sizeof(whole) + 1];

    (void)state;
    for (size_t cap = 0; cap <= sizeof(whole); cap++) {
        const char *want = "";

        if (cap >= sizeof(whole))
            want = whole;
        else if (cap > sizeof("{disabled_user}"))
            want = "{disabled_user}";
        else if (cap >= sizeof("{}"))
            want = "{}";
        memset(out, 'X', sizeof(out));
        verdict_checks_text(failed, out, cap);
        assert_int_equal(out[cap], 'X');
        if (cap > 0)
            assert_string_equal(out, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_its_name),
        cmocka_unit_test(the_first_failing_check_is_the_reason),
        cmocka_unit_test(only_the_empty_set_is_accepted),
        cmocka_unit_test(checks_are_an_array_literal),
        cmocka_unit_test(all_checks_fit),
        cmocka_unit_test(a_short_cap_leaves_out_whole_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
