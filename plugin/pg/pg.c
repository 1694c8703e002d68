/*
 * pg.c: keeps one PostgreSQL connection and runs queries on it under a deadline.
 *
 * Everything goes through libpq's non-blocking calls in pipeline mode: what a new connection needs
 * (a statement time-out, the statement's preparation) travels with its first query, so each query
 * is one round trip. A connection on which anything was left unread is closed, never used again;
 * the server ends a query that was given up by the statement time-out. Fails by result and
 * pg_error(), never by waiting.
 */
#include "pg/pg.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "pg/hosts.h"
#include "pg/tls.h"
#include "base/secret.h"

enum {
    PREPARED_MAX = 4,
    OPTIONS_MAX = 64,
    SILENT_MS = 30000,    /* a target that ran into the deadline goes last for so long */
    IDLE_MS = 1000,       /* a connection not used for so long may have died unnoticed */
    PATIENCE_MIN_MS = 50, /* what a busy machine may need for a query that takes no time */
    ERROR_MAX = 256
};

struct pg {
    PGconn *conn; /* NULL: none */
    pid_t owner;  /* the process that made conn */
    PQconninfoOption *options;
    struct pg_hosts hosts;
    struct pg_tls *tls; /* NULL: libpq reads what it needs by itself */
    bool prefer_standby;
    bool prepared_statements;
    long timeout_ms;
    long session_ms; /* the statement time-out that conn was told; 0: none, or nobody knows */
    const struct pg_query *prepared[PREPARED_MAX];
    size_t prepared_count;
    const struct pg_query *sent; /* by pg_send(), its answer still to be read; NULL: none */
    int sent_syncs;
    char sent_error[ERROR_MAX];
    int64_t used_at_ms;
    char error[ERROR_MAX];
    char sqlstate[6];
};

/* How one run of a query on one connection ended. */
enum run {
    RUN_LOST = 0, /* the connection can't be used any more; another one may do */
    RUN_BUSY,     /* the server can't do it now */
    RUN_REFUSED,
    RUN_DONE
};

/* SQLSTATEs and classes (PostgreSQL manual, appendix A) that do not speak against the query. */
static const struct {
    const char *prefix;
    enum run run;
} passing_faults[] = {
    {"08", RUN_LOST},    /* connection exception */
    {"57P", RUN_LOST},   /* shutdown, crash, starting up */
    {"25006", RUN_LOST}, /* read-only: a primary that became a standby */
    {"26000", RUN_LOST}, /* prepared statement gone */
    {"42P05", RUN_LOST}, /* prepared statement there already */
    {"0A000", RUN_LOST}, /* cached plan must not change result type */
    {"57014", RUN_BUSY}, /* cancelled by the statement time-out */
    {"40", RUN_BUSY},    /* serialization, deadlock */
    {"53", RUN_BUSY},    /* memory, disk, connections */
    {"55", RUN_BUSY},    /* lock not available */
    {"58", RUN_BUSY},    /* system error */
};

static enum run classify(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof passing_faults / sizeof *passing_faults; i++)
        if (strncmp(sqlstate, passing_faults[i].prefix, strlen(passing_faults[i].prefix)) == 0)
            return passing_faults[i].run;
    return RUN_REFUSED;
}

/* Keeps the first line of libpq's or the server's message; it may quote a client's bytes, so only
 * plain ones stay. */
