/*
 * lookup.c: one parameterised query on the kept connection, and the decoy for names that do not
 * exist.
 *
 * Whatever goes wrong is never read as "no such user".
 */
#include "auth/lookup.h"

#include <stdio.h>
#include <stdlib.h>

#include "pg/pg.h"

struct lookup {
    struct pg *pg;
    struct pg_query query;
    struct hash usual_decoy; /* like the last stored hash that was seen; under pg's lock */
};

enum { PARAMETERS = 2 }; /* user name, client address */

struct lookup *lookup_new(
    struct pg *pg, const char *query, const struct log_sink *log, const char **fault_r)
{
    static const unsigned types[PARAMETERS] = {PG_TEXT, PG_INET};
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL) {
        pg_free(pg);
        return NULL;
    }
    lookup->pg = pg;
    lookup->query = (struct pg_query){"pgsasl_user", query, PARAMETERS, types};
    hash_decoy(NULL, &lookup->usual_decoy);
    if (pg_highest_parameter(query) > PARAMETERS) {
        *fault_r = "a query has a parameter that is not filled";
        log_line(log, LOG_PROBLEM,
            "pgsasl_user_query has the parameter $%d; only $1, the user name, and $2, the client "
            "address, are filled",
            pg_highest_parameter(query));
    }
    return lookup;
}

void lookup_free(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    pg_free(lookup->pg);
    hash_wipe(&lookup->usual_decoy);
    free(lookup);
}

void lookup_forked(struct lookup *lookup)
{
    if (lookup != NULL)
        pg_forked(lookup->pg);
}

static enum lookup_result result_of(enum user_result result)
{
    switch (result) {
    case USER_READ:
        return LOOKUP_DONE;
    case USER_MISREAD:
        return LOOKUP_MISCONFIGURED;
    case USER_NO_MEMORY:
        return LOOKUP_UNAVAILABLE;
    }
    return LOOKUP_UNAVAILABLE;
}

/* Queries and reads. *why_r is valid until the next query. */
static enum lookup_result find(struct lookup *lookup, const char *const *values,
    struct deadline deadline, struct user *user_r, const char **why_r)
{
    struct pg_rows *rows = NULL;
    enum lookup_result result = LOOKUP_UNAVAILABLE;

    *why_r = pg_error(lookup->pg);
    switch (pg_execute(lookup->pg, &lookup->query, values, deadline, &rows)) {
    case PG_OK:
        result = result_of(user_read(rows, user_r, why_r));
        break;
    case PG_UNTRANSLATABLE: /* a name that the database cannot even write is nobody's */
        result = LOOKUP_DONE;
        break;
    case PG_BAD_VALUES:
    case PG_REFUSED:
        result = LOOKUP_MISCONFIGURED;
        break;
    case PG_UNAVAILABLE:
        break;
    }
    pg_rows_free(rows);
    return result;
}

/* What an absent user's password is verified against. */
static void choose_decoy(struct lookup *lookup, struct user *user)
{
    if (user->found && hash_is_usable(&user->hash))
        hash_decoy(&user->hash, &lookup->usual_decoy);
    if (!hash_is_usable(&user->decoy))
        user->decoy = lookup->usual_decoy;
}

enum lookup_result lookup_user(struct lookup *lookup, const char *username,
    const struct address *client, struct deadline deadline, struct user *user_r,
    char why_r[LOOKUP_WHY_MAX])
{
    const char *const values[PARAMETERS] = {
        username, client->text[0] == '\0' ? NULL : client->text};
    enum lookup_result result;
    const char *why;

    user_init(user_r);
    if (!pg_enter(lookup->pg, deadline)) {
        snprintf(why_r, LOOKUP_WHY_MAX, "another thread has the connection");
        return LOOKUP_UNAVAILABLE;
    }
    result = find(lookup, values, deadline, user_r, &why);
    if (result == LOOKUP_DONE)
        choose_decoy(lookup, user_r);
    snprintf(why_r, LOOKUP_WHY_MAX, "%s", why);
    pg_leave(lookup->pg);
    return result;
}
