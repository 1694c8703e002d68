/*
 * connection.h: what the files behind pg.h share: one connection, and how a run of a query ends.
 *
 * Internal to pg/. The caller of each function holds the connection's mutex.
 */
#ifndef PGSASL_PG_CONNECTION_H
#define PGSASL_PG_CONNECTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libpq-fe.h>

#include "base/deadline.h"
#include "pg/hosts.h"
#include "pg/pg.h"
#include "pg/tls.h"

enum { PREPARED_MAX = 4, PG_ERROR_MAX = 256 };

struct pg {
    unsigned references;
    pthread_mutex_t mutex;
    PGconn *conn; /* NULL: none */
    pid_t owner;  /* the process that made conn */
    PQconninfoOption *options;
    struct pg_hosts hosts;
    struct pg_tls *tls; /* NULL: libpq reads what it needs by itself */
    bool prefer_standby;
    bool prepared_statements;
    long timeout_ms;
    long session_ms; /* the statement timeout that conn was told; 0: none, or nobody knows */
    const struct pg_query *prepared[PREPARED_MAX];
    size_t prepared_count;
    const struct pg_query *sent; /* by pg_send(), its answer still to be read; NULL: none */
    int sent_syncs;
    char sent_error[PG_ERROR_MAX];
    int64_t used_at_ms;
    char error[PG_ERROR_MAX];
};

/*
 * Keeps the first line of libpq's or the server's message as pg_error(), with the SQLSTATE where
 * there is one. It may quote a client's bytes, so only plain ones stay. NULL and "" read as a lack
 * of memory; sqlstate may be NULL.
 */
void pg_set_error(struct pg *pg, const char *message, const char *sqlstate);

/* The value of a conninfo keyword, NULL where it has none. Owned by pg. */
const char *pg_option(const struct pg *pg, const char *keyword);

/* Closes the connection, if there is one, and forgets what it was told. */
void pg_disconnect(struct pg *pg);

/*
 * Closes the descriptor in this process and leaves the rest unfreed: for a connection whose state
 * nobody knows.
 */
void pg_abandon(struct pg *pg);

/*
 * Drops a connection that a parent process made, without a byte on the socket that it still uses.
 */
void pg_drop_inherited(struct pg *pg);

/*
 * Makes a connection to one of the targets by deadline. False: pg_error() says why there is none.
 */
bool pg_connect(struct pg *pg, struct deadline deadline);

/* Waits until the connection's socket has one of events; false when the deadline comes first. */
bool pg_wait(PGconn *conn, short events, struct deadline deadline);

#endif
