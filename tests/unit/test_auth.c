/*
 * test_auth.c: from what the look-up says to the verdict, with doubles of lookup.c and audit.c.
 *
 * The doubles give the user that a row of the table describes and keep the failure that would be
 * stored.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "auth/audit.h"
#include "auth/auth.h"
#include "auth/backend.h"
#include "auth/lookup.h"

/* bcrypt at cost 4 of "correct horse", made by htpasswd -nbB -C 4. */
#define RIGHT_HASH "$2y$04$VHw3P7/ijGPbAUxdVQk2GeRy6Be7aRcqNdHiUu8Xfd40SBVnirwJO"

/* The same of "old horse". */
#define OLD_HASH "$2y$04$22.Yup6XYSVGlu367hrcV.jHlHpIrFjEmUEIoMLLEk.zhJV.iLwXe"

static enum lookup_result lookup_result;
static struct user lookup_row;
static struct failure recorded;
static char recorded_detail[ROW_DETAIL_MAX];
static int records;
static int drains;
static int logins;
static char login_retired_id[16];
static unsigned parses; /* of hashes that the row holds */

/* The linker puts this one before hash.c's. */
bool __real_hash_parse(const char *stored, struct hash *hash_r);
bool __wrap_hash_parse(const char *stored, struct hash *hash_r);

bool __wrap_hash_parse(const char *stored, struct hash *hash_r)
{
    parses += stored != NULL;
    return __real_hash_parse(stored, hash_r);
}

enum lookup_result lookup_user(struct lookup *lookup, const char *username,
    const struct address *client, struct deadline deadline, struct user *user_r,
    char why_r[LOOKUP_WHY_MAX])
{
    (void)lookup;
    (void)username;
    (void)client;
    (void)deadline;
    *user_r = lookup_row;
    hash_parse(lookup_row.hash_fault == NULL ? lookup_row.hash.text : "", &user_r->hash);
    hash_decoy(&user_r->hash, &user_r->decoy);
    why_r[0] = '\0';
    return lookup_result;
}

void user_free(struct user *user)
{
    memset(user, 0, sizeof *user);
}

enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline)
{
    (void)audit;
    (void)lookup_failed;
    (void)deadline;
    recorded = *failure;
    snprintf(recorded_detail, sizeof recorded_detail, "%s", failure->detail);
    records++;
    return AUDIT_STORED;
}

bool audit_wants_login(const struct audit *audit)
{
    (void)audit;
    return false;
}

void audit_login(struct audit *audit, const struct login *login, struct deadline deadline)
{
    (void)audit;
    (void)deadline;
    snprintf(login_retired_id, sizeof login_retired_id, "%s",
        login->retired_id == NULL ? "" : login->retired_id);
    logins++;
}

void audit_drain(struct audit *audit, struct deadline deadline)
{
    (void)audit;
    (void)deadline;
    drains++;
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
    {"database out", .name = "app1", .password = "correct horse", .result = LOOKUP_UNAVAILABLE,
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

static void check_row(const struct row *row)
{
    static struct backend backend;
    struct credentials credentials;
    struct attempt attempt = {
        .credentials = &credentials, .fault = row->fault, .mechanism = "PLAIN"};
    enum reason reason;

    memset(&credentials, 0, sizeof credentials);
    memset(&backend, 0, sizeof backend);
    backend.options.timeout_ms = 1000;
    backend.ceiling = (struct hash_cost){.memory_kib = 1024, .work_ms = 100};
    backend.options.require_tls = row->require_tls;
    backend.lookup = (struct lookup *)&backend; /* never looked into: lookup_user() is a double */
    put(credentials.authcid, &credentials.authcid_len, row->name);
    put(credentials.password, &credentials.password_len, row->password);
    put(credentials.authzid, &credentials.authzid_len, row->authzid);
    strcpy(credentials.display_name, row->name);
    attempt.canon_ok = !row->name_refused;
    lookup_row = row->user;
    lookup_result = row->result;
    memset(&recorded, 0, sizeof recorded);
    records = 0;
    logins = 0;
    login_retired_id[0] = '\0';
    backend.options.diagnose = true;
    parses = 0;
    reason = auth_attempt(&backend, &attempt);
    if (reason != row->reason)
        fail_msg("%s: %s, wanted %s", row->what, reason_name(reason), reason_name(row->reason));
    /* The current hash once; a retired one at most once, and never for the current password. */
    if (parses > 1 + (row->noted_retired_id != NULL || reason != REASON_ACCEPTED
                             ? row->user.retired_count
                             : 0))
        fail_msg("%s: %u parses", row->what, parses);
    assert_int_equal(records, reason == REASON_ACCEPTED ? 0 : 1);
    if (logins != (row->noted ? 1 : 0))
        fail_msg("%s: noted %d times", row->what, logins);
    assert_string_equal(
        login_retired_id, row->noted_retired_id == NULL ? "" : row->noted_retired_id);
    if (reason == REASON_ACCEPTED)
        return;
    assert_int_equal(recorded.reason, row->reason);
    if (recorded.failed != (row->failed != 0 ? row->failed : REASON_BIT(row->reason)))
        fail_msg("%s: failed checks %x", row->what, recorded.failed);
    assert_string_equal(recorded.attempt->credentials->display_name, row->name);
    if (row->detail != NULL)
        assert_string_equal(recorded_detail, row->detail);
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

TEST(a_verifier_is_only_for_those_who_may_log_in)
{
    static const char scram[] =
        "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    static struct backend backend;
    const struct {
        const char *hash;
        bool enabled;
        enum reason reason;
    } cases[] = {
        {scram, true, REASON_ACCEPTED},
        {scram, false, REASON_DISABLED_USER},
        {RIGHT_HASH, true, REASON_WRONG_PASSWORD},
        {"", true, REASON_UNUSABLE_HASH},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct credentials credentials;
        struct attempt attempt = {
            .credentials = &credentials, .mechanism = "SCRAM-SHA-256", .canon_ok = true};
        char verifier[HASH_MAX];

        memset(&credentials, 0, sizeof credentials);
        memset(&backend, 0, sizeof backend);
        backend.options.timeout_ms = 1000;
        backend.lookup = (struct lookup *)&backend;
        put(credentials.authcid, &credentials.authcid_len, "app1");
        lookup_result = LOOKUP_DONE;
        lookup_row = (struct user){LIVE};
        strcpy(lookup_row.hash.text, cases[i].hash);
        lookup_row.enabled = cases[i].enabled;
        lookup_row.login_due = true;
        logins = 0;
        assert_int_equal(
            auth_verifier(&backend, &attempt, verifier, sizeof verifier), cases[i].reason);
        assert_string_equal(verifier, cases[i].reason == REASON_ACCEPTED ? scram : "");
        assert_int_equal(logins, 0); /* the mechanism has yet to say who it is */
    }
}

RUN_TESTS(NULL, NULL)
