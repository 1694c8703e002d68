/*
 * audit.c: brings a row to the database, else to the spool, else into the log; and drains the
 * spool.
 *
 * A row is the same bytes everywhere (row.h): the query's parameter, the spool's line, the
 * line that is drained and the end of the log line of a row that was lost.
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
    SILENT_MS =
        1000,       /* a database that failed is not asked again for so long, if there is a spool */
    SPOOL_MS = 500, /* what the spool's lock gets at least */
    DRAIN_MS = 150, /* of an attempt that draining may take */
    DRAIN_OVER_MS = 300,  /* how much longer a batch that was begun in time may take */
    DRAIN_FIRST_ROWS = 8, /* of a process that has yet to learn how fast the database is */
    LOGIN_MS = 250,
    TELL_MS = 10000,       /* how often a login is noted for the sake of what waits in the spool */
    NAME_LOGGED_MAX = 128, /* bytes of the user name in a log line */
    SKIPPED_LOGGED_MAX = 3072
};

struct audit {
    struct audit_parts parts;
    struct pg_query failure_query;
    struct pg_query login_query;
    _Atomic bool logins_refused;     /* the login query is at fault: said once, not sent again */
    _Atomic int64_t silent_until_ms; /* CLOCK_MONOTONIC; the database is not asked before */
    _Atomic int64_t rows_per_s;      /* that batches of the spool were moved at; 0: not known yet */
    _Atomic bool told_waiting;       /* the database was told that rows wait here */
    _Atomic int64_t tell_at_ms;      /* it is told again not before */
};

static const unsigned row_types[] = {PG_JSONB};

/* ---- life ---- */

