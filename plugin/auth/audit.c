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
    DRAIN_LINES = 32,
    DRAIN_MS = 100,
    DRAIN_ELSEWHERE_MS = 250,
    LOGIN_MS = 250,
    NAME_LOGGED_MAX = 128, /* bytes of the user name in a log line */
    SKIPPED_LOGGED_MAX = 3072
};

struct audit {
    struct audit_parts parts;
    struct pg_query failure_query;
    struct pg_query login_query;
    _Atomic bool logins_refused;     /* the login query is at fault: said once, not sent again */
    _Atomic int64_t silent_until_ms; /* CLOCK_MONOTONIC; the database is not asked before */
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

enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline)
{
    bool worth_it = !lookup_failed || audit->parts.elsewhere || audit->parts.spool == NULL;
    enum audit_result result = AUDIT_STORED;
    const char *spool_fault = "";
    char row[ROW_MAX];
    size_t len = row_of_failure(failure, row, sizeof row);

    if (!worth_it || !to_database(audit, row, deadline)) {
        spool_fault = to_spool(audit, row, len, deadline);
        result = spool_fault == NULL ? AUDIT_SPOOLED : AUDIT_LOST;
    }
    log_failure(audit, failure, row, spool_fault, result);
    return result;
}

/* ---- logins ---- */

void audit_login(struct audit *audit, const struct login *login, struct deadline deadline)
{
    char text[ROW_MAX];
    const char *row = text;
    struct pg *pg = audit->parts.pg;

    deadline = deadline_within(deadline, LOGIN_MS);
    if (audit->login_query.text == NULL || audit->logins_refused ||
        row_of_login(login, text, sizeof text) == 0 || !worth_asking(audit, deadline) ||
        !pg_enter(pg, deadline))
        return;
    if (*pg_sent_error(pg) != '\0') {
        audit->logins_refused = true;
        log_line(&audit->parts.log, LOG_PROBLEM, "logins are not noted: %s", pg_sent_error(pg));
    } else if (!pg_send(pg, &audit->login_query, &row, deadline)) {
        be_silent(audit);
    }
    pg_leave(pg);
}

/* ---- draining the spool ---- */

struct draining {
    struct audit *audit;
    struct deadline deadline;
};

/* A line that the database rejects permanently must not dam up those behind it. */
static void skip(const struct audit *audit, const char *why, const char *line)
{
    char escaped[SKIPPED_LOGGED_MAX];

    text_escape(escaped, sizeof escaped, line, strlen(line));
    log_line(&audit->parts.log, LOG_PROBLEM, "spooled line skipped, %s: %s", why, escaped);
}

/* Takes the connection for one line at a time: another thread's login comes in between. */
static enum spool_taken take_line(void *context, const char *line, size_t len)
{
    const struct draining *draining = context;
    struct audit *audit = draining->audit;
    enum spool_taken taken = SPOOL_TAKEN;

    if (len < 2 || line[0] != '{' || line[len - 1] != '}') {
        skip(audit, "it is torn", line);
        return SPOOL_TAKEN;
    }
    if (!pg_enter(audit->parts.pg, draining->deadline))
        return SPOOL_KEEP;
    switch (insert(audit, line, draining->deadline)) {
    case PG_OK:
        break;
    case PG_BAD_VALUES:
    case PG_UNTRANSLATABLE:
        skip(audit, pg_error(audit->parts.pg), line);
        break;
    case PG_UNAVAILABLE:
    case PG_REFUSED:
        be_silent(audit);
        taken = SPOOL_KEEP;
        break;
    }
    pg_leave(audit->parts.pg);
    return taken;
}

void audit_drain(struct audit *audit, struct deadline deadline)
{
    struct draining draining = {
        audit, deadline_within(deadline, audit->parts.elsewhere ? DRAIN_ELSEWHERE_MS : DRAIN_MS)};

    if (spool_waiting(audit->parts.spool) && worth_asking(audit, deadline))
        spool_drain(audit->parts.spool, DRAIN_LINES, draining.deadline, take_line, &draining);
}
