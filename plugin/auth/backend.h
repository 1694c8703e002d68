/*
 * backend.h: what one process keeps for all attempts: options, connections, spool.
 *
 * One per process, made in the host's init and freed at its end. Threads take turns at the
 * connections by a mutex, which a forked child finds free.
 */
#ifndef PGSASL_AUTH_BACKEND_H
#define PGSASL_AUTH_BACKEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/cache.h"
#include "base/deadline.h"
#include "hash/hash.h"
#include "base/log.h"
#include "base/options.h"
#include "pg/pg.h"
#include "file/spool.h"

struct backend {
    struct options options;
    struct log_sink log;
    struct pg *lookup; /* NULL: not usable */
    struct pg
        *audit; /* the same as lookup, unless pgsasl_audit_conninfo is set; NULL: not usable */
    struct pg_query user_query;
    struct pg_query audit_query;
    struct pg_query login_query;
    struct spool *spool; /* NULL: none */
    struct cache *cache; /* NULL: none */
    const char *fault;   /* why every attempt is answered as a temporary failure; NULL: it is not */
    _Atomic bool logins_refused; /* login_query is at fault: said once, not sent again */
    struct hash usual_decoy;     /* like the last stored hash that was seen; unusable before */
    _Atomic int64_t audit_silent_until; /* a separate audit database failed: not asked again before,
                                   CLOCK_MONOTONIC ms */
    pthread_mutex_t mutex;
};

/*
 * Reads the options and opens what needs a path. NULL: not configured here, or no memory for even
 * the backend. A faulty configuration is logged and still makes a backend, one whose attempts all
 * are REASON_BACKEND_UNAVAILABLE. log is copied.
 */
struct backend *backend_new(const struct options_source *source, const struct log_sink *log);

/* Closes all; NULL is tolerated. */
void backend_free(struct backend *backend);

/* Takes the connections for this thread; false when the deadline comes first. */
bool backend_enter(struct backend *backend, struct deadline deadline);

/* Gives them back. */
void backend_leave(struct backend *backend);

#endif
