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
#include <time.h>

#include "auth/audit.h"
#include "auth/backend.h"
#include "auth/lookup.h"
#include "auth/password.h"
#include "base/secret.h"
#include "base/text.h"

/* One attempt while it is decided. */
struct auth_run {
    struct backend *backend;
    const struct attempt *attempt;
    struct timespec began_at; /* CLOCK_REALTIME */
    struct user user;
    const struct retired *retired; /* the hash that the password fits; NULL: the current one */
    bool password_fits;
    reason_set failed;
    char detail[ROW_DETAIL_MAX];
    int left_ms;        /* of the time for database work; hashing is not counted */
    bool database_down; /* the look-up found it so: the audit need not find it again */
};

static const reason_set standing_reason[] = {
    [STANDING_GOOD] = 0,
    [STANDING_PAST_DUE] = REASON_BIT(REASON_ACCOUNT_PAST_DUE),
    [STANDING_SUSPENDED] = REASON_BIT(REASON_ACCOUNT_SUSPENDED),
    [STANDING_CLOSED] = REASON_BIT(REASON_ACCOUNT_CLOSED),
    [STANDING_UNKNOWN] = REASON_BIT(REASON_BACKEND_UNAVAILABLE),
};

/* The first word on what went wrong stays. */
static void set_detail(struct auth_run *run, const char *detail)
{
    if (detail != NULL && run->detail[0] == '\0')
        snprintf(run->detail, sizeof run->detail, "%s", detail);
}

static void fail(struct auth_run *run, enum reason reason, const char *detail)
{
    run->failed |= REASON_BIT(reason);
    set_detail(run, detail);
}

/* What needs no database. */
static void check_message(struct auth_run *run)
{
    const struct attempt *attempt = run->attempt;
    const struct credentials *credentials = attempt->credentials;

    if (attempt->fault != NULL)
        fail(run, REASON_MALFORMED_RESPONSE, attempt->fault);
    if (credentials->authzid_len > 0 &&
        (credentials->authzid_len != credentials->authcid_len ||
            memcmp(credentials->authzid, credentials->authcid, credentials->authcid_len) != 0))
        fail(run, REASON_AUTHZID_MISMATCH, NULL);
    if (run->backend->options.require_tls && !attempt->encrypted)
        fail(run, REASON_TLS_REQUIRED, NULL);
}

/* False when nothing is known of the user; the reason is then noted. */
static bool look_up(struct auth_run *run, struct deadline deadline)
{
    struct backend *backend = run->backend;
    enum lookup_result result;
    char why[LOOKUP_WHY_MAX];

    if (backend->fault != NULL || backend->lookup == NULL) {
        fail(run, REASON_BACKEND_UNAVAILABLE, backend->fault);
        return false;
    }
    result = lookup_user(backend->lookup, run->attempt->credentials->authcid, &run->attempt->client,
        deadline, &run->user, why);
    run->database_down = result == LOOKUP_UNAVAILABLE;
    if (result != LOOKUP_DONE)
        fail(run, REASON_BACKEND_UNAVAILABLE, why);
    return result == LOOKUP_DONE;
}

/* Why there is no such user, refined to what the customer can mend. */
static enum reason absence(const struct auth_run *run, bool trimmed)
{
    const struct credentials *credentials = run->attempt->credentials;

    if (run->user.deleted)
        return REASON_DELETED_USER;
    if (memchr(credentials->authcid, '@', credentials->authcid_len) != NULL)
        return REASON_USERNAME_HAS_AT;
    return trimmed ? REASON_USERNAME_WHITESPACE : REASON_UNKNOWN_USER;
}

/* The checks of a user that exists, but for the password's. */
static void check_state(struct auth_run *run)
{
    const struct user *user = &run->user;

    run->failed |= standing_reason[user->standing];
    if (user->standing == STANDING_UNKNOWN)
        fail(run, REASON_BACKEND_UNAVAILABLE,
            "account_standing is none of good, past_due, suspended, closed");
    if (!user->enabled)
        fail(run, REASON_DISABLED_USER, NULL);
    if (user->expired)
        fail(run, REASON_EXPIRED_USER, NULL);
    if (!user->client_allowed)
        fail(run, REASON_IP_NOT_AUTHORIZED, NULL);
}

/*
 * True for a user that exists. A name with white space at an end is nobody's, whatever a site's own
 * table says: hosts strip it, and would take the user for another.
 */
