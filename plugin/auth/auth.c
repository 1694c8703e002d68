/*
 * auth.c: looks up, verifies, judges, records.
 *
 * The verdict begins as a temporary failure and is accepted in one line of decide() only, when
 * every check has been made and none has failed. A look-up that fails, whatever the cause, is never
 * read as "no such user".
 */
#include "auth/auth.h"

#include <stdio.h>
#include <string.h>

#include "auth/audit.h"
#include "auth/backend.h"
#include "hash/hash.h"
#include "auth/password.h"
#include "base/secret.h"
#include "auth/store.h"
#include "base/text.h"

/* One attempt on its way. */
struct course {
    struct backend *backend;
    const struct attempt *attempt;
    struct failure failure;
    struct user user;
    struct hash decoy;
    const struct retired *retired; /* the hash that the password fits; NULL: the current one */
    bool password_fits;
    reason_set failed;
    int left_ms;       /* of the time for database work; hashing is not counted */
    bool database_out; /* the look-up found it so: the audit need not find it again */
};

static const reason_set standing_reason[] = {
    [STANDING_GOOD] = 0,
    [STANDING_PAST_DUE] = REASON_BIT(REASON_ACCOUNT_PAST_DUE),
    [STANDING_SUSPENDED] = REASON_BIT(REASON_ACCOUNT_SUSPENDED),
    [STANDING_CLOSED] = REASON_BIT(REASON_ACCOUNT_CLOSED),
    [STANDING_UNKNOWN] = REASON_BIT(REASON_BACKEND_UNAVAILABLE),
};

/* The first word on what went wrong stays. */
static void set_detail(struct course *course, const char *detail)
{
    if (detail != NULL && course->failure.detail[0] == '\0')
        snprintf(course->failure.detail, sizeof course->failure.detail, "%s", detail);
}

static void fail(struct course *course, enum reason reason, const char *detail)
{
    course->failed |= REASON_BIT(reason);
    set_detail(course, detail);
}

static void describe(struct course *course)
{
    const struct attempt *attempt = course->attempt;
    struct failure *failure = &course->failure;

    snprintf(failure->username, sizeof failure->username, "%s", attempt->credentials->display_name);
    snprintf(failure->mechanism, sizeof failure->mechanism, "%s", attempt->mechanism);
    snprintf(failure->service, sizeof failure->service, "%s",
        attempt->service == NULL ? "" : attempt->service);
    snprintf(failure->server_host, sizeof failure->server_host, "%s",
        attempt->server_host == NULL ? "" : attempt->server_host);
    failure->client = attempt->client;
    failure->server = attempt->server;
}

/* What needs no database. */
static void check_message(struct course *course)
{
    const struct attempt *attempt = course->attempt;
    const struct credentials *credentials = attempt->credentials;

    if (attempt->fault != NULL)
        fail(course, REASON_MALFORMED_RESPONSE, attempt->fault);
    if (credentials->authzid_len > 0 &&
        (credentials->authzid_len != credentials->authcid_len ||
            memcmp(credentials->authzid, credentials->authcid, credentials->authcid_len) != 0))
        fail(course, REASON_AUTHZID_MISMATCH, NULL);
    if (course->backend->options.require_tls && !attempt->encrypted)
        fail(course, REASON_TLS_REQUIRED, NULL);
}

/* Leaves in course->decoy what an absent user's password is verified against. */
static void choose_decoy(struct course *course)
{
    struct backend *backend = course->backend;
    const struct user *user = &course->user;

    if (user->found && hash_is_usable(&user->hash))
        hash_decoy(&user->hash, &backend->usual_decoy);
    if (hash_is_usable(&user->decoy))
        course->decoy = user->decoy;
    else
        hash_decoy(&backend->usual_decoy, &course->decoy);
}

/* The attempt's own log line says why; it needs no other. */
static void note_lookup_failure(struct course *course, enum store_result result, const char *why)
{
    fail(course, REASON_BACKEND_UNAVAILABLE, why);
    course->database_out = result == STORE_UNAVAILABLE;
}

