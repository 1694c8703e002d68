/*
 * pg.h: one kept PostgreSQL connection, driven by libpq's non-blocking calls under a deadline.
 *
 * A connection belongs to the process that made it: in a forked child it is dropped without a byte
 * on the parent's socket, and a new one is made. Threads take turns: pg_execute(), pg_send() and
 * the functions that read their results are called between pg_enter() and pg_leave(). Nothing
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
    /* No connection, lost, busy, or past the deadline; pg_error() says why. */
    PG_UNAVAILABLE = 0,
    /* The server refused the query, which is at fault; pg_error() says why. */
    PG_REFUSED,
    /* The server refused the values (SQLSTATE classes 22 and 23): they will never be accepted. */
    PG_BAD_VALUES,
    /* A value has characters that the database's encoding lacks. */
    PG_UNTRANSLATABLE,
    PG_OK
};

/*
 * A statement; constant for the life of the process. Prepared on first use of a connection, in the
 * same round trip.
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
 * The highest n of the parameters $n in a statement, 0 where it has none; text in literals, quoted
 * names and comments does not count. More than 65535 reads as 65536.
 */
int pg_highest_parameter(const char *text);

/*
 * conninfo is copied. Host names are resolved now as well, so that a chroot without resolv.conf
 * still finds them. Opens no connection. NULL: no memory, or conninfo is not one; *error_r (size
 * cap) then says what is wrong.
 */
struct pg *pg_new(
    const char *conninfo, bool prepared_statements, long timeout_ms, char *error_r, size_t cap);

/* Another owner of the same connection, which gives it back by pg_free(). Returns pg. */
struct pg *pg_ref(struct pg *pg);

/* Gives one reference back; the last one closes and frees. NULL is tolerated. */
void pg_free(struct pg *pg);

/* Takes the connection for this thread; false when the deadline comes first. */
bool pg_enter(struct pg *pg, struct deadline deadline);
void pg_leave(struct pg *pg);

/*
 * In a forked child: frees what another thread of the parent held. May be called more than once.
 * NULL is tolerated.
 */
void pg_forked(struct pg *pg);

/*
 * Runs one query with text parameters (NULL entries are SQL NULL), connecting first where there is
 * no connection. A connection found dead is replaced and the query sent once more inside the same
 * deadline, so a query must bear being run twice. On PG_OK *rows_r is owned by the caller
 * (pg_rows_free), else NULL.
 */
enum pg_answer pg_execute(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline, struct pg_rows **rows_r);

/*
 * Runs one query count times, each with the next params of values, in one transaction and one round
 * trip, connecting as pg_execute() does. All of it is committed, or nothing. Where the server
 * refused a row, *accepted_r is how many it had accepted before; count where it refused the commit.
 */
enum pg_answer pg_execute_all(struct pg *pg, const struct pg_query *query,
    const char *const *values, size_t count, struct deadline deadline, size_t *accepted_r);

/*
 * Sends a query whose answer nobody waits for, connecting first where there is no connection. The
 * answer is read, and thrown away, with the next call's. False: it could not be sent.
 */
bool pg_send(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline);

/* What the server refused of the queries sent by pg_send(); "" while nothing. */
const char *pg_sent_error(const struct pg *pg);

/*
 * The last failure in one line without secrets, with the server's SQLSTATE; "" when there was none.
 * Valid until the next call.
 */
const char *pg_error(const struct pg *pg);

int pg_rows_count(const struct pg_rows *rows);

/* The column's index by name, -1 where there is none. */
int pg_rows_column(const struct pg_rows *rows, const char *name);

/* The value as text, NULL for SQL NULL or column -1. Owned by rows. */
const char *pg_rows_value(const struct pg_rows *rows, int row, int column);

/* Wipes every value (a hash may be among them), then frees. NULL is tolerated. */
void pg_rows_free(struct pg_rows *rows);

#endif
