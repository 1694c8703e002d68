/*
 * password.h: compares what the client sent with all that is stored for a user.
 *
 * The current hash, those that a rotation retired, and, to say what is wrong, the password without
 * what stands invisible at its ends. The work done for a password that fits nothing is the same for
 * a user and for nobody.
 */
#ifndef PGSASL_AUTH_PASSWORD_H
#define PGSASL_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

struct cache;
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
    const struct user *user; /* not found: the work is done, the result is PASSWORD_WRONG */
    bool live;               /* false: as if not found, whatever the row says */
    const char *decoy;       /* stands in where there is no usable hash */
    bool diagnose;           /* look for stale passwords and trimmed ends */
    struct cache *cache;     /* of verified passwords; NULL: none */
    const char *cache_user;  /* whom its entries are about */
};

/*
 * Blocks for the hashing. *retired_r: the retired hash that fits, for PASSWORD_STALE and
 * PASSWORD_RIGHT_RETIRED, else NULL.
 */
enum password_result password_check(
    const struct password_question *question, const struct retired **retired_r);

#endif
