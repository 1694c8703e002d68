/*
 * options.h: the pgsasl_ options of the host's SASL configuration file, one table.
 *
 * options.c holds the table (name, type, default, bounds); it drives parsing, defaults and the
 * check that pgsasl.5 lists the same.
 */
#ifndef PGSASL_BASE_OPTIONS_H
#define PGSASL_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

struct options {
    char *conninfo; /* pgsasl_conninfo, or the text of pgsasl_conninfo_file; NULL: not configured */
    char *conninfo_file;
    char *audit_conninfo; /* NULL: audit rows go to the database of the look-ups */
    char *audit_conninfo_file;
    char *user_query;
    char *audit_query;
    char *login_query;    /* NULL: logins are not noted */
    char *spool_file;     /* NULL: none */
    char *verified_cache; /* path; NULL: none */
    long timeout_ms;
    long spool_max_kb;
    long verified_cache_ttl_s;
    long hash_max_memory_kb; /* what computing a stored hash once may take */
    long hash_max_ms;
    bool prepared_statements;
    bool diagnose;
    bool require_tls;
    char *trap_mechanisms; /* names in upper case, a blank between them, none twice; NULL: none */
};

/* Of trap_mechanisms. */
enum { OPTIONS_TRAPS_MAX = 16, OPTIONS_MECHANISM_MAX = 20 };

/* get returns an option of the host by its whole name, NULL: not set. The host owns the value. */
struct options_source {
    const char *(*get)(void *context, const char *name);
    void *context;
};

enum options_result {
    OPTIONS_OK,
    OPTIONS_NOT_CONFIGURED, /* neither pgsasl_conninfo nor pgsasl_conninfo_file: stay silent */
    /* Each fault is logged in one line with option and file; defaults are used instead. */
    OPTIONS_INVALID
};

/*
 * Reads all options and the files with conninfo strings. Call it in init, while paths can be
 * opened. *options_r is overwritten; whatever is returned, free it with options_free().
 */
enum options_result options_read(
    const struct options_source *source, const struct log_sink *log, struct options *options_r);

/* Wipes and frees (a conninfo may contain a password). */
void options_free(struct options *options);

/* One row of the table, for the check of the documentation. */
struct option_info {
    const char *name;
    const char *fallback; /* the default as it would be written, "" for none */
};

/* Row number index, or NULL past the end. */
const struct option_info *options_describe(size_t index);

#endif
