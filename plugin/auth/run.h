/*
 * run.h: one attempt while it is decided, whatever its mechanism. Internal to auth/.
 *
 * run_begin(), run_look_up(), then the mechanism's own check of the password or the proof, then
 * run_finish(). Every attempt ends in run_finish(), which alone accepts one, and only when all of
 * these have happened and nothing has failed. The client may be waited for in between: all database
 * work of an attempt shares pgsasl_timeout_ms, waiting and hashing do not count.
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
    const struct retired *retired; /* the hash that fits; NULL: the current one */
    bool known;                    /* the look-up succeeded */
    bool live;                     /* it found a user */
    bool verified;                 /* the password or the proof is right */
    reason_set failed;
    char detail[ROW_DETAIL_MAX];
    int left_ms;        /* of the time for database work */
    bool database_down; /* the look-up found it so: the audit need not find it again */
};

/* *run needs run_finish() from then on. */
void run_begin(struct auth_run *run, struct backend *backend, const struct attempt *attempt);

/*
 * Makes all checks but the password's; a malformed message is not looked up. run->known and
 * run->live say what was found. Blocks for at most the time that is left.
 */
void run_look_up(struct auth_run *run);

/* A check failed. detail is copied unless there is one already; NULL: nothing to add. */
void run_fail(struct auth_run *run, enum reason reason, const char *detail);

/* What run_fail() does with its detail. */
void run_set_detail(struct auth_run *run, const char *detail);

/* The password is a retired one that is not accepted any more. */
void run_fail_stale(struct auth_run *run, const struct retired *retired);

/* The last check: the host must be able to canonicalise the name of a user who is let in. */
void run_check_canon(struct auth_run *run);

/*
 * Decides, records a failure or notes a login, drains the spool, wipes *run. Returns
 * REASON_ACCEPTED or the first failing check. Blocks for at most the time that is left.
 */
enum reason run_finish(struct auth_run *run);

#endif