/* False when nothing is known of the user; the reason is then noted. */
static bool look_up(struct course *course, struct deadline deadline)
{
    struct backend *backend = course->backend;
    enum store_result result = STORE_UNAVAILABLE;
    const char *why = "another thread has the connection";

    if (backend->fault != NULL || backend->lookup == NULL) {
        fail(course, REASON_BACKEND_UNAVAILABLE, backend->fault);
        return false;
    }
    if (backend_enter(backend, deadline)) {
        result = store_find_user(backend->lookup, &backend->user_query,
            course->attempt->credentials->authcid, &course->attempt->client, deadline,
            &course->user, &why);
        if (result == STORE_OK)
            choose_decoy(course);
        else
            note_lookup_failure(course, result, why);
        backend_leave(backend);
    } else {
        note_lookup_failure(course, result, why);
    }
    return result == STORE_OK;
}

/* Why there is no such user, refined to what the customer can mend. */
static enum reason absence(const struct course *course, bool trimmed)
{
    const struct credentials *credentials = course->attempt->credentials;

    if (course->user.deleted)
        return REASON_DELETED_USER;
    if (memchr(credentials->authcid, '@', credentials->authcid_len) != NULL)
        return REASON_USERNAME_HAS_AT;
    return trimmed ? REASON_USERNAME_WHITESPACE : REASON_UNKNOWN_USER;
}

/*
 * True for a live user. A name with white space at an end is nobody's, whatever a site's own table
 * says: hosts strip it, and would take the user for another.
 */
static bool check_user(struct course *course)
{
    const struct credentials *credentials = course->attempt->credentials;
    const struct user *user = &course->user;
    const char *name = credentials->authcid;
    size_t length = credentials->authcid_len;
    bool trimmed = text_trim(&name, &length);

    if (user->throttled)
        fail(course, REASON_THROTTLED, NULL);
    if (!user->found || trimmed) {
        fail(course, absence(course, trimmed),
            user->local_part_known ? "the part before the @ is a user name of ours" : NULL);
        return false;
    }
    if (user->user_id != NULL)
        snprintf(course->failure.user_id, sizeof course->failure.user_id, "%s", user->user_id);
    course->failed |= standing_reason[user->standing];
    if (user->standing == STANDING_UNKNOWN)
        fail(course, REASON_BACKEND_UNAVAILABLE,
            "account_standing is none of good, past_due, suspended, closed");
    if (!user->enabled)
        fail(course, REASON_DISABLED_USER, NULL);
    if (!user->client_allowed)
        fail(course, REASON_IP_NOT_AUTHORIZED, NULL);
    return true;
}

/* What a result of the hashing adds to the failed checks; nothing for a right password. */
static const struct {
    reason_set failed;
    const char *detail;
} password_verdict[] = {
    [PASSWORD_ERROR] = {REASON_BIT(REASON_BACKEND_UNAVAILABLE),
        "the password hash could not be computed"},
    [PASSWORD_UNUSABLE] = {REASON_BIT(REASON_UNUSABLE_HASH), NULL},
    [PASSWORD_WRONG] = {REASON_BIT(REASON_WRONG_PASSWORD), NULL},
    [PASSWORD_STALE] = {REASON_BIT(REASON_STALE_PASSWORD), NULL},
    [PASSWORD_WHITESPACE] = {REASON_BIT(REASON_PASSWORD_WHITESPACE), NULL},
    [PASSWORD_RIGHT] = {0, NULL},
    [PASSWORD_RIGHT_RETIRED] = {0, NULL},
};

static void explain_stale(struct course *course)
{
    char detail[AUDIT_DETAIL_MAX];

    if (*course->retired->retired_at == '\0')
        return;
    snprintf(
        detail, sizeof detail, "the password was rotated at %.64s", course->retired->retired_at);
    set_detail(course, detail);
}

/* Does the work for whoever it is, so that the time tells nothing. After a throttle none. */
static void check_password(struct course *course, bool live)
{
    const struct credentials *credentials = course->attempt->credentials;
    const struct password_question question = {
        .password = credentials->password,
        .len = credentials->password_len,
        .user = &course->user,
        .live = live,
        .decoy = &course->decoy,
        .diagnose = course->backend->options.diagnose,
        .cache = course->failed == 0 ? course->backend->cache : NULL, /* a failure takes its time */
        .cache_user = course->user.user_id == NULL ? credentials->authcid : course->user.user_id,
    };
    enum password_result result;

    if (course->user.throttled)
        return;
    result = password_check(&question, &course->retired);
    if (!live)
        return;
    course->password_fits = result == PASSWORD_RIGHT || result == PASSWORD_RIGHT_RETIRED;
    course->failed |= password_verdict[result].failed;
    set_detail(course, password_verdict[result].detail);
    if (result == PASSWORD_STALE)
        explain_stale(course);
}

