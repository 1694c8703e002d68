/*
 * password.h: compares what the client sent with all that is stored for a user.
 *
 * The current hash, those that a rotation retired, and, to say what is wrong, the password without
 * invisible characters at its ends. A password that fits nothing costs the same work for a user and
 * for a name that does not exist.
 */
#ifndef PGSASL_AUTH_PASSWORD_H
#define PGSASL_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

struct cache;
struct hash;
struct retired;
struct user;

enum password_result {
    PASSWORD_ERROR = 0,  /* no memory or a library failure: nothing is known */
    PASSWORD_UNUSABLE,   /* the current hash is */
    PASSWORD_WRONG,      /* fits nothing */
    PASSWORD_STALE,      /* fits a retired hash that is accepted no more */
    PASSWORD_WHITESPACE, /* fits the current hash once its ends are trimmed */
    PASSWORD_RIGHT,
    PASSWORD_RIGHT_RETIRED /* fits a retired hash that is still accepted */
};

/* All borrowed for the call. */
struct password_question {
    const char *password; /* NUL-terminated as well */
    size_t len;
    /*
     * Not found: the work is done, the result is PASSWORD_WRONG. Retired hashes are parsed in it as
     * they are needed.
     */
    struct user *user;
    bool live;                /* false: as if not found, whatever the row says */
    const struct hash *decoy; /* hashed against where there is no usable hash */
    bool acceptable;          /* no other check failed: a right password lets the client in */
    bool diagnose;            /* look for stale passwords and trimmed ends */
    struct cache *cache;      /* of verified passwords; NULL: none */
    const char *cache_user;   /* whom its entries are about */
};

/*
 * Blocks for the hashing. *retired_r: the retired hash that fits, for PASSWORD_STALE and
 * PASSWORD_RIGHT_RETIRED, else NULL.
 */
enum password_result password_check(
    const struct password_question *question, const struct retired **retired_r);

#endif
