/*
 * test_auth.c: from what the look-up says to the verdict, with doubles of lookup.c and audit.c.
 *
 * The doubles (doubles.h) give the user that a row of the table describes and keep the failure that
 * would be stored.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth.h"
#include "doubles.h"

/* bcrypt at cost 4 of "correct horse", made by htpasswd -nbB -C 4. */
#define RIGHT_HASH "$2y$04$VHw3P7/ijGPbAUxdVQk2GeRy6Be7aRcqNdHiUu8Xfd40SBVnirwJO"

/* The same of "old horse". */
#define OLD_HASH "$2y$04$22.Yup6XYSVGlu367hrcV.jHlHpIrFjEmUEIoMLLEk.zhJV.iLwXe"

static unsigned parses; /* of hashes that the row holds */

/* The linker puts this one before hash.c's. */
bool __real_hash_parse(const char *stored, struct hash *hash_r);
bool __wrap_hash_parse(const char *stored, struct hash *hash_r);

bool __wrap_hash_parse(const char *stored, struct hash *hash_r)
{
    parses += stored != NULL;
    return __real_hash_parse(stored, hash_r);
}

#define ALL_CHECKS(a, b) (REASON_BIT(a) | REASON_BIT(b))

static char id[] = "7";

struct row {
    const char *what;
    const char *name;
    const char *password;
    const char *authzid;
    const char *fault;
    struct user user;
    enum lookup_result result;
    bool require_tls;
    bool name_refused;
    enum reason reason;
    reason_set failed;  /* 0: just the reason's bit */
    const char *detail; /* NULL: not looked at */
    bool noted;         /* the login is to be noted */
    const char *noted_retired_id;
};

#define USER(text_of_hash, on, allowed)                                       \
    .found = true, .user_id = id, .hash.text = text_of_hash, .enabled = (on), \
    .client_allowed = (allowed)
#define RETIRED(in_grace)                                                     \
    .retired_count = 1, .retired = {{.stored = (char[]){OLD_HASH},            \
                            .retired_at = (char[]){"2026-01-31 12:00:00+00"}, \
                            .id = (char[]){"12"},                             \
                            .accepted = in_grace}}
#define LIVE USER(RIGHT_HASH, true, true)
#define RIGHT .name = "app1", .password = "correct horse", .result = LOOKUP_DONE
#define WRONG .name = "app1", .password = "battery staple", .result = LOOKUP_DONE