static bool check_user(struct auth_run *run)
{
    const struct credentials *credentials = run->attempt->credentials;
    const struct user *user = &run->user;
    const char *name = credentials->authcid;
    size_t length = credentials->authcid_len;
    bool trimmed = text_trim(&name, &length);

    if (user->throttled)
        fail(run, REASON_THROTTLED, NULL);
    if (user->found && !trimmed) {
        check_state(run);
        return true;
    }
    fail(run, absence(run, trimmed),
        user->local_part_known ? "the part before the @ is a user name of ours" : NULL);
    return false;
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

static void explain_stale(struct auth_run *run)
{
    char detail[ROW_DETAIL_MAX];

    if (*run->retired->retired_at == '\0')
        return;
    snprintf(detail, sizeof detail, "the password was rotated at %.64s", run->retired->retired_at);
    set_detail(run, detail);
}

/*
 * Hashes for unknown users too, so timing reveals nothing. Throttled attempts are not hashed. The
 * cache is asked only where nothing has failed: a failure takes its time.
 */
static void check_password(struct auth_run *run, bool live)
{
    const struct credentials *credentials = run->attempt->credentials;
    const struct password_question question = {
        .password = credentials->password,
        .len = credentials->password_len,
        .user = &run->user,
        .live = live,
        .ceiling = &run->backend->ceiling,
        .decoy = &run->user.decoy,
        .acceptable = run->failed == 0 && run->attempt->canon_ok,
        .diagnose = run->backend->options.diagnose,
        .cache = run->failed == 0 ? run->backend->cache : NULL,
        .cache_user = run->user.user_id == NULL ? credentials->authcid : run->user.user_id,
    };
    enum password_result result;

    if (run->user.throttled)
        return;
    result = password_check(&question, &run->retired);
    if (!live)
        return;
    run->password_fits = result == PASSWORD_RIGHT || result == PASSWORD_RIGHT_RETIRED;
    run->failed |= password_verdict[result].failed;
    set_detail(
        run, result == PASSWORD_UNUSABLE ? run->user.hash_fault : password_verdict[result].detail);
    if (result == PASSWORD_STALE)
        explain_stale(run);
}

/*
 * SCRAM: the password never comes here; what can be checked is that there is a verifier to hand
 * out. A good hash of another scheme is no fault of the table: the client hears a refusal, not
 * "later", and may go on with PLAIN.
 */
static void check_verifier(struct auth_run *run)
{
    const struct hash *hash = &run->user.hash;

    if (!hash_is_usable(hash))
        fail(run, REASON_UNUSABLE_HASH, run->user.hash_fault);
    else if (strncmp(hash->text, AUTH_VERIFIER_PREFIX, strlen(AUTH_VERIFIER_PREFIX)) != 0)
        fail(run, REASON_WRONG_PASSWORD, "the stored hash is no SCRAM-SHA-256 verifier");
}

static enum reason decide(struct auth_run *run, bool known, bool live)
{
    if (run->failed != 0 || !known || !live)
        return verdict_reason(
            run->failed | (run->failed == 0 ? REASON_BIT(REASON_BACKEND_UNAVAILABLE) : 0));
    return REASON_ACCEPTED;
}

/* Login stamps are sent as often as the table asks; each login by a retired password is. */
static void note_login(struct auth_run *run, struct deadline deadline)
{
    const struct user *user = &run->user;
    const struct login login = {
        .attempt = run->attempt,
        .occurred_at = run->began_at,
        .user_id = user->user_id,
        .retired_id = run->retired == NULL ? NULL : run->retired->id,
    };

    if (user->user_id != NULL &&
        (user->login_due || login.retired_id != NULL || audit_wants_login(run->backend->audit)))
        audit_login(run->backend->audit, &login, deadline);
}

static enum reason record(struct auth_run *run, enum reason reason, struct deadline deadline)
{
    struct failure failure = {
        .attempt = run->attempt,
        .occurred_at = run->began_at,
        .user_id = run->user.found ? run->user.user_id : NULL,
    };

    if (!row_name(&failure)) {
        fail(run, REASON_BACKEND_UNAVAILABLE, "no random numbers");
        reason = REASON_BACKEND_UNAVAILABLE;
    }
    failure.reason = reason;
    failure.failed = run->failed;
    failure.detail = run->detail;
    audit_record(run->backend->audit, &failure, run->database_down, deadline);
    return reason;
}

/* Hashing time does not count against the deadline. */
static enum reason run_finish(struct auth_run *run, enum reason reason)
{
    struct deadline deadline = deadline_in(run->left_ms);

    if (reason != REASON_ACCEPTED)
        reason = record(run, reason, deadline);
    else if (run->password_fits) /* not where a mechanism has yet to verify it */
        note_login(run, deadline);
    if (!run->database_down)
        audit_drain(run->backend->audit, deadline);
    user_free(&run->user);
    secret_wipe(run, sizeof *run);
    return reason;
}

static void run_init(struct auth_run *run, struct backend *backend, const struct attempt *attempt)
{
    memset(run, 0, sizeof *run);
    run->backend = backend;
    run->attempt = attempt;
    clock_gettime(CLOCK_REALTIME, &run->began_at);
    check_message(run);
}

enum reason auth_attempt(struct backend *backend, const struct attempt *attempt)
{
    struct deadline deadline = deadline_in(backend->options.timeout_ms);
    struct auth_run run;
    bool known = false;
    bool live = false;

    run_init(&run, backend, attempt);
    if (attempt->fault == NULL)
        known = look_up(&run, deadline);
    run.left_ms = deadline_left_ms(deadline);
    if (known) {
        live = check_user(&run);
        check_password(&run, live);
        if (run.failed == 0 && !attempt->canon_ok)
            fail(&run, REASON_BACKEND_UNAVAILABLE, "the host refuses the user name");
    }
    return run_finish(&run, decide(&run, known, live));
}

enum reason auth_verifier(
    struct backend *backend, const struct attempt *attempt, char *verifier_r, size_t cap)
{
    struct deadline deadline = deadline_in(backend->options.timeout_ms);
    struct auth_run run;
    enum reason reason;
    bool live = false;
    bool known;

    verifier_r[0] = '\0';
    run_init(&run, backend, attempt);
    known = look_up(&run, deadline);
    run.left_ms = deadline_left_ms(deadline);
    if (known) {
        live = check_user(&run);
        if (live)
            check_verifier(&run);
    }
    reason = decide(&run, known, live);
    if (reason == REASON_ACCEPTED)
        snprintf(verifier_r, cap, "%s", run.user.hash.text);
    return run_finish(&run, reason);
}
