/*
 * doubles.h: doubles of lookup.c, audit.c and user_free(), for tests of the code that calls them.
 *
 * A test sets what the look-up finds and reads what was recorded.
 */
#ifndef PGSASL_DOUBLES_H
#define PGSASL_DOUBLES_H

#include "auth/backend.h"
#include "auth/lookup.h"
#include "auth/row.h"

/*
 * What lookup_user() returns. Unless as_is, the hash is parsed from its text and the decoy made of
 * it.
 */
struct double_lookup {
    enum lookup_result result;
    struct user row;
    bool as_is;
    int calls;
};

/* What the audit recorded last, and how often. */
struct double_audit {
    struct failure failure;
    char detail[ROW_DETAIL_MAX];
    char username[DISPLAY_NAME_MAX];
    char mechanism[64];
    char service[64];
    char server_host[64];
    struct address client;
    char user_id[16];
    int failures;
    char login_retired_id[16];
    int logins;
    int drains;
};

extern struct double_lookup double_lookup;
extern struct double_audit double_audit;

/* Nobody is found, and nothing was recorded. */
void doubles_reset(void);

/* A user of the id 7 with this hash is found, who may log in and whose login is to be noted. */
void doubles_find_user(const char *stored);

/* A backend that looks up and audits with the doubles. */
struct backend *double_backend(void);

#endif
