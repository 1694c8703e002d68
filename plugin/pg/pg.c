/*
 * pg.c: creates the connection object in init, counts its references, repairs it after a fork,
 * frees it.
 *
 * Opens no connection: connect.c does, for the first query. A connection string may contain a
 * password, so every copy of it is wiped.
 */
#include "pg/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"

void pg_set_error(struct pg *pg, const char *message, const char *sqlstate)
{
    int len;

    if (message == NULL || *message == '\0')
        message = "out of memory";
    len = snprintf(pg->error, sizeof pg->error - sizeof " (SQLSTATE 00000)", "%.*s",
        (int)strcspn(message, "\n"), message);
    if (sqlstate != NULL && len > 0)
        snprintf(pg->error + strlen(pg->error), sizeof " (SQLSTATE 00000)", " (SQLSTATE %.5s)",
            sqlstate);
    for (char *at = pg->error; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

const char *pg_error(const struct pg *pg)
{
    return pg->error;
}

const char *pg_option(const struct pg *pg, const char *keyword)
{
    for (const PQconninfoOption *option = pg->options; option->keyword != NULL; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val;
    return NULL;
}

static bool load_certificates(struct pg *pg, char *error_r, size_t cap)
{
    const struct pg_tls_params params = {
        .sslmode = pg_option(pg, "sslmode"),
        .sslrootcert = pg_option(pg, "sslrootcert"),
        .sslcert = pg_option(pg, "sslcert"),
        .sslkey = pg_option(pg, "sslkey"),
        .sslpassword = pg_option(pg, "sslpassword"),
        .sslcertmode = pg_option(pg, "sslcertmode"),
        .sslcrl = pg_option(pg, "sslcrl"),
        .sslcrldir = pg_option(pg, "sslcrldir"),
    };

    return pg_tls_load(&params, &pg->tls, error_r, cap);
}

/* Reads conninfo and the files that it names. False: error_r says what is wrong. */
static bool read_conninfo(struct pg *pg, const char *conninfo, char *error_r, size_t cap)
{
    const char *attrs;

    /* No error message is requested: it may quote a password. */
    pg->options = PQconninfoParse(conninfo, NULL);
    if (pg->options == NULL) {
        snprintf(error_r, cap, "is no libpq connection string or URI");
        return false;
    }
    if (!pg_hosts_split(
            &pg->hosts, pg_option(pg, "host"), pg_option(pg, "hostaddr"), pg_option(pg, "port"))) {
        snprintf(error_r, cap, "names more than %d hosts", PG_HOSTS_MAX);
        return false;
    }
    attrs = pg_option(pg, "target_session_attrs");
    pg->prefer_standby = attrs != NULL && strcmp(attrs, "prefer-standby") == 0;
    return load_certificates(pg, error_r, cap);
}

struct pg *pg_new(
    const char *conninfo, bool prepared_statements, long timeout_ms, char *error_r, size_t cap)
{
    struct pg *pg = calloc(1, sizeof *pg);

    snprintf(error_r, cap, "out of memory");
    if (pg == NULL)
        return NULL;
    pg->references = 1;
    pthread_mutex_init(&pg->mutex, NULL);
    pg->prepared_statements = prepared_statements;
    pg->timeout_ms = timeout_ms;
    if (!read_conninfo(pg, conninfo, error_r, cap)) {
        pg_free(pg);
        return NULL;
    }
    pg_hosts_resolve(&pg->hosts, deadline_in(timeout_ms));
    return pg;
}

struct pg *pg_ref(struct pg *pg)
{
    if (pg != NULL)
        pg->references++;
    return pg;
}

void pg_free(struct pg *pg)
{
    if (pg == NULL || --pg->references > 0)
        return;
    pg_drop_inherited(pg);
    pg_disconnect(pg);
    pg_hosts_free(&pg->hosts);
    pg_tls_free(pg->tls);
    for (PQconninfoOption *option = pg->options; option != NULL && option->keyword != NULL;
        option++)
        secret_wipe_string(option->val);
    PQconninfoFree(pg->options);
    pthread_mutex_destroy(&pg->mutex);
    free(pg);
}

bool pg_enter(struct pg *pg, struct deadline deadline)
{
    struct timespec until = {deadline.at_ms / 1000, deadline.at_ms % 1000 * 1000000L};

    return pthread_mutex_clocklock(&pg->mutex, CLOCK_MONOTONIC, &until) == 0;
}

void pg_leave(struct pg *pg)
{
    pthread_mutex_unlock(&pg->mutex);
}

/* A locked mutex means that another thread of the parent was using the connection. */
void pg_forked(struct pg *pg)
{
    if (pg == NULL)
        return;
    if (pthread_mutex_trylock(&pg->mutex) != 0)
        pg_abandon(pg);
    pthread_mutex_init(&pg->mutex, NULL);
}
