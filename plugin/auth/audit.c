/*
 * audit.c: brings a failure to the database, else to the spool, else whole into the log; and moves
 * the spool on.
 *
 * The list of columns stands here once and serves the query, the spool's lines and the way back.
 * Nothing that happens to the audit changes a verdict.
 */
#include "auth/audit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/backend.h"
#include "base/secret.h"
#include "base/text.h"

enum {
    SILENT_MS = 1000,
    SPOOL_MS = 500,
    DRAIN_LINES = 32,
    DRAIN_MS = 100,
    DRAIN_ELSEWHERE_MS = 250,
    LOGIN_MS = 250,
    NAME_SHORT = 128,                /* octets of the user name in a log line */
    NAME_WHOLE = 4 * AUTHCID_MAX + 1 /* the same where the line is all there is */
};

/* In the order of pgsasl_audit_query's parameters. */
static const char *const field_names[] = {"attempt_id", "occurred_at", "username", "user_id",
    "reason", "failed_checks", "mechanism", "client_addr", "client_port", "server_addr", "service",
    "server_host", "detail"};

enum { FIELDS = sizeof field_names / sizeof *field_names, USERNAME = 2 };

/* A failure as the texts that both the query and the spool take. */
struct fields {
    const char *value[SPOOL_FIELDS_MAX];
    char checks[VERDICT_CHECKS_MAX];
    char port[12];
};

bool audit_name(struct failure *failure_r)
{
    unsigned char id[16];
    struct timespec now;
    struct tm utc;
    uint64_t ms;

    if (!secret_random(id, sizeof id) || clock_gettime(CLOCK_REALTIME, &now) != 0 ||
        gmtime_r(&now.tv_sec, &utc) == NULL)
        return false;
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
    snprintf(failure_r->attempt_id, sizeof failure_r->attempt_id,
        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1], id[2],
        id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14],
        id[15]);
    strftime(failure_r->occurred_at, sizeof failure_r->occurred_at, "%Y-%m-%d %H:%M:%S", &utc);
    snprintf(failure_r->occurred_at + strlen(failure_r->occurred_at), 11, ".%06u+00",
        (unsigned)(now.tv_nsec / 1000) % 1000000U);
    return true;
}

static const char *or_null(const char *text)
{
    return *text == '\0' ? NULL : text;
}

static void fill(struct fields *fields_r, const struct failure *failure)
{
    const char **value = fields_r->value;

    verdict_checks_text(failure->failed, fields_r->checks, sizeof fields_r->checks);
    snprintf(fields_r->port, sizeof fields_r->port, "%u", failure->client.port);
    *value++ = failure->attempt_id;
    *value++ = failure->occurred_at;
    *value++ = failure->username;
    *value++ = or_null(failure->user_id);
    *value++ = reason_name(failure->reason);
    *value++ = fields_r->checks;
    *value++ = failure->mechanism;
    *value++ = or_null(failure->client.text);
    *value++ = failure->client.port == 0 ? NULL : fields_r->port;
    *value++ = or_null(failure->server.text);
    *value++ = or_null(failure->service);
    *value++ = or_null(failure->server_host);
    *value++ = or_null(failure->detail);
}

/* ---- the database ---- */

static enum pg_answer insert_as_is(
    struct backend *backend, const char *const *values, struct deadline deadline)
{
    struct pg_rows *rows = NULL;
    enum pg_answer answer =
        pg_execute(backend->audit, &backend->audit_query, values, deadline, &rows);

    pg_rows_free(rows);
    return answer;
}

/* A database in another encoding than UTF-8 may have no letter for the name: there it is stored
 * escaped. */
static enum pg_answer insert(
    struct backend *backend, const char *const *values, struct deadline deadline)
{
    enum pg_answer answer = insert_as_is(backend, values, deadline);
    const char *escaped[FIELDS];
    char username[DISPLAY_NAME_MAX];

    if (answer != PG_REFUSED || strcmp(pg_sqlstate(backend->audit), "22P05") != 0 ||
        values[USERNAME] == NULL)
        return answer;
    memcpy(escaped, values, sizeof escaped);
    text_escape(username, sizeof username, values[USERNAME], strlen(values[USERNAME]));
    escaped[USERNAME] = username;
    return insert_as_is(backend, escaped, deadline);
}

static bool store(struct backend *backend, const struct fields *fields, struct deadline deadline)
{
    enum pg_answer answer = insert(backend, fields->value, deadline);

    if (answer == PG_OK)
        return true;
    log_line(&backend->log, LOG_PROBLEM, "no audit row: %s%s%s", pg_error(backend->audit),
        *pg_sqlstate(backend->audit) == '\0' ? "" : ", SQLSTATE ", pg_sqlstate(backend->audit));
    if (answer == PG_UNAVAILABLE)
        backend->audit_silent_until = deadline_in(SILENT_MS).at_ms;
    return false;
}

/* False where there is no point in asking: no connection, no time, or it failed a moment ago and
 * there is a spool. */
static bool worth_asking(const struct backend *backend, struct deadline deadline)
{
    return backend->audit != NULL && deadline_left_ms(deadline) > 0 &&
           (backend->spool == NULL || deadline_in(0).at_ms >= backend->audit_silent_until);
}

static bool to_database(
    struct backend *backend, const struct fields *fields, struct deadline deadline)
{
    bool stored = false;

    if (!worth_asking(backend, deadline) || !backend_enter(backend, deadline))
        return false;
    stored = worth_asking(backend, deadline) && store(backend, fields, deadline);
    backend_leave(backend);
    return stored;
}

