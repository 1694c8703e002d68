/*
 * audit.h: makes one failed attempt a fact: a committed row, or a synced line of the spool file, or
 * at the very least a complete log line.
 *
 * An attempt is named by attempt_id and occurred_at, both fixed when it begins, so that writing it
 * twice counts once.
 */
#ifndef PGSASL_AUTH_AUDIT_H
#define PGSASL_AUTH_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/deadline.h"
#include "auth/verdict.h"
#include "auth/credentials.h"

struct backend;

enum { AUDIT_DETAIL_MAX = 256, AUDIT_USER_ID_MAX = 64, AUDIT_ID_MAX = 37, AUDIT_TIME_MAX = 32 };

/* One row of auth_failures before it is one. Holds no secret. */
struct failure {
    char attempt_id[AUDIT_ID_MAX];    /* UUID version 7 (RFC 9562), as text */
    char occurred_at[AUDIT_TIME_MAX]; /* UTC, "2026-01-31 12:00:00.123456+00" */
    char username[DISPLAY_NAME_MAX];  /* valid UTF-8 */
    char user_id[AUDIT_USER_ID_MAX];  /* "" where unknown */
    enum reason reason;
    reason_set failed;
    char mechanism[32];
    struct address client;
    struct address server;
    char service[64];
    char server_host[256];
    char detail[AUDIT_DETAIL_MAX]; /* "" where there is nothing to add */
};

/* Where a failure came to rest. */
enum audit_result {
    AUDIT_LOST = 0, /* neither database nor spool took it; the log line holds all fields */
    AUDIT_SPOOLED,  /* synced to the spool file */
    AUDIT_STORED    /* committed */
};

/* Names a new attempt: draws attempt_id and stamps occurred_at. False: no random bytes. */
bool audit_name(struct failure *failure_r);

/*
 * Stores *failure, by deadline, whatever happens to the database; the spool may take a moment
 * longer. database_out: it was asked just now in vain, so where there is a spool it is not asked
 * again. Logs the attempt's line. Takes the backend by itself.
 */
enum audit_result audit_record(struct backend *backend, const struct failure *failure,
    bool database_out, struct deadline deadline);

/* A login that is to be noted. Borrowed for the call. */
struct login {
    const char *user_id;
    const char *client; /* address; NULL where the host gave none */
    const char *occurred_at;
    const char *retired_id; /* the retired hash that it was made with; NULL: the current one */
};

/*
 * Sends the login to the audit database and waits for no answer: it is lost when that is out. Takes
 * the backend by itself.
 */
void audit_login(struct backend *backend, const struct login *login, struct deadline deadline);

/*
 * Where the spool holds lines and the audit database is well: moves some of them into it. Does
 * nothing in the usual case. Takes the backend by itself.
 */
void audit_drain(struct backend *backend, struct deadline deadline);

#endif
