/*
 * query.c: runs queries on the persistent connection under a deadline.
 *
 * Everything uses libpq's non-blocking calls in pipeline mode: what a new connection needs (a
 * statement timeout, the statement's preparation) is sent together with its first query, so each
 * query is one round trip. A connection with an unread answer is closed, never used again; the
 * statement timeout ends a query that the plugin no longer waits for. Errors are return values and
 * pg_error().
 */
#include "pg/connection.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "pg/sqlstate.h"

enum {
    IDLE_MS = 1000,             /* a connection idle for so long may be dead without our knowing */
    SERVER_TIMEOUT_MIN_MS = 50, /* a busy machine may need that for a trivial query */
    READS_MAX = 1024            /* from the socket, for one answer of one row; some KiB each */
};

/* ---- sending ---- */

static bool is_prepared(const struct pg *pg, const struct pg_query *query)
{
    for (size_t i = 0; i < pg->prepared_count; i++)
        if (pg->prepared[i] == query)
            return true;
    return false;
}

/*
 * The statement_timeout to set: slightly below our own deadline, so the server cancels first and no
 * backend lingers. Rounded to a few values so that it rarely has to be sent again.
 */
static long server_timeout_ms(const struct pg *pg, struct deadline deadline)
{
    long ms = pg->timeout_ms - pg->timeout_ms / 8;
    int left = deadline_left_ms(deadline);

    while (ms > left && ms / 2 >= SERVER_TIMEOUT_MIN_MS)
        ms /= 2;
    return ms;
}

static bool send_session(struct pg *pg, long timeout_ms)
{
    char text[24];
    const char *const values[] = {text};

    snprintf(text, sizeof text, "%ld", timeout_ms);
    pg->session_ms = timeout_ms;
    return PQsendQueryParams(pg->conn, "SELECT set_config('statement_timeout', $1, false)", 1, NULL,
               values, NULL, NULL, 0) == 1 &&
           PQpipelineSync(pg->conn) == 1;
}

/* One query, run once for each of count rows of values, in one transaction. */
struct request {
    const struct pg_query *query;
    const char *const *values; /* count times query->params */
    size_t count;
};

static bool send_rows(struct pg *pg, const struct request *request)
{
    const struct pg_query *query = request->query;
    bool sent = true;

    for (size_t i = 0; i < request->count && sent; i++) {
        const char *const *values = request->values + i * (size_t)query->params;

        sent = pg->prepared_statements ? PQsendQueryPrepared(pg->conn, query->name, query->params,
                                             values, NULL, NULL, 0) == 1
                                       : PQsendQueryParams(pg->conn, query->text, query->params,
                                             query->types, values, NULL, NULL, 0) == 1;
    }
    return sent && PQpipelineSync(pg->conn) == 1;
}

/* Which answers libpq reads before that of the request's first row. */
struct preamble {
    int syncs;     /* sync points, including that of the request */
    bool prepares; /* the request's transaction starts with a preparation */
};

/* Queues the request and what must be sent before it. */
static bool send_all(
    struct pg *pg, const struct request *request, long timeout_ms, struct preamble *preamble_r)
{
    const struct pg_query *query = request->query;

    *preamble_r = (struct preamble){1, false};
    if (!pg->prepared_statements)
        return send_rows(pg, request);
    if (pg->session_ms != timeout_ms) {
        if (!send_session(pg, timeout_ms))
            return false;
        preamble_r->syncs++;
    }
    preamble_r->prepares = !is_prepared(pg, query);
    if (preamble_r->prepares &&
        PQsendPrepare(pg->conn, query->name, query->text, query->params, query->types) != 1)
        return false;
    return send_rows(pg, request);
}

static bool flush(struct pg *pg, struct deadline deadline)
{
    int left;

    while ((left = PQflush(pg->conn)) == 1) {
        if (!pg_wait(pg->conn, POLLIN | POLLOUT, deadline)) {
            pg_set_error(pg, "the server does not accept a query", NULL);
            return false;
        }
        if (PQconsumeInput(pg->conn) != 1)
            break;
    }
    if (left != 0)
        pg_set_error(pg, PQerrorMessage(pg->conn), NULL);
    return left == 0;
}

/* ---- reading ---- */

/*
 * libpq buffers everything that it receives. So the number of reads is limited: a query that returns
 * a whole table must not fill the memory before the deadline.
 */
static bool wait_result(struct pg *pg, struct deadline deadline)
{
    for (int reads = 0; PQisBusy(pg->conn); reads++) {
        if (reads == READS_MAX) {
            pg_set_error(pg, "the query returns far more than one row", NULL);
            return false;
        }
        if (!pg_wait(pg->conn, POLLIN, deadline)) {
            pg_set_error(pg, "the server does not answer a query", NULL);
            return false;
        }
        if (PQconsumeInput(pg->conn) != 1) {
            pg_set_error(pg, PQerrorMessage(pg->conn), NULL);
            return false;
        }
    }
    return true;
}

