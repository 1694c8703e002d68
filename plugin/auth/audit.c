/*
 * audit.c: stores a row in the database, else in the spool, else in the log; and drains the spool.
 *
 * A row is the same bytes everywhere (row.h): the query's parameter, the spool's line, the line
 * that is drained, and the end of the log line for a row that could not be stored.
 */
#include "auth/audit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "file/spool.h"
#include "pg/pg.h"

enum {
    PAUSE_MS = 1000,      /* for so long a failed database is not queried, if there is a spool */
    SPOOL_MS = 500,       /* minimum time to wait for the spool's lock */
    DRAIN_MS = 150,       /* no batch starts later than this */
    DRAIN_OVER_MS = 300,  /* how much longer the last batch may take */
    DRAIN_FIRST_ROWS = 8, /* rows of a process's first batch: the database's speed is unknown */
    LOGIN_MS = 250,       /* maximum time to send a login stamp */
    WAITING_REPORT_MS = 10000, /* how often a login is noted only to report rows in the spool */
    NAME_LOGGED_MAX = 128,     /* bytes of the user name in a log line */
    SKIPPED_LOGGED_MAX = 3072  /* bytes of a skipped row in a log line */
};

struct audit {
    struct audit_parts parts;
    struct pg_query failure_query;
    struct pg_query login_query;
    _Atomic bool logins_refused;       /* the login query is wrong: logged once, not sent again */
    _Atomic int64_t paused_until_ms;   /* CLOCK_MONOTONIC; no query before that */
    _Atomic int64_t rows_per_s;        /* speed of the last batch from the spool; 0: unknown */
    _Atomic bool reported_waiting;     /* the database knows that rows wait in this spool */
    _Atomic int64_t next_report_at_ms; /* when to report that again */
};

static const unsigned row_types[] = {PG_JSONB};

/* ---- life ---- */

static void init_query(struct audit *audit, struct pg_query *query_r, const char *name,
    const char *option, const char *text, const char **fault_r)
{
    const int highest = text == NULL ? 0 : pg_highest_parameter(text);

    *query_r = (struct pg_query){name, text, 1, row_types};
    if (highest <= query_r->params)
        return;
    *fault_r = "a query has a parameter that is not filled";
    log_line(&audit->parts.log, LOG_PROBLEM,
        "%s has the parameter $%d; only $1, the row as one JSON object, is filled", option,
        highest);
}

struct audit *audit_new(const struct audit_parts *parts, const char **fault_r)
{
    struct audit *audit = calloc(1, sizeof *audit);

    if (audit == NULL) {
        pg_free(parts->pg);
        spool_close(parts->spool);
        return NULL;
    }
    audit->parts = *parts;
    init_query(audit, &audit->failure_query, "pgsasl_audit", "pgsasl_audit_query",
        parts->failure_query, fault_r);
    init_query(audit, &audit->login_query, "pgsasl_login", "pgsasl_login_query", parts->login_query,
        fault_r);
    return audit;
}

void audit_free(struct audit *audit)
{
    if (audit == NULL)
        return;
    pg_free(audit->parts.pg);
    spool_close(audit->parts.spool);
    free(audit);
}

void audit_forked(struct audit *audit)
{
    if (audit == NULL)
        return;
    pg_forked(audit->parts.pg);
    spool_forked(audit->parts.spool);
}

/* ---- the database ---- */

static enum pg_answer insert_as_is(struct audit *audit, const char *row, struct deadline deadline)
{
    struct pg_rows *rows = NULL;
    enum pg_answer answer =
        pg_execute(audit->parts.pg, &audit->failure_query, &row, deadline, &rows);

    pg_rows_free(rows);
    return answer;
}

/* A database that is not in UTF-8 may lack a character: then its escape is stored. */
static enum pg_answer insert(struct audit *audit, const char *row, struct deadline deadline)
{
    enum pg_answer answer = insert_as_is(audit, row, deadline);
    char spelt_out[2 * ROW_MAX];

    if (answer != PG_UNTRANSLATABLE || json_spell_out(row, spelt_out, sizeof spelt_out) == 0)
        return answer;
    return insert_as_is(audit, spelt_out, deadline);
}

static void pause_queries(struct audit *audit)
{
    audit->paused_until_ms = deadline_in(PAUSE_MS).at_ms;
}

static bool insert_or_log(struct audit *audit, const char *row, struct deadline deadline)
{
    enum pg_answer answer = insert(audit, row, deadline);

    if (answer == PG_OK)
        return true;
    log_line(&audit->parts.log, LOG_PROBLEM, "no audit row: %s", pg_error(audit->parts.pg));
    if (answer == PG_UNAVAILABLE)
        pause_queries(audit);
    return false;
}

/* False: no connection, no time left, or a spool and a database that failed a moment ago. */
static bool may_query(const struct audit *audit, struct deadline deadline)
{
    return audit->parts.pg != NULL && deadline_left_ms(deadline) > 0 &&
           (audit->parts.spool == NULL || deadline_in(0).at_ms >= audit->paused_until_ms);
}

