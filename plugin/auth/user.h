/*
 * user.h: one SMTP user as the look-up returned it.
 *
 * Columns are bound by name; a column that the query does not return has the default given below.
 */
#ifndef PGSASL_AUTH_USER_H
#define PGSASL_AUTH_USER_H

#include <stdbool.h>
#include <stddef.h>

#include "hash/hash.h"

struct pg_rows;

enum standing {
    STANDING_GOOD,
    STANDING_PAST_DUE,
    STANDING_SUSPENDED,
    STANDING_CLOSED,
    STANDING_UNKNOWN
};

enum { RETIRED_MAX = 8 };

/* A hash that was current before a rotation. */
struct retired {
    char *stored;     /* parsed when it is needed; never NULL, "" for an empty slot */
    char *retired_at; /* as the database writes it; "" where the query does not say */
    char *id;         /* NULL where the query has none */
    bool accepted;    /* its password still logs in */
    bool parsed;      /* hash is set */
    struct hash hash;
};

/* Owns its strings; free with user_free(). */
struct user {
    bool found;             /* a row, not deleted, in which user_id and hash are not both NULL */
    bool deleted;           /* the user existed and was deleted */
    char *user_id;          /* NULL where the query has none */
    struct hash hash;       /* unusable where it is SQL NULL or cannot be verified */
    const char *hash_fault; /* a constant: why lookup.c made it unusable; NULL: it did not */
    bool enabled;           /* default true; SQL NULL is false */
    bool expired;           /* default false */
    enum standing standing; /* default good; another word, or SQL NULL, is STANDING_UNKNOWN */
    bool client_allowed;    /* default true; SQL NULL is false */
    bool throttled;         /* default false */
    struct hash decoy;      /* unusable where the query has none */
    /* The query returns as many slots for any name; those of an unknown name contain decoys. */
    struct retired retired[RETIRED_MAX];
    size_t retired_count;
    bool local_part_known; /* the name's part before the @ is a user; default false */
    bool login_due;        /* this login must be noted; default false */
    /* The key of SCRAM challenges for names without a verifier; NULL where the query has none. */
    char *decoy_key;
    /* Of such a challenge: those of decoy_hash, or the column; 0 where the query has neither. */
    unsigned scram_iterations;
};

enum user_result {
    USER_NO_MEMORY = 0,
    USER_MISREAD, /* the query's columns are wrong */
    USER_READ
};

/*
 * Reads the rows of a look-up, at most one, into *user_io, which user_init() has set. Whatever is
 * returned, free it with user_free(). If the result is not USER_READ, *why_r says why, in a constant sentence.
 */
enum user_result user_read(const struct pg_rows *rows, struct user *user_io, const char **why_r);

/* Sets a user that was not looked up: not found, with the defaults of all columns. */
void user_init(struct user *user_r);

/* Wipes the user and frees its strings. A zeroed user is tolerated. */
void user_free(struct user *user);

#endif