static void set_error(struct pg *pg, const char *message, const char *sqlstate)
{
    if (message == NULL || *message == '\0')
        message = "out of memory";
    snprintf(pg->error, sizeof pg->error, "%.*s", (int)strcspn(message, "\n"), message);
    for (char *at = pg->error; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", sqlstate == NULL ? "" : sqlstate);
}

static void drop(struct pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->session_ms = 0;
    pg->prepared_count = 0;
    pg->sent = NULL;
}

/*
 * A forked child shares the parent's socket: PQfinish() would say good-bye on it. Another socket
 * takes its place first, one that nobody listens to.
 */
static void drop_inherited(struct pg *pg)
{
    int pair[2];
    int fd;

    if (pg->conn == NULL || pg->owner == getpid())
        return;
    fd = PQsocket(pg->conn);
    if (fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        dup2(pair[0], fd);
        close(pair[0]);
        close(pair[1]);
        drop(pg);
    } else {
        pg_forget(pg);
    }
}

void pg_forget(struct pg *pg)
{
    int fd = pg->conn == NULL ? -1 : PQsocket(pg->conn);

    if (fd >= 0)
        close(fd);
    pg->conn = NULL;
    pg->session_ms = 0;
    pg->prepared_count = 0;
    pg->sent = NULL;
}

/* Waits until the connection's socket has one of events; false when the deadline comes first. */
static bool wait_socket(PGconn *conn, short events, struct deadline deadline)
{
    struct pollfd pollfd = {PQsocket(conn), events, 0};

    for (;;) {
        int left = deadline_left_ms(deadline);
        int ready = left > 0 ? poll(&pollfd, 1, left) : 0;

        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

/* ---- connecting ---- */

static const char *option_value(const struct pg *pg, const char *keyword)
{
    for (const PQconninfoOption *option = pg->options; option->keyword != NULL; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val;
    return NULL;
}

/* The operator's word for libpq, but for certificate files that were read in init. */
static const char *option_for_libpq(const struct pg *pg, const PQconninfoOption *option)
{
    if (strcmp(option->keyword, "sslmode") == 0)
        return pg_tls_mode(pg->tls, option->val);
    return pg_tls_holds(pg->tls, option->keyword) ? PG_TLS_NO_FILE : option->val;
}

static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

/* The connection's parameters: the operator's, with one target in place of the host lists, and our
 * defaults. */
static PGconn *start(const struct pg *pg, const struct pg_target *target, const char *session_attrs)
{
    const char *keywords[OPTIONS_MAX];
    const char *values[OPTIONS_MAX];
    const struct {
        const char *keyword;
        const char *value;
    } ours[] = {
        {"gssencmode", "disable"}, /* spares a look for Kerberos tickets; conninfo may ask for it */
        {"fallback_application_name", "pgsasl"},
        {"client_encoding", "UTF8"},
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        keywords[n] = ours[i].keyword;
        values[n++] = ours[i].value;
    }
    for (const PQconninfoOption *option = pg->options;
         option->keyword != NULL && n < OPTIONS_MAX - 5; option++)
        if (option->val != NULL && strncmp(option->keyword, "host", 4) != 0 &&
            strcmp(option->keyword, "port") != 0 &&
            strcmp(option->keyword, "client_encoding") != 0) {
            keywords[n] = option->keyword;
            values[n++] = option_for_libpq(pg, option);
        }
    keywords[n] = "host";
    values[n++] = target->host;
    keywords[n] = "hostaddr";
    values[n++] = target->hostaddr;
    keywords[n] = "port";
    values[n++] = target->port;
    keywords[n] = "target_session_attrs";
    values[n++] = session_attrs;
    keywords[n] = NULL;
    values[n] = NULL;
    return PQconnectStartParams(keywords, values, 0);
}

static void note_connect_failure(struct pg *pg)
{
    const char *why = pg_tls_error(pg->tls);

    set_error(pg, *why != '\0' ? why : PQerrorMessage(pg->conn), NULL);
}

/* Drives PQconnectPoll(3) to its end. */
static bool establish(struct pg *pg, const char *host, struct deadline deadline)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        if (!wait_socket(pg->conn, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
            set_error(pg, "the server does not answer a connection attempt", NULL);
            return false;
        }
        pg_tls_begin(pg->tls, host);
        next = PQconnectPoll(pg->conn);
        pg_tls_end();
    }
    if (next != PGRES_POLLING_OK)
        note_connect_failure(pg);
    return next == PGRES_POLLING_OK;
}

static bool connect_to(
    struct pg *pg, struct pg_target *target, const char *session_attrs, struct deadline deadline)
{
    pg->conn = start(pg, target, session_attrs);
    pg->owner = getpid();
    if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD) {
        set_error(pg, PQerrorMessage(pg->conn), NULL);
        drop(pg);
        return false;
    }
    PQsetNoticeProcessor(pg->conn, ignore_notice, NULL);
    if (!establish(pg, target->host, deadline)) {
        if (deadline_left_ms(deadline) == 0)
            target->silent_until_ms = deadline_in(SILENT_MS).at_ms;
        drop(pg);
        return false;
    }
    target->silent_until_ms = 0;
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        set_error(pg, PQerrorMessage(pg->conn), NULL);
        drop(pg);
        return false;
    }
    return true;
}

/* Tries the targets in the operator's order, but those that were silent lately last; each gets its
 * share of the time. */
static bool connect_round(struct pg *pg, const char *session_attrs, struct deadline deadline)
{
    size_t left = pg->hosts.target_count;
    int64_t now = deadline_in(0).at_ms;

    for (int silent = 0; silent < 2; silent++)
        for (size_t i = 0; i < pg->hosts.target_count; i++) {
            struct pg_target *target = &pg->hosts.target[i];

            if ((target->silent_until_ms > now) != (silent == 1) || left == 0)
                continue;
            if (connect_to(
                    pg, target, session_attrs, deadline_in(deadline_left_ms(deadline) / (int)left)))
                return true;
            left--;
        }
    return false;
}

static bool connect_any(struct pg *pg, struct deadline deadline)
{
    pg_hosts_resolve(&pg->hosts, deadline_in(deadline_left_ms(deadline) / 2));
    if (pg->hosts.target_count == 0) {
        set_error(pg, "the host name of the connection string does not resolve", NULL);
        return false;
    }
    if (!pg->prefer_standby)
        return connect_round(pg, option_value(pg, "target_session_attrs"), deadline);
    return connect_round(pg, "standby", deadline_in(deadline_left_ms(deadline) / 2)) ||
           connect_round(pg, "any", deadline);
}

/* ---- one query ---- */

static bool is_prepared(const struct pg *pg, const struct pg_query *query)
{
    for (size_t i = 0; i < pg->prepared_count; i++)
        if (pg->prepared[i] == query)
            return true;
    return false;
}

/*
 * When the server is to end a query by itself: before we give up where that can be, so that it can
 * still say so and nothing of ours stays behind on it. In few steps, so that it need seldom be
 * told.
 */
static long server_patience_ms(const struct pg *pg, struct deadline deadline)
{
    long ms = pg->timeout_ms - pg->timeout_ms / 8;
    int left = deadline_left_ms(deadline);

    while (ms > left && ms / 2 >= PATIENCE_MIN_MS)
        ms /= 2;
    return ms;
}

static bool send_session(struct pg *pg, long patience_ms)
{
    char text[24];
    const char *const values[] = {text};

    snprintf(text, sizeof text, "%ld", patience_ms);
    pg->session_ms = patience_ms;
    return PQsendQueryParams(pg->conn, "SELECT set_config('statement_timeout', $1, false)", 1, NULL,
               values, NULL, NULL, 0) == 1 &&
           PQpipelineSync(pg->conn) == 1;
}

/* Queues the query and what must go before it. *syncs_r: how many sync points the answer holds. */
static bool send_all(struct pg *pg, const struct pg_query *query, const char *const *values,
    long patience_ms, int *syncs_r)
{
    bool sent;

    *syncs_r = 1;
    if (!pg->prepared_statements) {
        sent = PQsendQueryParams(
                   pg->conn, query->text, query->params, query->types, values, NULL, NULL, 0) == 1;
        return sent && PQpipelineSync(pg->conn) == 1;
    }
    if (pg->session_ms != patience_ms) {
        if (!send_session(pg, patience_ms))
            return false;
        ++*syncs_r;
    }
    if (!is_prepared(pg, query) &&
        PQsendPrepare(pg->conn, query->name, query->text, query->params, query->types) != 1)
        return false;
    sent = PQsendQueryPrepared(pg->conn, query->name, query->params, values, NULL, NULL, 0) == 1;
    return sent && PQpipelineSync(pg->conn) == 1;
}

static bool flush(struct pg *pg, struct deadline deadline)
{
    int left;

    while ((left = PQflush(pg->conn)) == 1) {
        if (!wait_socket(pg->conn, POLLIN | POLLOUT, deadline)) {
            set_error(pg, "the server does not take a query", NULL);
            return false;
        }
        if (PQconsumeInput(pg->conn) != 1)
            break;
    }
    if (left != 0)
        set_error(pg, PQerrorMessage(pg->conn), NULL);
    return left == 0;
}

static bool wait_result(struct pg *pg, struct deadline deadline)
{
    while (PQisBusy(pg->conn)) {
        if (!wait_socket(pg->conn, POLLIN, deadline)) {
            set_error(pg, "the server does not answer a query", NULL);
            return false;
        }
        if (PQconsumeInput(pg->conn) != 1) {
            set_error(pg, PQerrorMessage(pg->conn), NULL);
            return false;
        }
    }
    return true;
}

static void remember_prepared(struct pg *pg, const struct pg_query *query)
{
    if (!is_prepared(pg, query) && pg->prepared_count < PREPARED_MAX)
        pg->prepared[pg->prepared_count++] = query;
}

static void free_result(PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++)
        for (int column = 0; column < PQnfields(result); column++)
            if (!PQgetisnull(result, row, column))
                secret_wipe(
                    PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
    PQclear(result);
}

/* A prepared statement that is gone, or there already, on a connection that we alone should have.
 */
static bool is_of_a_pool(const char *sqlstate)
{
    return sqlstate != NULL && (strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "42P05") == 0);
}

