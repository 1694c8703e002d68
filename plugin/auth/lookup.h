/*
 * lookup.h: looks up one SMTP user.
 *
 * Owns the connection and the query. Threads may call it at the same time.
 */
#ifndef PGSASL_AUTH_LOOKUP_H
#define PGSASL_AUTH_LOOKUP_H

#include "auth/user.h"
#include "base/address.h"
#include "base/deadline.h"
#include "base/log.h"

struct lookup;
struct pg;

enum lookup_result {
    LOOKUP_UNAVAILABLE = 0,
    LOOKUP_MISCONFIGURED, /* the query is wrong: its columns, more than one row, an SQL error */
    LOOKUP_DONE
};

enum { LOOKUP_WHY_MAX = 256 };

/* Borrowed for the call, except where it says otherwise. */
struct lookup_parts {
    struct pg *pg;     /* lookup_free() gives it back, and so does lookup_new() when it fails */
    const char *query; /* must live as long as the look-up */
    struct hash_cost ceiling; /* a stored hash that costs more is unusable */
    const char *decoy_key;    /* a secret that all processes of the site share */
    const struct log_sink *log;
};

/*
 * Makes a look-up, which owns the reference pg. NULL: no memory. A parameter of query that the
 * plugin does not fill is logged once, and *fault_r then says what is wrong; otherwise *fault_r is
 * not changed.
 */
struct lookup *lookup_new(const struct lookup_parts *parts, const char **fault_r);

/* NULL is tolerated. */
void lookup_free(struct lookup *lookup);

/* In a forked child: releases the locks that the parent's other threads held. NULL is tolerated. */
void lookup_forked(struct lookup *lookup);

/*
 * Fills *user_r; whatever is returned, its decoy is usable, and user_free() must free it. If the
 * result is not LOOKUP_DONE, why_r says why, in one line without secrets.
 */
enum lookup_result lookup_user(struct lookup *lookup, const char *username,
    const struct address *client, struct deadline deadline, struct user *user_r,
    char why_r[LOOKUP_WHY_MAX]);

#endif
