/*
 * backend.c: builds what a process keeps from its options, and guards it.
 *
 * A fault of the configuration never stops the host: it is one log line, and a backend that fails
 * every attempt for now.
 */
#include "auth/backend.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"
#include "file/cache_file.h"

enum { ERROR_MAX = 256, OID_TEXT = 25, OID_INET = 869 };

static const unsigned user_types[] = {OID_TEXT, OID_INET};

/* The process's backend, for the fork handler, which gets no argument. */
static struct backend *of_this_process;

static void after_fork_in_child(void)
{
    struct backend *backend = of_this_process;

    if (backend == NULL)
        return;
    if (pthread_mutex_trylock(&backend->mutex) !=
        0) { /* another thread of the parent was in a call */
        if (backend->lookup != NULL)
            pg_forget(backend->lookup);
        if (backend->audit != NULL && backend->audit != backend->lookup)
            pg_forget(backend->audit);
    }
    pthread_mutex_init(&backend->mutex, NULL);
    spool_forked(backend->spool);
}

static void set_fault(
    struct backend *backend, const char *fault, const char *option, const char *error)
{
    backend->fault = fault;
    if (option != NULL)
        log_line(&backend->log, LOG_PROBLEM, "%s %s; logins are answered as a temporary failure",
            option, error);
}

static struct pg *open_pg(struct backend *backend, const char *conninfo, const char *option)
{
    char error[ERROR_MAX];
    struct pg *pg = pg_new(conninfo, backend->options.prepared_statements,
        backend->options.timeout_ms, error, sizeof error);

    if (pg == NULL)
        set_fault(backend, "the connection string is faulty", option, error);
    return pg;
}

static void open_connections(struct backend *backend)
{
    const struct options *options = &backend->options;

    if (options->conninfo != NULL)
        backend->lookup = open_pg(backend, options->conninfo,
            options->conninfo_file != NULL ? "pgsasl_conninfo_file" : "pgsasl_conninfo");
    backend->audit = backend->lookup;
    if (options->audit_conninfo != NULL)
        backend->audit = open_pg(backend, options->audit_conninfo,
            options->audit_conninfo_file != NULL ? "pgsasl_audit_conninfo_file"
                                                 : "pgsasl_audit_conninfo");
}

static void open_spool(struct backend *backend)
{
    char error[ERROR_MAX];

    if (backend->options.spool_file == NULL)
        return;
    backend->spool =
        spool_open(backend->options.spool_file, backend->options.spool_max_kb, error, sizeof error);
    if (backend->spool == NULL)
        set_fault(backend, "the spool file cannot be used", "pgsasl_spool_file", error);
}

/* Only a matter of speed: a file that can't be used is said, and left. */
static void open_cache(struct backend *backend)
{
    const struct options *options = &backend->options;
    char error[ERROR_MAX];

    if (options->verified_cache == NULL)
        return;
    backend->cache =
        cache_open(options->verified_cache, options->verified_cache_ttl_s, error, sizeof error);
    if (backend->cache == NULL)
        log_line(&backend->log, LOG_PROBLEM, "pgsasl_verified_cache %s; going on without a cache",
            error);
}

/* $1 to the highest number that the statement holds. */
static int count_params(const char *text)
{
    long highest = 0;

    for (; (text = strchr(text, '$')) != NULL; text++) {
        long number = strtol(text + 1, NULL, 10);

        if (number > highest && number <= SPOOL_FIELDS_MAX)
            highest = number;
    }
    return (int)highest;
}

static void describe_queries(struct backend *backend)
{
    backend->user_query.name = "pgsasl_user";
    backend->user_query.text = backend->options.user_query;
    backend->user_query.params = count_params(backend->options.user_query) < 2 ? 1 : 2;
    backend->user_query.types = user_types;
    backend->audit_query.name = "pgsasl_audit";
    backend->audit_query.text = backend->options.audit_query;
    backend->audit_query.params = count_params(backend->options.audit_query);
    backend->login_query.name = "pgsasl_login";
    backend->login_query.text = "SELECT pgsasl.note_login($1, $2, $3, $4)";
    backend->login_query.params = 4;
}

struct backend *backend_new(const struct options_source *source, const struct log_sink *log)
{
    static bool fork_handled;
    struct backend *backend = calloc(1, sizeof *backend);
    enum options_result read;

    if (backend == NULL)
        return NULL;
    backend->log = *log;
    read = options_read(source, log, &backend->options);
    if (read == OPTIONS_NOT_CONFIGURED || backend->options.user_query == NULL ||
        backend->options.audit_query == NULL || pthread_mutex_init(&backend->mutex, NULL) != 0) {
        options_free(&backend->options);
        free(backend);
        return NULL;
    }
    if (read == OPTIONS_INVALID)
        set_fault(backend, "the configuration is faulty", NULL, NULL);
    describe_queries(backend);
    open_connections(backend);
    open_spool(backend);
    open_cache(backend);
    of_this_process = backend;
    if (!fork_handled)
        fork_handled = pthread_atfork(NULL, NULL, after_fork_in_child) == 0;
    return backend;
}

void backend_free(struct backend *backend)
{
    if (backend == NULL)
        return;
    if (of_this_process == backend)
        of_this_process = NULL;
    if (backend->audit != backend->lookup)
        pg_free(backend->audit);
    pg_free(backend->lookup);
    spool_close(backend->spool);
    cache_close(backend->cache);
    options_free(&backend->options);
    pthread_mutex_destroy(&backend->mutex);
    secret_wipe(backend, sizeof *backend);
    free(backend);
}

bool backend_enter(struct backend *backend, struct deadline deadline)
{
    struct timespec until = {deadline.at_ms / 1000, deadline.at_ms % 1000 * 1000000L};

    return pthread_mutex_clocklock(&backend->mutex, CLOCK_MONOTONIC, &until) == 0;
}

void backend_leave(struct backend *backend)
{
    pthread_mutex_unlock(&backend->mutex);
}
