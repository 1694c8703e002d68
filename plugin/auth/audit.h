/*
 * audit.h: makes one failed attempt a fact: a committed row, or a synced line of the spool file,
 * or, failing both, one complete log line.
 *
 * Owns the connection to the audit database, its queries and the spool. Threads may call at once.
 * Nothing that happens to the audit changes a verdict.
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

/* Where a failure came to rest. */
enum audit_result {
    AUDIT_LOST = 0, /* neither database nor spool took it; the log line holds the row */
    AUDIT_SPOOLED,  /* synced to the spool file */
    AUDIT_STORED    /* committed */
};

/* What an audit is made of. The texts must live as long as it does. */
struct audit_parts {
    struct pg *pg;       /* NULL: not usable. audit_free() gives it back. */
    struct spool *spool; /* NULL: none. audit_free() closes it. */
    bool elsewhere;      /* look-ups do not go to this database */
    const char *failure_query;
    const char *login_query; /* NULL: logins are not noted */
    struct log_sink log;
};

/*
 * NULL: no memory; *parts is given back in that case as well. A query with a parameter that is not
 * filled is one line in the log, and *fault_r then says what is wrong, else it is left as it is.
 */
struct audit *audit_new(const struct audit_parts *parts, const char **fault_r);

/* NULL is tolerated. */
void audit_free(struct audit *audit);

/* In a forked child: what another thread of the parent held is free here. NULL is tolerated. */
void audit_forked(struct audit *audit);

/*
 * Stores *failure, by deadline, whatever happens to the database; the spool may take up to 500 ms
 * longer for its lock, and as long as fdatasync(2) takes. lookup_failed: the database of look-ups
 * was asked just now in vain; where it is the same and there is a spool, it is not asked again.
 * Logs the attempt's line.
 */
enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline);

/*
 * Whether a login should be noted for the sake of what it says of the spool: from time to time
 * while rows wait there, and once when none wait any more.
 */
bool audit_wants_login(const struct audit *audit);

/* Sends the login to the audit database without waiting for the answer; it may be lost. */
void audit_login(struct audit *audit, const struct login *login, struct deadline deadline);

/*
 * Where the spool holds lines and the audit database is healthy: moves some of them into it, for
 * 150 ms at most, or 450 ms where a batch that was begun takes so long. Does nothing in the usual
 * case.
 */
void audit_drain(struct audit *audit, struct deadline deadline);

#endif
