/*
 * backend.h: what all attempts of a process share: options, look-up, audit, cache.
 *
 * One per process, made in the host's init and freed when the host ends. It only composes: each
 * part owns its state and its locks.
 */
#ifndef PGSASL_AUTH_BACKEND_H
#define PGSASL_AUTH_BACKEND_H

#include <stdbool.h>

#include "base/log.h"
#include "base/options.h"
#include "hash/hash.h"

struct audit;
struct cache;
struct lookup;

struct backend {
    struct options options;
    struct hash_cost ceiling; /* of a stored hash, as the options say */
    struct log_sink log;
    struct lookup *lookup; /* NULL: not usable */
    struct audit *audit;
    struct cache *cache; /* NULL: none */
    const char *fault;   /* why every attempt fails temporarily; NULL: no fault */
};

/*
 * Reads the options and opens everything that needs a path. NULL: pgsasl is not configured in this
 * host, or no memory. A faulty configuration is logged and still returns a backend, with which
 * every attempt is REASON_BACKEND_UNAVAILABLE. log is copied.
 */
struct backend *backend_new(const struct options_source *source, const struct log_sink *log);

/* Closes everything. NULL is tolerated. */
void backend_free(struct backend *backend);

#endif
