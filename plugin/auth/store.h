/*
 * store.h: looks one SMTP user up.
 *
 * One parameterised query on the kept connection; columns are bound by name and the absent ones
 * take the defaults below.
 */
#ifndef PGSASL_AUTH_STORE_H
#define PGSASL_AUTH_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/deadline.h"
#include "hash/hash.h"
#include "pg/pg.h"

enum standing {
    STANDING_GOOD,
    STANDING_PAST_DUE,
    STANDING_SUSPENDED,
    STANDING_CLOSED,
    STANDING_UNKNOWN
};

enum { RETIRED_MAX = 8 };

/* A hash that was current before a rotation. Strings are never NULL but for id. */
struct retired {
    char *stored;     /* as the query returns it; password.c parses it when it is needed */
    char *retired_at; /* as the database writes it; "" where the query doesn't say */
    char *id;         /* NULL where the query has none */
    bool accepted;    /* it still logs in: its retired_until has not passed */
    bool parsed;      /* hash is filled */
    struct hash hash;
};

/* What the look-up told. Strings are owned by it; free with store_user_free(). */
struct user {
    bool found;       /* a row that was not deleted; a NULL user_id with a NULL hash says: none */
    bool deleted;     /* existed, was deleted */
    char *user_id;    /* NULL where the query has none */
    struct hash hash; /* unusable where it is SQL NULL */
    bool enabled;     /* default true; SQL NULL is false */
    enum standing standing; /* default good; a word that is none of the four, and SQL NULL, is
                               STANDING_UNKNOWN */
    bool client_allowed;    /* default true; SQL NULL is false */
    bool throttled;         /* default false */
    struct hash decoy;      /* unusable where the query has none */
    struct retired retired[RETIRED_MAX];
    size_t retired_count;  /* the query says how many slots there are, for users and for nobody */
    bool local_part_known; /* the name's part before the @ is a user; default false */
    bool login_due;        /* a login is to be noted; default false */
};

enum store_result {
    STORE_UNAVAILABLE = 0,
    STORE_MISCONFIGURED, /* the query is at fault: no password_hash column, more than one row, an
                            SQL error */
    STORE_OK
};

/*
 * Fills *user_r, which must be given to store_user_free() whatever is returned. *why_r points to
 * one line without secrets when the result is not STORE_OK; valid until the next call on pg.
 */
enum store_result store_find_user(struct pg *pg, const struct pg_query *query, const char *username,
    const struct address *client, struct deadline deadline, struct user *user_r,
    const char **why_r);

/* Wipes and frees what is inside. A zeroed user is tolerated. */
void store_user_free(struct user *user);

#endif
