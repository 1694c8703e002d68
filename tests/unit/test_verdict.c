/*
 * test_verdict.c: the order of the checks, their names, and that nothing unforeseen is ever
 * accepted.
 *
 * The reasons come from reasons.def, as in verdict.c. What must not change there by accident is
 * repeated here.
 */
#include "test.h"

#include <ctype.h>
#include <string.h>

#include "auth/verdict.h"

static const struct {
    enum reason reason;
    const char *enumerator;
    const char *name;
} order[] = {
#define REASON(NAME, name, ...) {REASON_##NAME, #NAME, #name},
#include "auth/reasons.def"
};

TEST(each_reason_has_its_name)
{
    assert_int_equal(ROWS(order), REASON_COUNT);
    for (size_t i = 0; i < ROWS(order); i++) {
        assert_string_equal(reason_name(order[i].reason), order[i].name);
        assert_int_equal(strlen(order[i].enumerator), strlen(order[i].name));
        for (size_t at = 0; order[i].name[at] != '\0'; at++)
            assert_int_equal(tolower((unsigned char)order[i].enumerator[at]), order[i].name[at]);
    }
    assert_string_equal(reason_name(REASON_ACCEPTED), "accepted");
    assert_string_equal(reason_name((enum reason)(REASON_COUNT + 1)), "backend_unavailable");
    assert_string_equal(reason_name((enum reason) - 1), "backend_unavailable");
}

TEST(each_reason_has_its_number)
{
    reason_set seen = 0;

    for (size_t i = 0; i < ROWS(order); i++) {
        assert_true(order[i].reason < REASON_COUNT);
        assert_int_equal(seen & REASON_BIT(order[i].reason), 0);
        seen |= REASON_BIT(order[i].reason);
    }
}

/* Checks that fail together in one attempt, and which of them must be the reason. */
TEST(the_order_is_that_of_the_design)
{
    static const enum reason design[] = {
        REASON_MALFORMED_RESPONSE,
        REASON_AUTHZID_MISMATCH,
        REASON_TLS_REQUIRED,
        REASON_THROTTLED,
        REASON_BACKEND_UNAVAILABLE,
        REASON_DELETED_USER,
        REASON_USERNAME_HAS_AT,
        REASON_USERNAME_WHITESPACE,
        REASON_UNKNOWN_USER,
        REASON_ACCOUNT_CLOSED,
        REASON_ACCOUNT_SUSPENDED,
        REASON_ACCOUNT_PAST_DUE,
        REASON_DISABLED_USER,
        REASON_EXPIRED_USER,
        REASON_UNUSABLE_HASH,
        REASON_STALE_PASSWORD,
        REASON_PASSWORD_WHITESPACE,
        REASON_WRONG_PASSWORD,
        REASON_IP_NOT_AUTHORIZED,
    };

    for (size_t first = 0; first < ROWS(design); first++)
        for (size_t second = first + 1; second < ROWS(design); second++)
            assert_int_equal(verdict_reason(REASON_BIT(design[first]) | REASON_BIT(design[second])),
                design[first]);
}

TEST(the_first_failing_check_is_the_reason)
{
    reason_set later = 0;

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

TEST(only_the_empty_set_is_accepted)
{
    const enum reason zeroed = {0};

    assert_int_equal(zeroed, REASON_BACKEND_UNAVAILABLE);
    assert_int_equal(verdict_reason(0), REASON_ACCEPTED);
    for (unsigned bit = 0; bit < 32; bit++)
        assert_int_not_equal(verdict_reason((reason_set)1 << bit), REASON_ACCEPTED);
    assert_int_equal(verdict_reason((reason_set)1 << 31), REASON_BACKEND_UNAVAILABLE);
}

/* Sets are iterated in order, each reason once; bits of no reason are skipped. */
TEST(next_goes_through_the_set_in_order)
{
    static const reason_set sets[] = {
        0,
        REASON_BIT(REASON_MALFORMED_RESPONSE),
        REASON_BIT(REASON_BACKEND_UNAVAILABLE),
        REASON_BIT(REASON_IP_NOT_AUTHORIZED),
        REASON_BIT(REASON_IP_NOT_AUTHORIZED) | REASON_BIT(REASON_MALFORMED_RESPONSE),
        REASON_BIT(REASON_BACKEND_UNAVAILABLE) | REASON_BIT(REASON_TLS_REQUIRED) |
            REASON_BIT(REASON_DELETED_USER),
        (reason_set)1 << 31,
        ~(reason_set)0,
    };

    for (size_t i = 0; i < ROWS(sets); i++) {
        enum reason reason = verdict_next(sets[i], REASON_ACCEPTED);

        for (size_t at = 0; at < ROWS(order); at++) {
            if ((sets[i] & REASON_BIT(order[at].reason)) == 0)
                continue;
            assert_int_equal(reason, order[at].reason);
            reason = verdict_next(sets[i], reason);
        }
        assert_int_equal(reason, REASON_ACCEPTED);
    }
    assert_int_equal(
        verdict_next(~(reason_set)0, (enum reason)(REASON_COUNT + 1)), REASON_ACCEPTED);
}

RUN_TESTS(NULL, NULL)
