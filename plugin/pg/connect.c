/*
 * connect.c: connects to the first target that accepts, under a deadline, and disconnects.
 *
 * libpq resolves names and waits for silent hosts without a deadline of ours, so it gets one
 * resolved address at a time. A target that ran into its deadline is tried last for a while.
 */
#include "pg/connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/streams.h"

enum {
    OPTIONS_MAX = 64,
    SILENT_MS = 30000 /* how long a target that ran into its deadline is tried last */
};

bool pg_wait(PGconn *conn, short events, struct deadline deadline)
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

void pg_disconnect(struct pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->session_ms = 0;
    pg->prepared_count = 0;
    pg->sent = NULL;
}

void pg_abandon(struct pg *pg)
{
    int fd = PQsocket(pg->conn);

    if (fd >= 0)
        close(fd);
    pg->conn = NULL;
    pg_disconnect(pg);
}

/*
 * A forked child shares the parent's socket: PQfinish() would send a message on it. So the child
 * first replaces the descriptor by a socket that nobody reads.
 */
void pg_drop_inherited(struct pg *pg)
{
    int pair[2];
    int fd;

    if (pg->conn == NULL || pg->owner == getpid())
        return;
    fd = PQsocket(pg->conn);
    streams_hold();
    if (fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        dup2(pair[0], fd);
        close(pair[0]);
        close(pair[1]);
        pg_disconnect(pg);
    } else {
        pg_abandon(pg);
    }
    streams_release();
}

/* The operator's value for libpq, except for certificate files that were read in init. */
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

/* Connects with the operator's parameters, one target instead of the host lists, our defaults. */
static PGconn *start_connection(
    const struct pg *pg, const struct pg_target *target, const char *session_attrs)
{
    const char *keywords[OPTIONS_MAX];
    const char *values[OPTIONS_MAX];
    const struct {
        const char *keyword;
        const char *value;
    } ours[] = {
        {"gssencmode", "disable"}, /* no search for Kerberos tickets, unless conninfo asks for it */
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

    pg_set_error(pg, *why != '\0' ? why : PQerrorMessage(pg->conn), NULL);
}

/* Calls PQconnectPoll(3) until the connection is made or has failed. */
static enum pg_tls_step establish(struct pg *pg, struct deadline deadline)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        enum pg_tls_step step;

        if (!pg_wait(pg->conn, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
            pg_set_error(pg, "the server does not answer a connection attempt", NULL);
            return PG_TLS_FAILED;
        }
        pg_tls_before_poll(pg->tls, pg->conn);
        next = PQconnectPoll(pg->conn);
        step = pg_tls_after_poll(pg->tls, pg->conn);
        if (step != PG_TLS_GO_ON || next == PGRES_POLLING_FAILED) {
            note_connect_failure(pg);
            return step == PG_TLS_GO_ON ? PG_TLS_FAILED : step;
        }
    }
    return next == PGRES_POLLING_OK ? PG_TLS_GO_ON : PG_TLS_FAILED;
}

/* One attempt to connect. If it fails, there is no connection afterwards. */
static enum pg_tls_step attempt_once(struct pg *pg, const struct pg_target *target,
    const char *session_attrs, struct deadline deadline)
{
    enum pg_tls_step step = PG_TLS_FAILED;

    pg->conn = start_connection(pg, target, session_attrs);
    pg->owner = getpid();
    if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD) {
        pg_set_error(pg, PQerrorMessage(pg->conn), NULL);
    } else {
        PQsetNoticeProcessor(pg->conn, ignore_notice, NULL);
        pg_tls_begin(pg->tls, target->host);
        step = establish(pg, deadline);
        pg_tls_end(pg->tls);
    }
    if (step != PG_TLS_GO_ON)
        pg_disconnect(pg);
    return step;
}

static bool connect_to(
    struct pg *pg, struct pg_target *target, const char *session_attrs, struct deadline deadline)
{
    enum pg_tls_step step = attempt_once(pg, target, session_attrs, deadline);

    if (step == PG_TLS_TOO_LATE)
        step = attempt_once(pg, target, session_attrs, deadline);
    if (step != PG_TLS_GO_ON) {
        if (deadline_left_ms(deadline) == 0)
            target->silent_until_ms = deadline_in(SILENT_MS).at_ms;
        return false;
    }
    target->silent_until_ms = 0;
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        pg_set_error(pg, PQerrorMessage(pg->conn), NULL);
        pg_disconnect(pg);
        return false;
    }
    return true;
}

/*
 * Tries the targets in the operator's order, recently silent ones last. Each gets a share of the
 * time.
 */
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
    if (pg->hosts.target_count == 0) {
        pg_set_error(pg, "the host name of the connection string does not resolve", NULL);
        return false;
    }
    if (!pg->prefer_standby)
        return connect_round(pg, pg_option(pg, "target_session_attrs"), deadline);
    return connect_round(pg, "standby", deadline_in(deadline_left_ms(deadline) / 2)) ||
           connect_round(pg, "any", deadline);
}

bool pg_connect(struct pg *pg, struct deadline deadline)
{
    bool connected;

    pg_hosts_resolve(&pg->hosts, deadline_in(deadline_left_ms(deadline) / 2));
    streams_hold(); /* libpq opens sockets and files */
    connected = connect_any(pg, deadline);
    streams_release();
    return connected;
}
