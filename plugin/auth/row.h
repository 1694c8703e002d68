/*
 * row.h: a failed attempt, or a login, as one JSON object, which is the same for the query, the
 * spool and the log.
 *
 * The keys are the columns of pgsasl.auth_failures and those that pgsasl.note_login() reads
 * (docs/sql.md). Unknown values are absent. Neither object contains a secret.
 */
#ifndef PGSASL_AUTH_ROW_H
#define PGSASL_AUTH_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "auth/attempt.h"
#include "auth/verdict.h"

enum {
    ROW_MAX = 8192, /* bytes of the longest row and its NUL */
    ROW_DETAIL_MAX = 256,
    ROW_ID_MAX = 37
};

/* Borrowed for the call. */
struct failure {
    const struct attempt *attempt;
    char attempt_id[ROW_ID_MAX]; /* UUID version 7 (RFC 9562), as text */
    struct timespec occurred_at; /* CLOCK_REALTIME, when the attempt started */
    enum reason reason;
    reason_set failed;
    const char *user_id;  /* NULL where unknown */
    const char *detail;   /* "" where there is nothing to add */
    size_t spool_waiting; /* bytes of rows that this relay has not yet brought to the database */
};

/* Borrowed for the call. */
struct login {
    const struct attempt *attempt;
    struct timespec occurred_at;
    const char *user_id;
    const char *retired_id; /* the retired hash that the password matched; NULL: the current one */
    size_t spool_waiting;   /* as in a failure */
};

/* Sets failure->attempt_id, for failure->occurred_at. False: no random bytes. */
bool row_set_id(struct failure *failure);

/* Writes the object and a NUL. Returns its length, 0 when cap is too small. */
size_t row_of_failure(const struct failure *failure, char *out, size_t cap);
size_t row_of_login(const struct login *login, char *out, size_t cap);

#endif
