/*
 * run.h: the steps of one attempt, whatever its mechanism. Internal to auth/.
 *
 * Call run_begin(), run_look_up(), then the mechanism's own check of the password or the proof, then
 * run_finish(). Every attempt ends with run_finish(). It alone accepts, and only if all these steps
 * were made and nothing failed. Between the steps the mechanism may wait for the client: the
 * database work of an attempt shares pgsasl_timeout_ms, which excludes waiting and hashing.
 */
#ifndef PGSASL_AUTH_RUN_H
#define PGSASL_AUTH_RUN_H

#include <stdbool.h>

#include "auth/attempt.h"
#include "auth/row.h"
#include "auth/user.h"
#include "auth/verdict.h"

struct backend;

/* Strings and *attempt are borrowed until run_finish(). */
struct auth_run {
    struct backend *backend;
    const struct attempt *attempt;
    struct user user;
    const struct retired *retired; /* the hash that matches; NULL: the current one */
    bool known;                    /* the look-up succeeded */
    bool live;                     /* it found a user */
    bool verified;                 /* the password or the proof is right */
    reason_set failed;
    char detail[ROW_DETAIL_MAX];
    int left_ms;        /* time left for database work */
    bool database_down; /* the look-up found it down: the audit need not try it again */
};

/* Starts an attempt, which must end with run_finish(). */
void run_begin(struct auth_run *run, struct backend *backend, const struct attempt *attempt);

/*
 * Makes all checks but the password's; for a malformed message no user is looked up. Sets
 * run->known and run->live. Blocks for at most the time that is left.
 */
void run_look_up(struct auth_run *run);

/* Adds a failed check. detail is copied unless there is one already; NULL: no detail. */
void run_fail(struct auth_run *run, enum reason reason, const char *detail);

/* Copies detail unless there is one already. NULL is tolerated. */
void run_set_detail(struct auth_run *run, const char *detail);

/* Adds REASON_STALE_PASSWORD: the password is a retired one that is no longer accepted. */
void run_fail_stale(struct auth_run *run, const struct retired *retired);

/* The last check: an attempt is accepted only if the host could canonicalise the name. */
void run_check_canon(struct auth_run *run);

/*
 * Decides, records a failure or notes a login, drains the spool, wipes *run. Returns
 * REASON_ACCEPTED or the first failing check. Blocks for at most the time that is left.
 */
enum reason run_finish(struct auth_run *run);

#endif
