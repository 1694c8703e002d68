/*
 * test_saslcode.c: the SASL code of every reason, for each host.
 *
 * A reason that is not named in the table is a refusal: one that is added with another answer must
 * be named here too.
 */
#include "test.h"

#include <sasl/sasl.h>

#include "sasl/saslcode.h"

struct codes {
    int postfix;
    int exim;
};

static const struct {
    enum reason reason;
    struct codes want;
} exceptions[] = {
    {REASON_ACCEPTED, {SASL_OK, SASL_OK}},
    {REASON_MALFORMED_RESPONSE, {SASL_BADPROT, SASL_BADAUTH}},
    {REASON_THROTTLED, {SASL_UNAVAIL, SASL_UNAVAIL}},
    {REASON_BACKEND_UNAVAILABLE, {SASL_UNAVAIL, SASL_UNAVAIL}},
    {REASON_UNUSABLE_HASH, {SASL_UNAVAIL, SASL_UNAVAIL}},
    {REASON_IP_NOT_AUTHORIZED, {SASL_NOAUTHZ, SASL_NOAUTHZ}},
};

static struct codes wanted(enum reason reason)
{
    static const struct codes refusal = {SASL_BADAUTH, SASL_BADAUTH};

    for (size_t i = 0; i < ROWS(exceptions); i++)
        if (exceptions[i].reason == reason)
            return exceptions[i].want;
    return refusal;
}

static void expect_code(const char *whose, enum reason reason, int code, int want)
{
    if (code != want)
        fail_msg("%s, %s: code %d in place of %d", reason_name(reason), whose, code, want);
}

TEST(every_reason_has_its_code)
{
    for (int i = 0; i <= REASON_ACCEPTED; i++) {
        enum reason reason = (enum reason)i;
        struct codes want = wanted(reason);

        expect_code("Postfix", reason, saslcode_for(reason, "smtpd"), want.postfix);
        expect_code("Exim", reason, saslcode_for(reason, "exim"), want.exim);
        expect_code("another host", reason, saslcode_for(reason, "imapd"), want.postfix);
        expect_code("a host without a name", reason, saslcode_for(reason, NULL), want.postfix);
    }
}

TEST(what_is_no_reason_is_a_temporary_failure)
{
    static const int numbers[] = {-1, REASON_ACCEPTED + 1, 1000};

    for (size_t i = 0; i < ROWS(numbers); i++) {
        assert_int_equal(saslcode_for((enum reason)numbers[i], "smtpd"), SASL_UNAVAIL);
        assert_int_equal(saslcode_for((enum reason)numbers[i], "exim"), SASL_UNAVAIL);
    }
}

RUN_TESTS(NULL, NULL)
