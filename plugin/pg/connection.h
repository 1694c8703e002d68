/*
 * connection.h: the connection that the files behind pg.h share.
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
    struct pg_tls *tls; /* NULL: no TLS, or libpq needs no file for it */
    bool prefer_standby;
    bool prepared_statements;
    long timeout_ms;
    long session_ms; /* the statement_timeout that was set on conn; 0: none or unknown */
    const struct pg_query *prepared[PREPARED_MAX];
    size_t prepared_count;
    const struct pg_query *sent; /* by pg_send(), its answer not yet read; NULL: none */
    int sent_syncs;
    char sent_error[PG_ERROR_MAX];
    int64_t used_at_ms;
    char error[PG_ERROR_MAX];
};

/*
 * Stores the first line of a message of libpq or the server for pg_error(), with the SQLSTATE if
 * there is one. The message may quote a client's bytes, so only printable ASCII is kept. NULL and
 * "" become "out of memory"; sqlstate may be NULL.
 */
void pg_set_error(struct pg *pg, const char *message, const char *sqlstate);

/* The value of a conninfo keyword, NULL where it has none. Owned by pg. */
const char *pg_option(const struct pg *pg, const char *keyword);

/* Closes the connection, if there is one, and resets what is known about its session. */
void pg_disconnect(struct pg *pg);

/*
 * Closes the descriptor in this process and leaks the rest: for a connection in an unknown state.
 */
void pg_abandon(struct pg *pg);

/*
 * Drops a connection that a parent process made, without sending anything on the socket, which the
 * parent still uses.
 */
void pg_drop_inherited(struct pg *pg);

/*
 * Connects to one of the targets by deadline. False: pg_error() says why it did not.
 */
bool pg_connect(struct pg *pg, struct deadline deadline);

/* Waits until the connection's socket has one of events. False: the deadline came first. */
bool pg_wait(PGconn *conn, short events, struct deadline deadline);

#endif