/*
 * The next answer, NULL if there will be none: in a pipeline one NULL separates the answers, two
 * mean that libpq expects no more.
 */
static PGresult *next_result(struct pg *pg, struct deadline deadline)
{
    for (int nulls = 0; nulls < 2; nulls++) {
        PGresult *result;

        if (!wait_result(pg, deadline))
            return NULL;
        result = PQgetResult(pg->conn);
        if (result != NULL)
            return result;
        if (PQstatus(pg->conn) != CONNECTION_OK)
            break;
    }
    pg_set_error(pg, "the connection was lost", NULL);
    return NULL;
}

static void free_result(PGresult *result)
{
    pg_rows_free((struct pg_rows *)result);
}

static void remember_prepared(struct pg *pg, const struct pg_query *query)
{
    if (!is_prepared(pg, query) && pg->prepared_count < PREPARED_MAX)
        pg->prepared[pg->prepared_count++] = query;
}

static enum run note_failure(struct pg *pg, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    pg_set_error(pg, message != NULL ? message : PQresultErrorMessage(result), sqlstate);
    if (sqlstate_is_from_pooler(sqlstate))
        strncat(pg->error, "; behind PgBouncer set pgsasl_prepared_statements: no",
            sizeof pg->error - strlen(pg->error) - 1);
    return sqlstate_judge(sqlstate);
}

/* Handles an answer that is an error or is of an unexpected kind. */
static enum run note_unexpected(struct pg *pg, const PGresult *result, ExecStatusType status)
{
    switch (status) {
    case PGRES_FATAL_ERROR:
        return note_failure(pg, result);
    case PGRES_EMPTY_QUERY:
        pg_set_error(pg, "the query is empty", NULL);
        return RUN_REFUSED;
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
        pg_set_error(pg, "the query is a COPY, which cannot be used here", NULL);
        pg_disconnect(pg); /* the COPY would continue */
        return RUN_REFUSED;
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_SINGLE_TUPLE:
#ifdef LIBPQ_HAS_CHUNK_MODE
    case PGRES_TUPLES_CHUNK:
#endif
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:
        break;
    }
    pg_set_error(pg, "the server sent an unexpected answer", NULL);
    return RUN_LOST;
}

/* The state of reading the answers to one request. */
struct reading {
    const struct pg_query *query;
    int syncs; /* sync points still expected */
    enum run run;
    size_t answers; /* successful ones in the request's own transaction, with its preparation */
    PGresult *rows; /* the last successful answer; owned */
};

/* Evaluates one answer and becomes its owner. */
static void add_answer(struct pg *pg, struct reading *reading, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        if (status == PGRES_COMMAND_OK)
            remember_prepared(pg, reading->query);
        if (reading->syncs == 1)
            reading->answers++;
        free_result(reading->rows);
        reading->rows = result;
        return;
    }
    if (status == PGRES_PIPELINE_SYNC) {
        reading->syncs--;
    } else if (status != PGRES_PIPELINE_ABORTED && reading->run == RUN_DONE) {
        reading->run = note_unexpected(pg, result, status);
        if (reading->syncs > 1)
            reading->run = RUN_LOST; /* the session's set-up failed; a new session may work */
    }
    PQclear(result);
}

/*
 * Reads answers up to the last sync point; only after it is the request committed. The last answer
 * before it is that of the request's last row. The caller frees reading->rows. After RUN_LOST
 * answers may be unread, so the connection cannot be used any more.
 */
static void read_answers(struct pg *pg, struct reading *reading, struct deadline deadline)
{
    while (reading->syncs > 0 && pg->conn != NULL) {
        PGresult *result = next_result(pg, deadline);

        if (result == NULL)
            reading->run = RUN_LOST;
        else
            add_answer(pg, reading, result);
        if (result == NULL || (pg->conn != NULL && PQstatus(pg->conn) != CONNECTION_OK)) {
            reading->run = RUN_LOST;
            break;
        }
    }
}

/* Reads the answer to pg_send() and keeps only an error. */
static enum run read_sent_answer(struct pg *pg, struct deadline deadline)
{
    struct reading reading = {.query = pg->sent, .syncs = pg->sent_syncs, .run = RUN_DONE};

    if (pg->sent != NULL)
        read_answers(pg, &reading, deadline);
    free_result(reading.rows);
    pg->sent = NULL;
    switch (reading.run) {
    case RUN_REFUSED:
    case RUN_BAD_VALUES:
    case RUN_UNTRANSLATABLE:
        snprintf(pg->sent_error, sizeof pg->sent_error, "%s", pg->error);
        break;
    case RUN_LOST:
    case RUN_BUSY:
    case RUN_DONE:
        break;
    }
    return reading.run;
}

/* ---- both ---- */

/* How a request ended. */
struct outcome {
    enum run run;
    size_t accepted; /* rows before the refused one; all rows if the commit was refused */
    PGresult *rows;  /* owned */
};