/*
 * SCRAM: the password never comes here; what can be checked is that there is a verifier to hand
 * out. A good hash of another scheme is no fault of the table: the client hears a refusal, not
 * "later", and may go on with PLAIN.
 */
static void check_verifier(struct course *course)
{
    const struct hash *hash = &course->user.hash;

    if (!hash_is_usable(hash))
        fail(course, REASON_UNUSABLE_HASH, NULL);
    else if (strncmp(hash->text, AUTH_VERIFIER_PREFIX, strlen(AUTH_VERIFIER_PREFIX)) != 0)
        fail(course, REASON_WRONG_PASSWORD, "the stored hash is no SCRAM-SHA-256 verifier");
}

static enum reason decide(struct course *course, bool known, bool live)
{
    if (course->failed != 0 || !known || !live)
        return verdict_reason(
            course->failed | (course->failed == 0 ? REASON_BIT(REASON_BACKEND_UNAVAILABLE) : 0));
    return REASON_ACCEPTED;
}

/* Logins are stamped now and then, as the table asks; each that a rotation left behind is. */
static void note_login(struct course *course, struct deadline deadline)
{
    const struct user *user = &course->user;
    const struct login login = {
        .user_id = user->user_id,
        .client = *course->attempt->client.text == '\0' ? NULL : course->attempt->client.text,
        .occurred_at = course->failure.occurred_at,
        .retired_id = course->retired == NULL ? NULL : course->retired->id,
    };

    if (user->user_id != NULL && (user->login_due || login.retired_id != NULL))
        audit_login(course->backend, &login, deadline);
}

/* Time spent on hashing is not the database's: the deadline moves by it. */
static void settle(struct course *course, enum reason reason)
{
    struct backend *backend = course->backend;
    struct deadline deadline = deadline_in(course->left_ms);

    if (reason != REASON_ACCEPTED) {
        course->failure.reason = reason;
        course->failure.failed = course->failed;
        audit_record(backend, &course->failure,
            course->database_out && backend->audit == backend->lookup, deadline);
    } else if (course->password_fits) { /* not where a mechanism has yet to verify it */
        note_login(course, deadline);
    }
    if (!course->database_out)
        audit_drain(backend, deadline);
    store_user_free(&course->user);
    secret_wipe(course, sizeof *course);
}

static void begin(struct course *course, struct backend *backend, const struct attempt *attempt)
{
    memset(course, 0, sizeof *course);
    course->backend = backend;
    course->attempt = attempt;
    describe(course);
    if (!audit_name(&course->failure))
        fail(course, REASON_BACKEND_UNAVAILABLE, "no random numbers");
    check_message(course);
}

enum reason auth_attempt(struct backend *backend, const struct attempt *attempt)
{
    struct deadline deadline = deadline_in(backend->options.timeout_ms);
    struct course course;
    enum reason reason;
    bool known = false;
    bool live = false;

    begin(&course, backend, attempt);
    if (attempt->fault == NULL)
        known = look_up(&course, deadline);
    course.left_ms = deadline_left_ms(deadline);
    if (known) {
        live = check_user(&course);
        check_password(&course, live);
        if (course.failed == 0 && !attempt->canon_ok)
            fail(&course, REASON_BACKEND_UNAVAILABLE, "the host does not take the user name");
    }
    reason = decide(&course, known, live);
    settle(&course, reason);
    return reason;
}

enum reason auth_verifier(
    struct backend *backend, const struct attempt *attempt, char *verifier_r, size_t cap)
{
    struct deadline deadline = deadline_in(backend->options.timeout_ms);
    struct course course;
    enum reason reason;
    bool live = false;
    bool known;

    verifier_r[0] = '\0';
    begin(&course, backend, attempt);
    known = look_up(&course, deadline);
    course.left_ms = deadline_left_ms(deadline);
    if (known) {
        live = check_user(&course);
        if (live)
            check_verifier(&course);
    }
    reason = decide(&course, known, live);
    if (reason == REASON_ACCEPTED)
        snprintf(verifier_r, cap, "%s", course.user.hash.text);
    settle(&course, reason);
    return reason;
}
