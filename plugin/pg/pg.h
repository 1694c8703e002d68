/*
 * pg.h: one kept PostgreSQL connection, driven by libpq's non-blocking calls under a deadline.
 *
 * The only file that includes libpq-fe.h is pg.c (with pg_hosts.c, which names hosts for it). A
 * connection belongs to the process that made it: in a forked child it is dropped without a byte on
 * the parent's socket, and made anew. Not thread-safe: the caller holds the backend's mutex. Never
 * blocks past the deadline that it is given.
 */
#ifndef PGSASL_PG_PG_H
#define PGSASL_PG_PG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct pg;
struct pg_rows;

enum pg_answer {
    PG_UNAVAILABLE =
        0,      /* no connection, lost, refused, or past the deadline; pg_error() says why */
    PG_REFUSED, /* the server answered with an error: the query itself is at fault; pg_error() says
                   which */
    PG_OK
};

/* A statement; constant for the life of the process. Prepared on first use of a connection, in the
 * same round trip. */
struct pg_query {
    const char *name; /* of the prepared statement */
    const char *text;
    int params;
    const unsigned *types; /* params OIDs; 0 lets the server infer */
};

/*
 * conninfo is copied. Host names are resolved now as well, so that a chroot without resolv.conf
 * still finds them. Opens no connection. NULL: no memory, or conninfo is not one; *error_r (size
 * cap) then says what is wrong.
 */
struct pg *pg_new(
    const char *conninfo, bool prepared_statements, long timeout_ms, char *error_r, size_t cap);

/* Closes and frees; NULL is tolerated. */
void pg_free(struct pg *pg);

/*
 * Lets go of a connection that was torn by a fork in the middle of a call: closes its descriptor in
 * this process and leaves the rest of it, whose state nobody knows, unfreed.
 */
void pg_forget(struct pg *pg);

/*
 * Runs one query with text parameters (NULL entries are SQL NULL), connecting first where there is
 * no connection. A connection found dead is replaced and the query sent once more inside the same
 * deadline, so a query must bear being run twice. On PG_OK *rows_r is owned by the caller
 * (pg_rows_free), else NULL.
 */
enum pg_answer pg_execute(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline, struct pg_rows **rows_r);

/*
 * Sends a query whose answer nobody waits for, connecting first where there is no connection. The
 * answer is read, and thrown away, with the next call's. False: it could not be sent.
 */
bool pg_send(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline);

/* What the server refused of the queries sent by pg_send(); "" while nothing. */
const char *pg_sent_error(const struct pg *pg);

/* True when a connection stands and was last seen well; asks nobody. */
bool pg_connected(const struct pg *pg);

/* True when the server's encoding takes every Unicode character (UTF8). Meaningful while connected.
 */
bool pg_takes_unicode(const struct pg *pg);

/* The last failure, one line, without secrets; "" when there was none. Valid until the next call.
 */
const char *pg_error(const struct pg *pg);

/* The last failure's SQLSTATE, "" when it was not the server's word. */
const char *pg_sqlstate(const struct pg *pg);

int pg_rows_count(const struct pg_rows *rows);

/* The column's index by name, -1 where there is none. */
int pg_rows_column(const struct pg_rows *rows, const char *name);

/* The value as text, NULL for SQL NULL or column -1. Owned by rows. */
const char *pg_rows_value(const struct pg_rows *rows, int row, int column);

/* Wipes every value (a hash may be among them), then frees. NULL is tolerated. */
void pg_rows_free(struct pg_rows *rows);

#endif