static const struct row rows[] = {
    {"right password", RIGHT, .user = {LIVE}, .reason = REASON_ACCEPTED},
    {"authzid equal to authcid", RIGHT, .authzid = "app1", .user = {LIVE},
        .reason = REASON_ACCEPTED},
    {"right password, a stamp is due", RIGHT, .user = {LIVE, .login_due = true},
        .reason = REASON_ACCEPTED, .noted = true},
    {"retired password inside its grace", .name = "app1", .password = "old horse",
        .result = LOOKUP_DONE, .user = {LIVE, RETIRED(true)}, .reason = REASON_ACCEPTED,
        .noted = true, .noted_retired_id = "12"},
    {"retired password after its grace", .name = "app1", .password = "old horse",
        .result = LOOKUP_DONE, .user = {LIVE, RETIRED(false)}, .reason = REASON_STALE_PASSWORD,
        .detail = "the password was rotated at 2026-01-31 12:00:00+00"},
    {"retired password inside its grace, disabled", .name = "app1", .password = "old horse",
        .result = LOOKUP_DONE,
        .user = {USER(RIGHT_HASH, false, true), RETIRED(true), .login_due = true},
        .reason = REASON_DISABLED_USER},
    {"retired password inside its grace, suspended", .name = "app1", .password = "old horse",
        .result = LOOKUP_DONE, .user = {LIVE, RETIRED(true), .standing = STANDING_SUSPENDED},
        .reason = REASON_ACCOUNT_SUSPENDED},
    {"retired password of a deleted user", .name = "app1", .password = "old horse",
        .result = LOOKUP_DONE, .user = {.deleted = true, RETIRED(true)},
        .reason = REASON_DELETED_USER},
    {"white space around the right password", .name = "app1", .password = " correct horse\t",
        .result = LOOKUP_DONE, .user = {LIVE}, .reason = REASON_PASSWORD_WHITESPACE},
    {"e-mail address of a user", .name = "app1@example.com", .password = "x", .result = LOOKUP_DONE,
        .user = {.local_part_known = true}, .reason = REASON_USERNAME_HAS_AT,
        .detail = "the part before the @ is a user name of ours"},
    {"wrong password", WRONG, .user = {LIVE}, .reason = REASON_WRONG_PASSWORD},
    {"authzid of another", RIGHT, .authzid = "app2", .user = {LIVE},
        .reason = REASON_AUTHZID_MISMATCH},
    {"TLS asked for", RIGHT, .require_tls = true, .user = {LIVE}, .reason = REASON_TLS_REQUIRED},
    {"no such user", RIGHT, .reason = REASON_UNKNOWN_USER},
    {"deleted", RIGHT, .user = {.deleted = true}, .reason = REASON_DELETED_USER},
    {"e-mail address", .name = "app1@example.com", .password = "x", .result = LOOKUP_DONE,
        .reason = REASON_USERNAME_HAS_AT},
    {"blank behind the name", .name = "app1 ", .password = "x", .result = LOOKUP_DONE,
        .reason = REASON_USERNAME_WHITESPACE},
    {"blank behind a name that a site's table has", .name = "app1 ", .password = "correct horse",
        .result = LOOKUP_DONE, .user = {LIVE}, .reason = REASON_USERNAME_WHITESPACE},
    {"closed", RIGHT, .user = {LIVE, .standing = STANDING_CLOSED}, .reason = REASON_ACCOUNT_CLOSED},
    {"past due", RIGHT, .user = {LIVE, .standing = STANDING_PAST_DUE},
        .reason = REASON_ACCOUNT_PAST_DUE},
    {"suspended, password wrong too", WRONG, .user = {LIVE, .standing = STANDING_SUSPENDED},
        .reason = REASON_ACCOUNT_SUSPENDED,
        .failed = ALL_CHECKS(REASON_ACCOUNT_SUSPENDED, REASON_WRONG_PASSWORD)},
    {"standing is no known word", RIGHT, .user = {LIVE, .standing = STANDING_UNKNOWN},
        .reason = REASON_BACKEND_UNAVAILABLE},
    {"disabled", RIGHT, .user = {USER(RIGHT_HASH, false, true)}, .reason = REASON_DISABLED_USER},
    {"expired", RIGHT, .user = {LIVE, .expired = true}, .reason = REASON_EXPIRED_USER},
    {"empty hash", RIGHT, .user = {USER("", true, true)}, .reason = REASON_UNUSABLE_HASH},
    {"hash above the ceiling", RIGHT, .user = {LIVE, .hash_fault = "takes too much"},
        .reason = REASON_UNUSABLE_HASH, .detail = "takes too much"},
    {"address not on the list", RIGHT, .user = {USER(RIGHT_HASH, true, false)},
        .reason = REASON_IP_NOT_AUTHORIZED},
    {"address not on the list, password wrong", WRONG, .user = {USER(RIGHT_HASH, true, false)},
        .reason = REASON_WRONG_PASSWORD,
        .failed = ALL_CHECKS(REASON_WRONG_PASSWORD, REASON_IP_NOT_AUTHORIZED)},
    {"throttled: the right password is not looked at", RIGHT, .user = {LIVE, .throttled = true},
        .reason = REASON_THROTTLED},
    {"database down", .name = "app1", .password = "correct horse", .result = LOOKUP_UNAVAILABLE,
        .reason = REASON_BACKEND_UNAVAILABLE},
    {"query at fault", .name = "app1", .password = "correct horse", .result = LOOKUP_MISCONFIGURED,
        .reason = REASON_BACKEND_UNAVAILABLE},
    {"malformed", RIGHT, .user = {LIVE}, .fault = "is malformed",
        .reason = REASON_MALFORMED_RESPONSE},
    {"the host refuses the name", RIGHT, .name_refused = true, .user = {LIVE},
        .reason = REASON_BACKEND_UNAVAILABLE, .failed = REASON_BIT(REASON_BACKEND_UNAVAILABLE)},
};

