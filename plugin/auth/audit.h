/*
 * audit.h: records a failed attempt: as a committed row, or a synced line of the spool file, or,
 * failing both, one complete log line.
 *
 * Owns the connection to the audit database, its queries and the spool. Threads may call it at the
 * same time. A failing audit never changes a verdict.
 */
#ifndef PGSASL_AUTH_AUDIT_H
#define PGSASL_AUTH_AUDIT_H

#include <stdbool.h>

#include "auth/row.h"
#include "base/deadline.h"
#include "base/log.h"

struct audit;
struct pg;
struct spool;

/* Where a failure was stored. */
enum audit_result {
    AUDIT_LOST = 0, /* neither in the database nor in the spool; the log line contains the row */
    AUDIT_SPOOLED,  /* synced to the spool file */
    AUDIT_STORED    /* committed */
};

/* What an audit is made of. The strings must outlive it. */
struct audit_parts {
    struct pg *pg;       /* NULL: not usable. audit_free() releases it. */
    struct spool *spool; /* NULL: none. audit_free() closes it. */
    bool elsewhere;      /* look-ups go to another database */
    const char *failure_query;
    const char *login_query; /* NULL: logins are not noted */
    struct log_sink log;
};

/*
 * NULL: no memory; *parts is released in that case as well. A query with a parameter that the
 * plugin does not fill is logged once, and *fault_r then says what is wrong; otherwise *fault_r is
 * not changed.
 */
struct audit *audit_new(const struct audit_parts *parts, const char **fault_r);

/* NULL is tolerated. */
void audit_free(struct audit *audit);

/* In a forked child: releases the locks that the parent's other threads held. NULL is tolerated. */
void audit_forked(struct audit *audit);

/*
 * Stores *failure by deadline, whatever happens to the database; the spool may take up to 500 ms
 * longer for its lock, and as long as fdatasync(2) takes. lookup_failed: the look-up's database has
 * just failed; if the audit uses the same one and there is a spool, it is not queried again. Logs
 * the attempt's line.
 */
enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline);

/*
 * Whether a login should be noted only to report how much waits in the spool: every 10 s while rows
 * wait there, and once when no more rows wait.
 */
bool audit_wants_login(const struct audit *audit);

/* Sends the login to the audit database without waiting for the answer; it may be lost. */
void audit_login(struct audit *audit, const struct login *login, struct deadline deadline);

/*
 * If lines wait in the spool and the audit database is healthy, moves some of them into it, for at
 * most 150 ms, or 450 ms if the last batch takes so long. Usually there is nothing to do.
 */
void audit_drain(struct audit *audit, struct deadline deadline);

#endif