static void set_query(struct audit *audit, struct pg_query *query_r, const char *name,
    const char *option, const char *text, const char **fault_r)
{
    *query_r = (struct pg_query){name, text, 1, row_types};
    if (text == NULL || pg_highest_parameter(text) <= query_r->params)
        return;
    *fault_r = "a query has a parameter that is not filled";
    log_line(&audit->parts.log, LOG_PROBLEM,
        "%s has the parameter $%d; only $1, the row as one JSON object, is filled", option,
        pg_highest_parameter(text));
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
    set_query(audit, &audit->failure_query, "pgsasl_audit", "pgsasl_audit_query",
        parts->failure_query, fault_r);
    set_query(audit, &audit->login_query, "pgsasl_login", "pgsasl_login_query", parts->login_query,
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

/* A database in another encoding than UTF-8 may have no letter for the name: there it is spelt out.
 */
static enum pg_answer insert(struct audit *audit, const char *row, struct deadline deadline)
{
    enum pg_answer answer = insert_as_is(audit, row, deadline);
    char spelt_out[2 * ROW_MAX];

    if (answer != PG_UNTRANSLATABLE || json_spell_out(row, spelt_out, sizeof spelt_out) == 0)
        return answer;
    return insert_as_is(audit, spelt_out, deadline);
}

static void be_silent(struct audit *audit)
{
    audit->silent_until_ms = deadline_in(SILENT_MS).at_ms;
}

static bool store(struct audit *audit, const char *row, struct deadline deadline)
{
    enum pg_answer answer = insert(audit, row, deadline);

    if (answer == PG_OK)
        return true;
    log_line(&audit->parts.log, LOG_PROBLEM, "no audit row: %s", pg_error(audit->parts.pg));
    if (answer == PG_UNAVAILABLE)
        be_silent(audit);
    return false;
}

/* False: no connection, no time, or it failed a moment ago and there is a spool. */
static bool worth_asking(const struct audit *audit, struct deadline deadline)
{
    return audit->parts.pg != NULL && deadline_left_ms(deadline) > 0 &&
           (audit->parts.spool == NULL || deadline_in(0).at_ms >= audit->silent_until_ms);
}

static bool to_database(struct audit *audit, const char *row, struct deadline deadline)
{
    bool stored;

    if (!worth_asking(audit, deadline) || !pg_enter(audit->parts.pg, deadline))
        return false;
    stored = worth_asking(audit, deadline) && store(audit, row, deadline);
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

/* Waits for another process's write: the row is worth more than a moment past the deadline. */
static const char *to_spool(
    struct audit *audit, const char *row, size_t len, struct deadline deadline)
{
    int left = deadline_left_ms(deadline);

    if (audit->parts.spool == NULL)
        return "none";
    return spool_append(
        audit->parts.spool, row, len, deadline_in(left > SPOOL_MS ? left : SPOOL_MS));
}

static void note_told(struct audit *audit, size_t waiting)
{
    audit->told_waiting = waiting > 0;
    audit->tell_at_ms = waiting > 0 ? deadline_in(TELL_MS).at_ms : 0;
}

/* The row in the database says what waits here at the time; in the spool it would come too late. */
static bool store_failure(
    struct audit *audit, const struct failure *failure, struct deadline deadline)
{
    struct failure told = *failure;
    char row[ROW_MAX];

    told.spool_waiting = spool_waiting(audit->parts.spool);
    row_of_failure(&told, row, sizeof row);
    if (!to_database(audit, row, deadline))
        return false;
    note_told(audit, told.spool_waiting);
    return true;
}

enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline)
{
    bool worth_it = !lookup_failed || audit->parts.elsewhere || audit->parts.spool == NULL;
    enum audit_result result = AUDIT_STORED;
    const char *spool_fault = "";
    char row[ROW_MAX];
    size_t len = row_of_failure(failure, row, sizeof row);

    if (!worth_it || !store_failure(audit, failure, deadline)) {
        spool_fault = to_spool(audit, row, len, deadline);
        result = spool_fault == NULL ? AUDIT_SPOOLED : AUDIT_LOST;
    }
    log_failure(audit, failure, row, spool_fault, result);
    return result;
}

/* ---- logins ---- */

bool audit_wants_login(const struct audit *audit)
{
    if (spool_waiting(audit->parts.spool) == 0)
        return audit->told_waiting;
    return deadline_in(0).at_ms >= audit->tell_at_ms;
}

void audit_login(struct audit *audit, const struct login *login, struct deadline deadline)
{
    struct login told = *login;
    char text[ROW_MAX];
    const char *row = text;
    struct pg *pg = audit->parts.pg;

    deadline = deadline_within(deadline, LOGIN_MS);
    told.spool_waiting = spool_waiting(audit->parts.spool);
    if (audit->login_query.text == NULL || audit->logins_refused ||
        row_of_login(&told, text, sizeof text) == 0 || !worth_asking(audit, deadline) ||
        !pg_enter(pg, deadline))
        return;
    if (*pg_sent_error(pg) != '\0') {
        audit->logins_refused = true;
        log_line(&audit->parts.log, LOG_PROBLEM, "logins are not noted: %s", pg_sent_error(pg));
    } else if (pg_send(pg, &audit->login_query, &row, deadline)) {
        note_told(audit, told.spool_waiting);
    } else {
        be_silent(audit);
    }
    pg_leave(pg);
}

/* ---- draining the spool ---- */

struct draining {
    struct audit *audit;
    struct deadline until;    /* no batch begins after it */
    struct deadline deadline; /* each batch is over by then */
};

static void report(void *context, const char *text)
{
    const struct draining *draining = context;

    log_line(&draining->audit->parts.log, LOG_PROBLEM, "pgsasl_spool_file: %s", text);
}

/* As many rows as fit into the time left, going by the last batch. */
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

/* All of the rows or none, in one transaction. */
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

/* Where the time was over, fewer rows may do; else the database is left alone for a while. */
static void note_failed_batch(const struct draining *draining, size_t count)
{
    if (count > 1 && deadline_left_ms(draining->deadline) == 0)
        draining->audit->rows_per_s = (int64_t)count;
    else
        be_silent(draining->audit);
}

/* One row. One that the database rejects permanently must not dam up those behind it. */
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
 * Moves rows from the first on; returns how many, 0: none now. A row that the database rejects
 * takes its batch with it: those before it go first, then it is tried alone. Where the database
 * does not say which row it was, halving finds it.
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

/* Takes the connection for one batch at a time: another thread's login comes in between. */
static size_t take_lines(void *context, const struct spool_line *lines, size_t count)
{
    const struct draining *draining = context;
    struct pg *pg = draining->audit->parts.pg;
    size_t taken = 0;
    size_t moved = 1;

    while (taken < count && moved > 0 && deadline_left_ms(draining->until) > 0 &&
           pg_enter(pg, draining->until)) {
        moved = move_rows(draining, lines + taken, batch_size(draining, count - taken));
        pg_leave(pg);
        taken += moved;
    }
    return taken;
}

void audit_drain(struct audit *audit, struct deadline deadline)
{
    struct draining draining = {audit, deadline_within(deadline, DRAIN_MS),
        deadline_within(deadline, DRAIN_MS + DRAIN_OVER_MS)};
    const struct spool_taker taker = {take_lines, report, &draining};

    if (spool_waiting(audit->parts.spool) > 0 && worth_asking(audit, deadline))
        spool_drain(audit->parts.spool, draining.until, &taker);
}