static enum run note_failure(struct pg *pg, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    set_error(pg, message != NULL ? message : PQresultErrorMessage(result), sqlstate);
    if (is_of_a_pool(sqlstate))
        strncat(pg->error, "; behind PgBouncer set pgsasl_prepared_statements: no",
            sizeof pg->error - strlen(pg->error) - 1);
    return sqlstate == NULL ? RUN_LOST : classify(sqlstate);
}

/*
 * Reads answers up to the last sync point; only behind it is the query committed. The last answer
 * before it is the query's own. What was left unread on RUN_LOST makes the connection useless.
 */
static enum run collect(struct pg *pg, const struct pg_query *query, int syncs,
    struct deadline deadline, PGresult **result_r)
{
    enum run run = RUN_DONE;

    while (syncs > 0) {
        PGresult *result;
        ExecStatusType status;

        if (!wait_result(pg, deadline))
            return RUN_LOST;
        result = PQgetResult(pg->conn);
        if (result == NULL) { /* stands between the answers of a pipeline */
            if (PQstatus(pg->conn) != CONNECTION_OK)
                return RUN_LOST;
            continue;
        }
        status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK)
            remember_prepared(pg, query);
        if (status == PGRES_PIPELINE_SYNC)
            syncs--;
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            free_result(*result_r);
            *result_r = result;
            continue;
        }
        if (status != PGRES_PIPELINE_SYNC && status != PGRES_PIPELINE_ABORTED && run == RUN_DONE) {
            run = note_failure(pg, result);
            if (syncs > 1)
                run = RUN_LOST; /* it was the session's set-up: the query may do on another one */
        }
        PQclear(result);
        if (PQstatus(pg->conn) != CONNECTION_OK)
            return RUN_LOST;
    }
    if (run != RUN_DONE)
        pg->session_ms = 0; /* it may be what failed */
    return *result_r == NULL && run == RUN_DONE ? RUN_LOST : run;
}

