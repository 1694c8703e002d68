/*
 * pg.h: one persistent PostgreSQL connection, driven by libpq's non-blocking calls under a
 * deadline.
 *
 * A connection belongs to the process that made it: a forked child drops it without sending
 * anything on the parent's socket, and connects itself. Threads take turns: call pg_execute(),
 * pg_send() and the functions that read their results between pg_enter() and pg_leave(). Nothing
 * blocks past its deadline.
 */
#ifndef PGSASL_PG_PG_H
#define PGSASL_PG_PG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct pg;
struct pg_rows;

enum pg_answer {
    /* No connection, connection lost, server busy, or past the deadline; pg_error() says why. */
    PG_UNAVAILABLE = 0,
    /* The server refused the query itself; pg_error() says why. */
    PG_REFUSED,
    /* The server refused the values (SQLSTATE classes 22 and 23) and will never accept them. */
    PG_BAD_VALUES,
    /* A value has characters that the database's encoding cannot represent. */
    PG_UNTRANSLATABLE,
    PG_OK
};

/*
 * A statement; constant for the life of the process. Each connection prepares it at its first use,
 * in the same round trip.
 */
struct pg_query {
    const char *name; /* of the prepared statement */
    const char *text;
    int params;
    const unsigned *types; /* params OIDs */
};

/* OIDs of parameter types (pg_type.dat); none of them ever changes. */
enum { PG_TEXT = 25, PG_INET = 869, PG_JSONB = 3802 };

/*
 * The highest n of the parameters $n in a statement, 0 for none; text in literals, quoted names and
 * comments does not count. A number above 65535 is returned as 65536.
 */
int pg_highest_parameter(const char *text);

/*
 * conninfo is copied. Host names are resolved now, so that they are known in a chroot without
 * resolv.conf. Opens no connection. NULL: no memory, or conninfo is invalid; error_r (size cap)
 * then says what is wrong.
 */
struct pg *pg_new(
    const char *conninfo, bool prepared_statements, long timeout_ms, char *error_r, size_t cap);

/* Adds a reference, to be released by pg_free(). Returns pg. NULL is tolerated. */
struct pg *pg_ref(struct pg *pg);

/* Releases one reference; the last one closes and frees. NULL is tolerated. */
void pg_free(struct pg *pg);

/* Locks the connection for this thread. False: the deadline came first. */
bool pg_enter(struct pg *pg, struct deadline deadline);
void pg_leave(struct pg *pg);

/*
 * In a forked child: releases the locks that the parent's other threads held. May be called more
 * than once. NULL is tolerated.
 */
void pg_forked(struct pg *pg);

/*
 * Runs one query with text parameters (NULL entries are SQL NULL); connects first if there is no
 * connection. If the connection turns out to be dead, it is replaced and the query sent once more
 * within the same deadline, so a query must be safe to run twice. On PG_OK *rows_r is owned by the
 * caller (pg_rows_free), else NULL.
 */
enum pg_answer pg_execute(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline, struct pg_rows **rows_r);

/*
 * Runs one query count times, each time with the next query->params of values, in one transaction
 * and one round trip; connects as pg_execute() does. Everything is committed, or nothing. If the
 * server refuses a row, *accepted_r is the number of rows that it accepted before; count if it
 * refused the commit.
 */
enum pg_answer pg_execute_all(struct pg *pg, const struct pg_query *query,
    const char *const *values, size_t count, struct deadline deadline, size_t *accepted_r);

/*
 * Sends a query without waiting for the answer; connects first if there is no connection. The next
 * call reads the answer and discards it. False: the query could not be sent.
 */
bool pg_send(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline);

/* Why the server refused a query sent by pg_send(); "" while it refused none. */
const char *pg_sent_error(const struct pg *pg);

/*
 * The last failure in one line without secrets, with the server's SQLSTATE; "" if there was none.
 * Valid until the next call.
 */
const char *pg_error(const struct pg *pg);

int pg_rows_count(const struct pg_rows *rows);

/* The column's index by name, -1 if there is no such column. */
int pg_rows_column(const struct pg_rows *rows, const char *name);

/* The value as text, NULL for SQL NULL or column -1. Owned by rows. */
const char *pg_rows_value(const struct pg_rows *rows, int row, int column);

/* Wipes every value (a hash may be among them), then frees. NULL is tolerated. */
void pg_rows_free(struct pg_rows *rows);

#endif
