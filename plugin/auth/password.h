/*
 * password.h: compares a client's password with all hashes that are stored for a user.
 *
 * Tries the current hash, those that a rotation retired, and, to explain a failure, the password
 * without invisible characters at its ends. A password that matches nothing costs the same whether
 * the user exists or not.
 */
#ifndef PGSASL_AUTH_PASSWORD_H
#define PGSASL_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

struct cache;
struct hash;
struct hash_cost;
struct retired;
struct user;

enum password_result {
    PASSWORD_ERROR = 0,  /* no memory, or a library failed: right or wrong is unknown */
    PASSWORD_UNUSABLE,   /* the current hash is unusable */
    PASSWORD_WRONG,      /* matches nothing */
    PASSWORD_STALE,      /* matches a retired hash that is no longer accepted */
    PASSWORD_WHITESPACE, /* matches the current hash when its ends are trimmed */
    PASSWORD_RIGHT,
    PASSWORD_RIGHT_RETIRED /* matches a retired hash that is still accepted */
};

/* All borrowed for the call. */
struct password_question {
    const char *password; /* NUL-terminated as well */
    size_t len;
    /*
     * Its retired hashes are parsed when they are needed. Those of a name that does not exist are
     * decoys: they are hashed, and the result is PASSWORD_WRONG.
     */
    struct user *user;
    bool live;                       /* false: treated as not found, whatever the row says */
    const struct hash_cost *ceiling; /* a retired hash that costs more is unusable */
    const struct hash *decoy;        /* verified against in place of a hash that is not usable */
    bool acceptable;                 /* no other check failed: a right password is accepted */
    bool diagnose;                   /* look for stale passwords and trimmed ends */
    struct cache *cache;             /* of verified passwords; NULL: none */
    const char *cache_user;          /* the user's name in the cache's entries */
};

/*
 * Blocks for the hashing. *retired_r: the retired hash that matches, for PASSWORD_STALE and
 * PASSWORD_RIGHT_RETIRED, else NULL.
 */
enum password_result password_check(
    const struct password_question *question, const struct retired **retired_r);

#endif