/* Reads the answer to pg_send(), of which only a refusal is of interest. */
static enum run collect_sent(struct pg *pg, struct deadline deadline)
{
    PGresult *ignored = NULL;
    enum run run = RUN_DONE;

    if (pg->sent != NULL)
        run = collect(pg, pg->sent, pg->sent_syncs, deadline, &ignored);
    if (run == RUN_REFUSED)
        snprintf(pg->sent_error, sizeof pg->sent_error, "%s", pg->error);
    free_result(ignored);
    pg->sent = NULL;
    return run;
}

/* Waits until limit; the server may go on until deadline. */
static enum run run_once(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline limit, struct deadline deadline, PGresult **result_r)
{
    enum run run;
    int syncs;

    if (!send_all(pg, query, values, server_patience_ms(pg, deadline), &syncs)) {
        set_error(pg, PQerrorMessage(pg->conn), NULL);
        return RUN_LOST;
    }
    if (!flush(pg, limit) || collect_sent(pg, limit) == RUN_LOST)
        return RUN_LOST;
    run = collect(pg, query, syncs, limit, result_r);
    if (run != RUN_DONE) {
        free_result(*result_r);
        *result_r = NULL;
    }
    return run;
}

/* A connection that was idle may be dead without a word (a firewall forgot it), and one with an
 * answer to come may be stuck: it gets half the time. */
static struct deadline share(const struct pg *pg, struct deadline deadline)
{
    if (pg->sent == NULL && deadline_in(0).at_ms - pg->used_at_ms < IDLE_MS)
        return deadline;
    return deadline_in(deadline_left_ms(deadline) / 2);
}

enum pg_answer pg_execute(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline, struct pg_rows **rows_r)
{
    PGresult *result = NULL;
    enum run run = RUN_LOST;

    *rows_r = NULL;
    drop_inherited(pg);
    for (int tries = 0; tries < 2 && run == RUN_LOST && deadline_left_ms(deadline) > 0; tries++) {
        struct deadline limit = pg->conn != NULL ? share(pg, deadline) : deadline;

        if (pg->conn == NULL && !connect_any(pg, deadline))
            return PG_UNAVAILABLE;
        run = run_once(pg, query, values, limit, deadline, &result);
        pg->used_at_ms = deadline_in(0).at_ms;
        if (run == RUN_LOST)
            drop(pg);
    }
    if (run == RUN_REFUSED)
        return PG_REFUSED;
    if (run != RUN_DONE)
        return PG_UNAVAILABLE;
    pg->error[0] = '\0';
    pg->sqlstate[0] = '\0';
    *rows_r = (struct pg_rows *)
        result; /* struct pg_rows is never defined: it is libpq's result under our name */
    return PG_OK;
}