static void put(char *to, size_t *len_r, const char *text)
{
    if (text == NULL)
        return;
    strcpy(to, text);
    *len_r = strlen(text);
}

static void check_failure(const struct row *row)
{
    const struct failure *failure = &double_audit.failure;

    assert_int_equal(failure->reason, row->reason);
    if (failure->failed != (row->failed != 0 ? row->failed : REASON_BIT(row->reason)))
        fail_msg("%s: failed checks %x", row->what, failure->failed);
    assert_string_equal(double_audit.username, row->name);
    if (row->detail != NULL)
        assert_string_equal(double_audit.detail, row->detail);
}

static void check_row(const struct row *row)
{
    struct backend *backend = double_backend();
    struct credentials credentials;
    struct attempt attempt = {
        .credentials = &credentials, .fault = row->fault, .mechanism = "PLAIN"};
    enum reason reason;

    memset(&credentials, 0, sizeof credentials);
    backend->options.require_tls = row->require_tls;
    put(credentials.authcid, &credentials.authcid_len, row->name);
    put(credentials.password, &credentials.password_len, row->password);
    put(credentials.authzid, &credentials.authzid_len, row->authzid);
    strcpy(credentials.display_name, row->name);
    attempt.canon_ok = !row->name_refused;
    doubles_reset();
    double_lookup.row = row->user;
    double_lookup.result = row->result;
    parses = 0;
    reason = auth_attempt(backend, &attempt);
    if (reason != row->reason)
        fail_msg("%s: %s, wanted %s", row->what, reason_name(reason), reason_name(row->reason));
    /* The current hash once; a retired one at most once, and never for the current password. */
    if (parses > 1 + (row->noted_retired_id != NULL || reason != REASON_ACCEPTED
                             ? row->user.retired_count
                             : 0))
        fail_msg("%s: %u parses", row->what, parses);
    assert_int_equal(double_audit.failures, reason == REASON_ACCEPTED ? 0 : 1);
    if (double_audit.logins != (row->noted ? 1 : 0))
        fail_msg("%s: noted %d times", row->what, double_audit.logins);
    assert_string_equal(
        double_audit.login_retired_id, row->noted_retired_id == NULL ? "" : row->noted_retired_id);
    if (reason != REASON_ACCEPTED)
        check_failure(row);
}

TEST(each_look_up_comes_to_its_verdict)
{
    for (size_t i = 0; i < ROWS(rows); i++)
        check_row(&rows[i]);
}

TEST(a_zeroed_verdict_is_no_access)
{
    enum reason zero = 0;

    assert_int_equal(zero, REASON_BACKEND_UNAVAILABLE);
    assert_int_not_equal(zero, REASON_ACCEPTED);
}

TEST(what_is_refused_without_a_look_up_is_one_row)
{
    static const enum reason reasons[] = {
        REASON_ABANDONED_EXCHANGE, REASON_MECHANISM_NOT_OFFERED, REASON_BACKEND_UNAVAILABLE};
    struct backend *backend = double_backend();
    struct credentials credentials = {.display_name = "app1", .authzid = "x", .authzid_len = 1};
    const struct attempt attempt = {
        .credentials = &credentials, .fault = "not read", .mechanism = "LOGIN"};

    backend->options.require_tls = true;
    for (size_t i = 0; i < ROWS(reasons); i++) {
        doubles_reset();
        assert_int_equal(auth_refuse(backend, &attempt, reasons[i], "why"), reasons[i]);
        assert_int_equal(double_audit.failures, 1);
        assert_int_equal(double_lookup.calls, 0);
        assert_int_equal(double_audit.logins, 0);
        assert_int_equal(double_audit.failure.reason, reasons[i]);
        assert_int_equal(double_audit.failure.failed, REASON_BIT(reasons[i]));
        assert_string_equal(double_audit.user_id, "");
        assert_string_equal(double_audit.detail, "why");
    }
}

RUN_TESTS(NULL, NULL)