static bool store_in_database(struct audit *audit, const char *row, struct deadline deadline)
{
    bool stored;

    if (!may_query(audit, deadline) || !pg_enter(audit->parts.pg, deadline))
        return false;
    stored = may_query(audit, deadline) && insert_or_log(audit, row, deadline);
    pg_leave(audit->parts.pg);
    return stored;
}

/* ---- a failure ---- */

static void log_failure(struct audit *audit, const struct failure *failure, const char *row,
    const char *spool_fault, enum audit_result result)
{
    static const char *const notes[] = {" audit=lost spool=\"", " audit=spooled", ""};
    const struct attempt *attempt = failure->attempt;
    const char *name = attempt->credentials->display_name;
    const bool lost = result == AUDIT_LOST;
    char username[NAME_LOGGED_MAX];
    char detail[ROW_DETAIL_MAX];

    text_escape(username, sizeof username, name, strlen(name));
    text_escape(detail, sizeof detail, failure->detail, strlen(failure->detail));
    log_line(&audit->parts.log, LOG_FAILURE,
        "rejected reason=%s username=\"%s\" client=%s mechanism=%s attempt=%s%s%s%s%s%s%s%s",
        reason_name(failure->reason), username,
        *attempt->client.text == '\0' ? "unknown" : attempt->client.text, attempt->mechanism,
        failure->attempt_id, *detail == '\0' ? "" : " detail=\"", detail,
        *detail == '\0' ? "" : "\"", notes[result], lost ? spool_fault : "", lost ? "\" row=" : "",
        lost ? row : "");
}

/* NULL: stored; else why not. May wait past the deadline for the lock, rather than lose the row. */
static const char *store_in_spool(
    struct audit *audit, const char *row, size_t len, struct deadline deadline)
{
    int left = deadline_left_ms(deadline);

    if (audit->parts.spool == NULL)
        return "none";
    return spool_append(
        audit->parts.spool, row, len, deadline_in(left > SPOOL_MS ? left : SPOOL_MS));
}

static void note_reported(struct audit *audit, size_t waiting)
{
    audit->reported_waiting = waiting > 0;
    audit->next_report_at_ms = waiting > 0 ? deadline_in(WAITING_REPORT_MS).at_ms : 0;
}

/*
 * While rows wait in the spool, the row that goes to the database says how much: in the spool the
 * number would be out of date when it arrives. Else it is the row as it is.
 */
static bool store_failure(
    struct audit *audit, const struct failure *failure, const char *row, struct deadline deadline)
{
    const size_t waiting = spool_waiting(audit->parts.spool);
    struct failure reported = *failure;
    char with_report[ROW_MAX];

    if (waiting > 0) {
        reported.spool_waiting = waiting;
        row_of_failure(&reported, with_report, sizeof with_report);
        row = with_report;
    }
    if (!store_in_database(audit, row, deadline))
        return false;
    note_reported(audit, waiting);
    return true;
}

enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline)
{
    bool try_database = !lookup_failed || audit->parts.elsewhere || audit->parts.spool == NULL;
    enum audit_result result = AUDIT_STORED;
    const char *spool_fault = "";
    char row[ROW_MAX];
    size_t len = row_of_failure(failure, row, sizeof row);

    if (!try_database || !store_failure(audit, failure, row, deadline)) {
        spool_fault = store_in_spool(audit, row, len, deadline);
        result = spool_fault == NULL ? AUDIT_SPOOLED : AUDIT_LOST;
    }
    log_failure(audit, failure, row, spool_fault, result);
    return result;
}

/* ---- logins ---- */

bool audit_wants_login(const struct audit *audit)
{
    if (spool_waiting(audit->parts.spool) == 0)
        return audit->reported_waiting;
    return deadline_in(0).at_ms >= audit->next_report_at_ms;
}

void audit_login(struct audit *audit, const struct login *login, struct deadline deadline)
{
    struct login reported = *login;
    char text[ROW_MAX];
    const char *row = text;
    struct pg *pg = audit->parts.pg;

    deadline = deadline_within(deadline, LOGIN_MS);
    reported.spool_waiting = spool_waiting(audit->parts.spool);
    if (audit->login_query.text == NULL || audit->logins_refused ||
        row_of_login(&reported, text, sizeof text) == 0 || !may_query(audit, deadline) ||
        !pg_enter(pg, deadline))
        return;
    if (*pg_sent_error(pg) != '\0') {
        audit->logins_refused = true;
        log_line(&audit->parts.log, LOG_PROBLEM, "logins are not noted: %s", pg_sent_error(pg));
    } else if (pg_send(pg, &audit->login_query, &row, deadline)) {
        note_reported(audit, reported.spool_waiting);
    } else {
        pause_queries(audit);
    }
    pg_leave(pg);
}