bool pg_send(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline)
{
    /* Nobody waits: what the connection was told will do. */
    long patience_ms = pg->session_ms > 0 ? pg->session_ms : pg->timeout_ms;
    int syncs;

    drop_inherited(pg);
    if (pg->conn != NULL && collect_sent(pg, deadline) == RUN_LOST)
        drop(pg);
    if (pg->conn == NULL && !connect_any(pg, deadline))
        return false;
    if (!send_all(pg, query, values, patience_ms, &syncs) || PQflush(pg->conn) < 0) {
        set_error(pg, PQerrorMessage(pg->conn), NULL);
        drop(pg);
        return false;
    }
    pg->sent = query;
    pg->sent_syncs = syncs;
    return true;
}

const char *pg_sent_error(const struct pg *pg)
{
    return pg->sent_error;
}

/* ---- life ---- */

static bool load_certificates(struct pg *pg, char *error_r, size_t cap)
{
    const struct pg_tls_params params = {
        .sslmode = option_value(pg, "sslmode"),
        .sslrootcert = option_value(pg, "sslrootcert"),
        .sslcert = option_value(pg, "sslcert"),
        .sslkey = option_value(pg, "sslkey"),
        .sslpassword = option_value(pg, "sslpassword"),
        .sslcrl = option_value(pg, "sslcrl"),
    };

    return pg_tls_load(&params, &pg->tls, error_r, cap);
}

struct pg *pg_new(
    const char *conninfo, bool prepared_statements, long timeout_ms, char *error_r, size_t cap)
{
    struct pg *pg = calloc(1, sizeof *pg);
    const char *attrs;

    snprintf(error_r, cap, "out of memory");
    if (pg == NULL)
        return NULL;
    pg->options =
        PQconninfoParse(conninfo, NULL); /* its message may quote a password: it is not asked for */
    if (pg->options == NULL) {
        snprintf(error_r, cap, "is no libpq connection string or URI");
        goto fail;
    }
    if (!pg_hosts_split(&pg->hosts, option_value(pg, "host"), option_value(pg, "hostaddr"),
            option_value(pg, "port"))) {
        snprintf(error_r, cap, "names more than %d hosts", PG_HOSTS_MAX);
        goto fail;
    }
    if (!load_certificates(pg, error_r, cap))
        goto fail;
    attrs = option_value(pg, "target_session_attrs");
    pg->prefer_standby = attrs != NULL && strcmp(attrs, "prefer-standby") == 0;
    pg->prepared_statements = prepared_statements;
    pg->timeout_ms = timeout_ms;
    pg_hosts_resolve(&pg->hosts, deadline_in(timeout_ms));
    return pg;
fail:
    pg_free(pg);
    return NULL;
}

void pg_free(struct pg *pg)
{
    if (pg == NULL)
        return;
    drop_inherited(pg);
    drop(pg);
    pg_hosts_free(&pg->hosts);
    pg_tls_free(pg->tls);
    for (PQconninfoOption *option = pg->options; option != NULL && option->keyword != NULL;
         option++)
        secret_wipe_string(option->val);
    PQconninfoFree(pg->options);
    free(pg);
}

bool pg_connected(const struct pg *pg)
{
    return pg->conn != NULL && pg->owner == getpid();
}

bool pg_takes_unicode(const struct pg *pg)
{
    const char *encoding = pg->conn == NULL ? NULL : PQparameterStatus(pg->conn, "server_encoding");

    return encoding == NULL || strcmp(encoding, "UTF8") == 0;
}

const char *pg_error(const struct pg *pg)
{
    return pg->error;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

/* ---- rows ---- */

static const PGresult *result_of(const struct pg_rows *rows)
{
    return (const PGresult *)rows;
}

int pg_rows_count(const struct pg_rows *rows)
{
    return PQntuples(result_of(rows));
}

int pg_rows_column(const struct pg_rows *rows, const char *name)
{
    return PQfnumber(result_of(rows), name);
}

const char *pg_rows_value(const struct pg_rows *rows, int row, int column)
{
    if (column < 0 || PQgetisnull(result_of(rows), row, column))
        return NULL;
    return PQgetvalue(result_of(rows), row, column);
}

void pg_rows_free(struct pg_rows *rows)
{
    if (rows != NULL)
        free_result((PGresult *)rows);
}
