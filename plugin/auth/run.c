/*
 * run.c: looks up, checks, decides, records: the steps that the attempts of all mechanisms share.
 *
 * The verdict starts as a temporary failure. One line of decide() alone accepts, when every check
 * has been made and none has failed. A failed look-up, whatever the cause, is never treated as "no
 * such user".
 */
#include "auth/run.h"

#include <stdio.h>
#include <string.h>

#include "auth/audit.h"
#include "auth/backend.h"
#include "auth/lookup.h"
#include "base/secret.h"
#include "base/text.h"

static const reason_set standing_reason[] = {
    [STANDING_GOOD] = 0,
    [STANDING_PAST_DUE] = REASON_BIT(REASON_ACCOUNT_PAST_DUE),
    [STANDING_SUSPENDED] = REASON_BIT(REASON_ACCOUNT_SUSPENDED),
    [STANDING_CLOSED] = REASON_BIT(REASON_ACCOUNT_CLOSED),
    [STANDING_UNKNOWN] = REASON_BIT(REASON_BACKEND_UNAVAILABLE),
};

/* The first detail is kept. */
void run_set_detail(struct auth_run *run, const char *detail)
{
    if (detail != NULL && run->detail[0] == '\0')
        snprintf(run->detail, sizeof run->detail, "%s", detail);
}

void run_fail(struct auth_run *run, enum reason reason, const char *detail)
{
    run->failed |= REASON_BIT(reason);
    run_set_detail(run, detail);
}

void run_fail_stale(struct auth_run *run, const struct retired *retired)
{
    char detail[ROW_DETAIL_MAX] = "";

    if (*retired->retired_at != '\0')
        snprintf(detail, sizeof detail, "the password was rotated at %.64s", retired->retired_at);
    run_fail(run, REASON_STALE_PASSWORD, detail);
}

void run_begin(struct auth_run *run, struct backend *backend, const struct attempt *attempt)
{
    memset(run, 0, sizeof *run);
    run->backend = backend;
    run->attempt = attempt;
    run->left_ms = (int)backend->options.timeout_ms;
}

/* ---- all checks but the password's ---- */

/* The checks that need no database. */
static void check_message(struct auth_run *run)
{
    const struct attempt *attempt = run->attempt;
    const struct credentials *credentials = attempt->credentials;

    if (attempt->fault != NULL)
        run_fail(run, REASON_MALFORMED_RESPONSE, attempt->fault);
    if (credentials->authzid_len > 0 &&
        (credentials->authzid_len != credentials->authcid_len ||
            memcmp(credentials->authzid, credentials->authcid, credentials->authcid_len) != 0))
        run_fail(run, REASON_AUTHZID_MISMATCH, NULL);
    if (run->backend->options.require_tls && !attempt->encrypted)
        run_fail(run, REASON_TLS_REQUIRED, NULL);
}

/* The reason for a name that is not a user's: the most helpful one for the customer. */
static enum reason reason_not_found(const struct auth_run *run, bool trimmed)
{
    const struct credentials *credentials = run->attempt->credentials;

    if (run->user.deleted)
        return REASON_DELETED_USER;
    if (memchr(credentials->authcid, '@', credentials->authcid_len) != NULL)
        return REASON_USERNAME_HAS_AT;
    return trimmed ? REASON_USERNAME_WHITESPACE : REASON_UNKNOWN_USER;
}

/* The checks of a user that exists, except the password's. */
static void check_state(struct auth_run *run)
{
    const struct user *user = &run->user;

    run->failed |= standing_reason[user->standing];
    if (user->standing == STANDING_UNKNOWN)
        run_fail(run, REASON_BACKEND_UNAVAILABLE,
            "account_standing is none of good, past_due, suspended, closed");
    if (!user->enabled)
        run_fail(run, REASON_DISABLED_USER, NULL);
    if (user->expired)
        run_fail(run, REASON_EXPIRED_USER, NULL);
    if (!user->client_allowed)
        run_fail(run, REASON_IP_NOT_AUTHORIZED, NULL);
}

/*
 * True for a user that exists. A name with white space at an end is not a user's, even if a site's
 * own table has it: hosts strip the white space and would then mean another user.
 */
static bool check_user(struct auth_run *run)
{
    const struct credentials *credentials = run->attempt->credentials;
    const struct user *user = &run->user;
    const char *name = credentials->authcid;
    size_t length = credentials->authcid_len;
    bool trimmed = text_trim(&name, &length);

    if (user->throttled)
        run_fail(run, REASON_THROTTLED, NULL);
    if (user->found && !trimmed) {
        check_state(run);
        return true;
    }
    run_fail(run, reason_not_found(run, trimmed),
        user->local_part_known ? "the part before the @ is a user name of ours" : NULL);
    return false;
}

/* False: the look-up failed, which is then one of the failed checks. */
static bool look_up(struct auth_run *run, struct deadline deadline)
{
    struct backend *backend = run->backend;
    enum lookup_result result;
    char why[LOOKUP_WHY_MAX];

    if (backend->fault != NULL || backend->lookup == NULL) {
        run_fail(run, REASON_BACKEND_UNAVAILABLE, backend->fault);
        return false;
    }
    result = lookup_user(backend->lookup, run->attempt->credentials->authcid, &run->attempt->client,
        deadline, &run->user, why);
    run->database_down = result == LOOKUP_UNAVAILABLE;
    if (result != LOOKUP_DONE)
        run_fail(run, REASON_BACKEND_UNAVAILABLE, why);
    return result == LOOKUP_DONE;
}

void run_look_up(struct auth_run *run)
{
    struct deadline deadline = deadline_in(run->left_ms);

    check_message(run);
    if (run->attempt->fault != NULL)
        return;
    run->known = look_up(run, deadline);
    run->left_ms = deadline_left_ms(deadline);
    if (run->known)
        run->live = check_user(run);
}

/* ---- the end ---- */

void run_check_canon(struct auth_run *run)
{
    if (run->failed == 0 && !run->attempt->canon_ok)
        run_fail(run, REASON_BACKEND_UNAVAILABLE, "the host refuses the user name");
}

static enum reason decide(const struct auth_run *run)
{
    if (run->failed != 0)
        return verdict_reason(run->failed);
    if (!run->known || !run->live || !run->verified)
        return REASON_BACKEND_UNAVAILABLE;
    return REASON_ACCEPTED;
}

/* The table says when a stamp is due; a login with a retired password is always noted. */
static void note_login(struct auth_run *run, struct deadline deadline)
{
    const struct user *user = &run->user;
    const struct login login = {
        .attempt = run->attempt,
        .occurred_at = run->attempt->began_at,
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
        .occurred_at = run->attempt->began_at,
        .user_id = run->user.found ? run->user.user_id : NULL,
    };

    if (!row_set_id(&failure)) {
        run_fail(run, REASON_BACKEND_UNAVAILABLE, "no random numbers");
        reason = REASON_BACKEND_UNAVAILABLE;
    }
    failure.reason = reason;
    failure.failed = run->failed | REASON_BIT(reason);
    failure.detail = run->detail;
    audit_record(run->backend->audit, &failure, run->database_down, deadline);
    return reason;
}

enum reason run_finish(struct auth_run *run)
{
    struct deadline deadline = deadline_in(run->left_ms);
    enum reason reason;

    run_check_canon(run);
    reason = decide(run);
    if (reason == REASON_ACCEPTED)
        note_login(run, deadline);
    else
        reason = record(run, reason, deadline);
    if (!run->database_down)
        audit_drain(run->backend->audit, deadline);
    user_free(&run->user);
    secret_wipe(run, sizeof *run);
    return reason;
}
