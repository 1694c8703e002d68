/*
 * lookup.c: one parameterised query on the kept connection, the ceiling for what it returns, and
 * the decoy for names that do not exist.
 *
 * Whatever goes wrong is never read as "no such user".
 */
#include "auth/lookup.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/decoys.h"
#include "pg/pg.h"

struct lookup {
    struct pg *pg;
    struct pg_query query;
    struct hash_cost ceiling;
    struct decoys *decoys; /* under pg's lock */
};

enum { PARAMETERS = 2 }; /* user name, client address */

/* False, and one line in the log: the query has a parameter that is not filled. */
static bool check_parameters(const struct lookup_parts *parts)
{
    int highest = pg_highest_parameter(parts->query);

    if (highest > PARAMETERS)
        log_line(parts->log, LOG_PROBLEM,
            "pgsasl_user_query has the parameter $%d; only $1, the user name, and $2, the client "
            "address, are filled",
            highest);
    return highest <= PARAMETERS;
}

struct lookup *lookup_new(const struct lookup_parts *parts, const char **fault_r)
{
    static const unsigned types[PARAMETERS] = {PG_TEXT, PG_INET};
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL) {
        pg_free(parts->pg);
        return NULL;
    }
    lookup->pg = parts->pg;
    lookup->ceiling = parts->ceiling;
    lookup->query = (struct pg_query){"pgsasl_user", parts->query, PARAMETERS, types};
    lookup->decoys = decoys_new(parts->decoy_key);
    if (lookup->decoys == NULL) {
        lookup_free(lookup);
        return NULL;
    }
    if (!check_parameters(parts))
        *fault_r = "a query has a parameter that is not filled";
    return lookup;
}

void lookup_free(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    pg_free(lookup->pg);
    decoys_free(lookup->decoys);
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

/* Makes a hash that costs too much unusable. Why; NULL: it does not. */
static const char *apply_ceiling(const struct lookup *lookup, struct hash *hash)
{
    const char *excess = hash_is_usable(hash) ? hash_excess(hash, &lookup->ceiling) : NULL;

    if (excess != NULL)
        hash_wipe(hash);
    return excess;
}

/*
 * What is hashed in the place of a hash that is absent or unusable: for a user like the current
 * hash, for a name that does not exist as the query says, and else like some hash seen before.
 */
static void choose_decoy(struct lookup *lookup, const char *username, struct user *user)
{
    const bool usable = user->found && hash_is_usable(&user->hash);

    if (usable)
        decoys_note(lookup->decoys, &user->hash);
    if (hash_is_usable(&user->decoy))
        return;
    if (usable)
        hash_decoy(&user->hash, &user->decoy);
    else
        decoys_choose(lookup->decoys, username, &user->decoy);
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
    if (result == LOOKUP_DONE) {
        user_r->hash_fault = apply_ceiling(lookup, &user_r->hash);
        (void)apply_ceiling(lookup, &user_r->decoy);
        choose_decoy(lookup, username, user_r);
    }
    snprintf(why_r, LOOKUP_WHY_MAX, "%s", why);
    pg_leave(lookup->pg);
    return result;
}
