/*
 * backend.c: reads the options and builds look-up, audit and cache from them.
 *
 * A bad configuration never stops the host: it is logged once, and every attempt then fails
 * temporarily.
 */
#include "auth/backend.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/audit.h"
#include "auth/lookup.h"
#include "base/secret.h"
#include "base/streams.h"
#include "file/cache_file.h"
#include "file/spool.h"
#include "pg/pg.h"

enum { ERROR_MAX = 256 };

/* The process's backend: the fork handler gets no argument. */
static struct backend *process_backend;

static void after_fork_in_child(void)
{
    streams_forked();
    if (process_backend == NULL)
        return;
    lookup_forked(process_backend->lookup);
    audit_forked(process_backend->audit);
}

static void set_fault(
    struct backend *backend, const char *fault, const char *option, const char *error)
{
    backend->fault = fault;
    log_line(&backend->log, LOG_PROBLEM, "%s %s; logins are answered as a temporary failure",
        option, error);
}

/* The connection of an option, or of its "_file" option. */
static struct pg *open_pg(
    struct backend *backend, const char *conninfo, const char *file, const char *option)
{
    const struct options *options = &backend->options;
    char error[ERROR_MAX];
    struct pg *pg;

    if (conninfo == NULL)
        return NULL;
    pg = pg_new(conninfo, options->prepared_statements, options->timeout_ms, error, sizeof error);
    if (pg == NULL) {
        char name[64];

        snprintf(name, sizeof name, "%s%s", option, file == NULL ? "" : "_file");
        set_fault(backend, "the connection string is faulty", name, error);
    }
    return pg;
}

static struct spool *open_spool(struct backend *backend)
{
    const struct options *options = &backend->options;
    char error[ERROR_MAX];
    struct spool *spool;

    if (options->spool_file == NULL)
        return NULL;
    spool = spool_open(options->spool_file, options->spool_max_kb, error, sizeof error);
    if (spool == NULL)
        set_fault(backend, "the spool file cannot be used", "pgsasl_spool_file", error);
    return spool;
}

/* The cache only saves time: an unusable file is logged, and logins work without it. */
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

static struct lookup *open_lookup(struct backend *backend, struct pg *pg)
{
    const struct options *options = &backend->options;
    const struct lookup_parts parts = {
        .pg = pg,
        .query = options->user_query,
        .ceiling = backend->ceiling,
        .decoy_key = options->conninfo,
        .log = &backend->log,
    };

    return lookup_new(&parts, &backend->fault);
}

/* False: no memory. */
static bool open_all(struct backend *backend)
{
    const struct options *options = &backend->options;
    const bool elsewhere = options->audit_conninfo != NULL;
    struct pg *lookups =
        open_pg(backend, options->conninfo, options->conninfo_file, "pgsasl_conninfo");
    const struct audit_parts parts = {
        .pg = elsewhere ? open_pg(backend, options->audit_conninfo, options->audit_conninfo_file,
                              "pgsasl_audit_conninfo")
                        : pg_ref(lookups),
        .spool = open_spool(backend),
        .elsewhere = elsewhere,
        .failure_query = options->audit_query,
        .login_query = options->login_query,
        .log = backend->log,
    };

    backend->audit = audit_new(&parts, &backend->fault);
    if (lookups != NULL)
        backend->lookup = open_lookup(backend, lookups);
    open_cache(backend);
    return backend->audit != NULL && (lookups == NULL || backend->lookup != NULL);
}

/* False: not configured here, or no memory. */
static bool configure(struct backend *backend, const struct options_source *source)
{
    enum options_result read = options_read(source, &backend->log, &backend->options);

    backend->ceiling.memory_kib = (uint64_t)backend->options.hash_max_memory_kb;
    backend->ceiling.work_ms = (uint64_t)backend->options.hash_max_ms;
    if (read == OPTIONS_INVALID)
        backend->fault = "the configuration is faulty";
    return read != OPTIONS_NOT_CONFIGURED && backend->options.user_query != NULL &&
           backend->options.audit_query != NULL && open_all(backend);
}

struct backend *backend_new(const struct options_source *source, const struct log_sink *log)
{
    static bool fork_handled;
    struct backend *backend = calloc(1, sizeof *backend);
    bool configured;

    if (backend == NULL)
        return NULL;
    backend->log = *log;
    streams_hold();
    configured = configure(backend, source);
    streams_release();
    if (!configured) {
        backend_free(backend);
        return NULL;
    }
    process_backend = backend;
    if (!fork_handled)
        fork_handled = pthread_atfork(NULL, NULL, after_fork_in_child) == 0;
    return backend;
}

void backend_free(struct backend *backend)
{
    if (backend == NULL)
        return;
    if (process_backend == backend)
        process_backend = NULL;
    audit_free(backend->audit);
    lookup_free(backend->lookup);
    cache_close(backend->cache);
    options_free(&backend->options);
    secret_wipe(backend, sizeof *backend);
    free(backend);
}
