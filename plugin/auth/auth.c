/*
 * auth.c: checks a password and what an attempt without one has failed for.
 *
 * Looking up, deciding and recording is run.c's.
 */
#include "auth/auth.h"

#include "auth/backend.h"
#include "auth/password.h"
#include "auth/run.h"

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

/*
 * Hashes for unknown users too, so timing reveals nothing. Throttled attempts are not hashed. The
 * cache is asked only where nothing has failed: a failure takes its time.
 */
static void check_password(struct auth_run *run)
{
    const struct credentials *credentials = run->attempt->credentials;
    const struct password_question question = {
        .password = credentials->password,
        .len = credentials->password_len,
        .user = &run->user,
        .live = run->live,
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
    if (!run->live)
        return;
    run->verified = result == PASSWORD_RIGHT || result == PASSWORD_RIGHT_RETIRED;
    run->failed |= password_verdict[result].failed;
    run_set_detail(
        run, result == PASSWORD_UNUSABLE ? run->user.hash_fault : password_verdict[result].detail);
    if (result == PASSWORD_STALE)
        run_fail_stale(run, run->retired);
}

enum reason auth_attempt(struct backend *backend, const struct attempt *attempt)
{
    struct auth_run run;

    run_begin(&run, backend, attempt);
    run_look_up(&run);
    if (run.known)
        check_password(&run);
    return run_finish(&run);
}

enum reason auth_refuse(
    struct backend *backend, const struct attempt *attempt, enum reason reason, const char *detail)
{
    struct auth_run run;

    run_begin(&run, backend, attempt);
    run_fail(&run, reason, detail);
    return run_finish(&run);
}