/* ---- draining the spool ---- */

struct draining {
    struct audit *audit;
    struct deadline until;    /* no batch starts later */
    struct deadline deadline; /* every batch ends by then */
};

static void report(void *context, const char *text)
{
    const struct draining *draining = context;

    log_line(&draining->audit->parts.log, LOG_PROBLEM, "pgsasl_spool_file: %s", text);
}

/* How many rows fit into the time left, at the speed of the last batch. */
static size_t batch_size(const struct draining *draining, size_t count)
{
    int64_t rate = draining->audit->rows_per_s;
    int64_t size = rate == 0 ? DRAIN_FIRST_ROWS : rate * deadline_left_ms(draining->until) / 1000;

    if (size < 1)
        return 1;
    return (size_t)size < count ? (size_t)size : count;
}

static void learn_rate(struct audit *audit, size_t count, int64_t began_ms)
{
    audit->rows_per_s = 1 + (int64_t)count * 1000 / (deadline_in(1).at_ms - began_ms);
}

/* Inserts all rows or none, in one transaction. */
static enum pg_answer insert_batch(const struct draining *draining, const struct spool_line *lines,
    size_t count, size_t *accepted_r)
{
    struct audit *audit = draining->audit;
    const char *rows[SPOOL_BATCH_MAX];
    int64_t began_ms = deadline_in(0).at_ms;
    enum pg_answer answer;

    for (size_t i = 0; i < count; i++)
        rows[i] = lines[i].text;
    answer = pg_execute_all(
        audit->parts.pg, &audit->failure_query, rows, count, draining->deadline, accepted_r);
    if (answer == PG_OK)
        learn_rate(audit, count, began_ms);
    return answer;
}

/* A batch that ran out of time is followed by smaller ones; else the database gets a pause. */
static void note_failed_batch(const struct draining *draining, size_t count)
{
    if (count > 1 && deadline_left_ms(draining->deadline) == 0)
        draining->audit->rows_per_s = (int64_t)count;
    else
        pause_queries(draining->audit);
}

/* Moves one row. A row that the database rejects permanently must not block those behind it. */
static bool move_row(const struct draining *draining, const char *row)
{
    struct audit *audit = draining->audit;
    int64_t began_ms = deadline_in(0).at_ms;
    char escaped[SKIPPED_LOGGED_MAX];

    switch (insert(audit, row, draining->deadline)) {
    case PG_OK:
        learn_rate(audit, 1, began_ms);
        return true;
    case PG_BAD_VALUES:
    case PG_UNTRANSLATABLE:
        text_escape(escaped, sizeof escaped, row, strlen(row));
        log_line(&audit->parts.log, LOG_PROBLEM, "spooled line skipped, %s: %s",
            pg_error(audit->parts.pg), escaped);
        return true;
    case PG_UNAVAILABLE:
    case PG_REFUSED:
        break;
    }
    note_failed_batch(draining, 1);
    return false;
}

/*
 * Moves rows, starting with the first; returns how many, 0: none now. If the database rejects a
 * row, its batch is rolled back: the rows before it are then sent without it, and it is tried
 * alone. If the database does not say which row it was, halving the batch finds it.
 */
static size_t move_rows(
    const struct draining *draining, const struct spool_line *lines, size_t count)
{
    while (count > 1 && deadline_left_ms(draining->until) > 0) {
        size_t accepted = 0;

        switch (insert_batch(draining, lines, count, &accepted)) {
        case PG_OK:
            return count;
        case PG_BAD_VALUES:
        case PG_UNTRANSLATABLE:
            count = accepted < count ? accepted : count / 2;
            break;
        case PG_UNAVAILABLE:
        case PG_REFUSED:
            note_failed_batch(draining, count);
            return 0;
        }
    }
    return count <= 1 && move_row(draining, lines[0].text) ? 1 : 0;
}

/* Locks the connection for one batch at a time, so that other threads can log in between. */
static size_t move_lines(void *context, const struct spool_line *lines, size_t count)
{
    const struct draining *draining = context;
    struct pg *pg = draining->audit->parts.pg;
    size_t moved = 0;
    size_t batch = 1;

    while (moved < count && batch > 0 && deadline_left_ms(draining->until) > 0 &&
           pg_enter(pg, draining->until)) {
        batch = move_rows(draining, lines + moved, batch_size(draining, count - moved));
        pg_leave(pg);
        moved += batch;
    }
    return moved;
}

void audit_drain(struct audit *audit, struct deadline deadline)
{
    struct draining draining = {audit, deadline_within(deadline, DRAIN_MS),
        deadline_within(deadline, DRAIN_MS + DRAIN_OVER_MS)};
    const struct spool_taker taker = {move_lines, report, &draining};

    if (spool_waiting(audit->parts.spool) > 0 && may_query(audit, deadline))
        spool_drain(audit->parts.spool, draining.until, &taker);
}