/* ---- the log ---- */

static void log_failure(struct backend *backend, const struct failure *failure,
    const struct fields *fields, const char *spool_fault, enum audit_result result)
{
    static const char *const notes[] = {" audit=lost", " audit=spooled", ""};
    char username[NAME_WHOLE];
    char detail[AUDIT_DETAIL_MAX];
    char rest[1536] = "";

    text_escape(username, result == AUDIT_LOST ? NAME_WHOLE : NAME_SHORT, failure->username,
        strlen(failure->username));
    text_escape(detail, sizeof detail, failure->detail, strlen(failure->detail));
    if (result == AUDIT_LOST)
        snprintf(rest, sizeof rest,
            " occurred_at=\"%s\" user_id=%s checks=%s port=%u server=%s service=%s host=%s "
            "spool=\"%s\"",
            failure->occurred_at, failure->user_id, fields->checks, failure->client.port,
            failure->server.text, failure->service, failure->server_host,
            spool_fault == NULL ? "none" : spool_fault);
    log_line(&backend->log, LOG_FAILURE,
        "rejected reason=%s username=\"%s\" client=%s mechanism=%s attempt=%s%s%s%s%s%s",
        reason_name(failure->reason), username,
        *failure->client.text == '\0' ? "unknown" : failure->client.text, failure->mechanism,
        failure->attempt_id, *detail == '\0' ? "" : " detail=\"", detail,
        *detail == '\0' ? "" : "\"", notes[result], rest);
}

/* Waits for another process's write: the row is worth more than a moment past the deadline. */
static const char *to_spool(
    struct backend *backend, const struct fields *fields, struct deadline deadline)
{
    int left = deadline_left_ms(deadline);

    return spool_append(backend->spool, field_names, fields->value, FIELDS,
        deadline_in(left > SPOOL_MS ? left : SPOOL_MS));
}

enum audit_result audit_record(struct backend *backend, const struct failure *failure,
    bool database_out, struct deadline deadline)
{
    enum audit_result result = AUDIT_LOST;
    bool worth_it = !database_out || backend->spool == NULL;
    const char *fault = NULL;
    struct fields fields;

    fill(&fields, failure);
    if (worth_it && to_database(backend, &fields, deadline)) {
        result = AUDIT_STORED;
    } else if (backend->spool != NULL) {
        fault = to_spool(backend, &fields, deadline);
        result = fault == NULL ? AUDIT_SPOOLED : AUDIT_LOST;
    }
    log_failure(backend, failure, &fields, fault, result);
    return result;
}

/* ---- logins ---- */

void audit_login(struct backend *backend, const struct login *login, struct deadline deadline)
{
    const char *const values[] = {
        login->user_id, login->client, login->occurred_at, login->retired_id};

    deadline = deadline_within(deadline, LOGIN_MS);
    if (backend->logins_refused || !worth_asking(backend, deadline) ||
        !backend_enter(backend, deadline))
        return;
    if (*pg_sent_error(backend->audit) != '\0') {
        backend->logins_refused = true;
        log_line(
            &backend->log, LOG_PROBLEM, "logins are not noted: %s", pg_sent_error(backend->audit));
    } else if (!pg_send(backend->audit, &backend->login_query, values, deadline)) {
        backend->audit_silent_until = deadline_in(SILENT_MS).at_ms;
    }
    backend_leave(backend);
}

/* ---- the way back ---- */

struct draining {
    struct backend *backend;
    struct deadline deadline;
};

/* A row that the database will never take must not dam up those behind it: it goes to the log
 * whole. */
static enum spool_taken give_up(struct backend *backend, const char *why, const char *line)
{
    char shown[1024];

    text_escape(shown, sizeof shown, line, strlen(line));
    log_line(&backend->log, LOG_PROBLEM, "spooled line passed over, %s: %s", why, shown);
    return SPOOL_TAKEN;
}

/* The data or a constraint speaks against the row (classes 22 and 23), not the state of things. */
static bool is_hopeless(const char *sqlstate)
{
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0;
}

/* Takes the connection for one line at a time: another thread's login comes in between. */
static enum spool_taken take_line(void *context, const char *const *values, const char *line)
{
    const struct draining *draining = context;
    struct backend *backend = draining->backend;
    enum pg_answer answer;
    bool never;

    if (values == NULL || values[0] == NULL)
        return give_up(backend, "it is torn", line);
    if (!backend_enter(backend, draining->deadline))
        return SPOOL_KEEP;
    answer = insert(backend, values, draining->deadline);
    never = answer == PG_REFUSED && is_hopeless(pg_sqlstate(backend->audit));
    if (never)
        give_up(backend, pg_error(backend->audit), line);
    else if (answer != PG_OK)
        backend->audit_silent_until = deadline_in(SILENT_MS).at_ms;
    backend_leave(backend);
    return answer == PG_OK || never ? SPOOL_TAKEN : SPOOL_KEEP;
}

void audit_drain(struct backend *backend, struct deadline deadline)
{
    struct draining draining = {backend, deadline};
    int most_ms = backend->audit == backend->lookup ? DRAIN_MS : DRAIN_ELSEWHERE_MS;

    if (!spool_waiting(backend->spool) || !worth_asking(backend, deadline))
        return;
    if (deadline_left_ms(deadline) > most_ms)
        draining.deadline = deadline_in(most_ms);
    spool_drain(
        backend->spool, field_names, FIELDS, DRAIN_LINES, draining.deadline, take_line, &draining);
}