/* Waits until limit; the statement timeout lets the server run until deadline. */
static void run_once(struct pg *pg, const struct request *request, struct deadline limit,
    struct deadline deadline, struct outcome *outcome_r)
{
    struct preamble preamble;
    struct reading reading = {.query = request->query, .run = RUN_DONE};

    *outcome_r = (struct outcome){RUN_LOST, 0, NULL};
    if (!send_all(pg, request, server_timeout_ms(pg, deadline), &preamble)) {
        pg_set_error(pg, PQerrorMessage(pg->conn), NULL);
        return;
    }
    if (!flush(pg, limit) || read_sent_answer(pg, limit) == RUN_LOST || pg->conn == NULL)
        return;
    reading.syncs = preamble.syncs;
    read_answers(pg, &reading, limit);
    if (preamble.prepares && reading.answers > 0)
        reading.answers--;
    *outcome_r = (struct outcome){reading.run, reading.answers, reading.rows};
}

/*
 * How long to wait on the present connection. An idle one may be dead without notice (a firewall
 * dropped it), and one with an outstanding answer may hang: these get half the time, the rest is
 * for a new connection.
 */
static struct deadline first_try_limit(const struct pg *pg, struct deadline deadline)
{
    if (pg->sent == NULL && deadline_in(0).at_ms - pg->used_at_ms < IDLE_MS)
        return deadline;
    return deadline_in(deadline_left_ms(deadline) / 2);
}

static enum pg_answer answer_of(enum run run)
{
    switch (run) {
    case RUN_LOST:
    case RUN_BUSY:
        return PG_UNAVAILABLE;
    case RUN_REFUSED:
        return PG_REFUSED;
    case RUN_BAD_VALUES:
        return PG_BAD_VALUES;
    case RUN_UNTRANSLATABLE:
        return PG_UNTRANSLATABLE;
    case RUN_DONE:
        return PG_OK;
    }
    return PG_UNAVAILABLE;
}

/* Runs the request; connects first if needed. Runs it once more if the connection is lost. */
static enum pg_answer run_request(struct pg *pg, const struct request *request,
    struct deadline deadline, struct outcome *outcome_r)
{
    *outcome_r = (struct outcome){RUN_LOST, 0, NULL};
    pg_drop_inherited(pg);
    for (int tries = 0; tries < 2 && outcome_r->run == RUN_LOST && deadline_left_ms(deadline) > 0;
        tries++) {
        struct deadline limit = pg->conn != NULL ? first_try_limit(pg, deadline) : deadline;

        if (pg->conn == NULL && !pg_connect(pg, deadline))
            return PG_UNAVAILABLE;
        free_result(outcome_r->rows);
        run_once(pg, request, limit, deadline, outcome_r);
        pg->used_at_ms = deadline_in(0).at_ms;
        if (outcome_r->run == RUN_LOST)
            pg_disconnect(pg);
    }
    if (outcome_r->run == RUN_DONE)
        pg->error[0] = '\0';
    return answer_of(outcome_r->run);
}

enum pg_answer pg_execute(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline, struct pg_rows **rows_r)
{
    const struct request request = {query, values, 1};
    struct outcome outcome;
    enum pg_answer answer = run_request(pg, &request, deadline, &outcome);

    *rows_r = NULL;
    if (answer == PG_OK)
        *rows_r = (struct pg_rows *)outcome.rows;
    else
        free_result(outcome.rows);
    return answer;
}

enum pg_answer pg_execute_all(struct pg *pg, const struct pg_query *query,
    const char *const *values, size_t count, struct deadline deadline, size_t *accepted_r)
{
    const struct request request = {query, values, count};
    struct outcome outcome;
    enum pg_answer answer = run_request(pg, &request, deadline, &outcome);

    *accepted_r = outcome.accepted < count ? outcome.accepted : count;
    free_result(outcome.rows);
    return answer;
}

bool pg_send(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline)
{
    /* Nobody waits for the answer, so the present statement_timeout is good enough. */
    long timeout_ms = pg->session_ms > 0 ? pg->session_ms : pg->timeout_ms;
    const struct request request = {query, values, 1};
    struct preamble preamble;

    pg_drop_inherited(pg);
    if (pg->conn != NULL && read_sent_answer(pg, deadline) == RUN_LOST)
        pg_disconnect(pg);
    if (pg->conn == NULL && !pg_connect(pg, deadline))
        return false;
    if (!send_all(pg, &request, timeout_ms, &preamble) || PQflush(pg->conn) < 0) {
        pg_set_error(pg, PQerrorMessage(pg->conn), NULL);
        pg_disconnect(pg);
        return false;
    }
    pg->sent = query;
    pg->sent_syncs = preamble.syncs;
    return true;
}

const char *pg_sent_error(const struct pg *pg)
{
    return pg->sent_error;
}
