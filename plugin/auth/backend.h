/*
 * backend.h: what one process keeps for all attempts: options, look-up, audit, cache.
 *
 * One per process, made in the host's init and freed at its end. It only composes: each part owns
 * its state and its locks.
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
    const char *fault;   /* why every attempt is answered as a temporary failure; NULL: it is not */
};

/*
 * Reads the options and opens what needs a path. NULL: not configured here, or no memory for even
 * the backend. A faulty configuration is logged and still makes a backend, one whose attempts all
 * are REASON_BACKEND_UNAVAILABLE. log is copied.
 */
struct backend *backend_new(const struct options_source *source, const struct log_sink *log);

/* Closes all; NULL is tolerated. */
void backend_free(struct backend *backend);

#endif
