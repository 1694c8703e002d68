/*
 * store.c: asks for one user and reads the row by column names.
 *
 * A column that is absent takes the default that store.h gives; one that is there and can't be
 * understood makes the query misconfigured, never the user accepted.
 */
#include "auth/store.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "pg/pgtext.h"
#include "base/secret.h"

static const char *const true_words[] = {"t", "true", "yes", "on", "y", "1", NULL};
static const char *const false_words[] = {"f", "false", "no", "off", "n", "0", NULL};

static const struct {
    const char *word;
    enum standing standing;
} standings[] = {
    {"good", STANDING_GOOD},
    {"past_due", STANDING_PAST_DUE},
    {"suspended", STANDING_SUSPENDED},
    {"closed", STANDING_CLOSED},
};

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(word, *words) == 0)
            return true;
    return false;
}

/* Leaves *value_io as it is where there is no such column; SQL NULL is false. */
static bool take_bool(const struct pg_rows *rows, const char *name, bool *value_io)
{
    int column = pg_rows_column(rows, name);
    const char *word = pg_rows_value(rows, 0, column);

    if (column < 0)
        return true;
    *value_io = word != NULL && is_one_of(word, true_words);
    return word == NULL || *value_io || is_one_of(word, false_words);
}

static void take_standing(const struct pg_rows *rows, enum standing *standing_io)
{
    int column = pg_rows_column(rows, "account_standing");
    const char *word = pg_rows_value(rows, 0, column);

    if (column < 0)
        return;
    *standing_io = STANDING_UNKNOWN;
    for (size_t i = 0; word != NULL && i < sizeof standings / sizeof *standings; i++)
        if (strcmp(word, standings[i].word) == 0)
            *standing_io = standings[i].standing;
}

/* False: no memory. NULL, and an absent column, stay NULL. */
static bool take_text(const struct pg_rows *rows, const char *name, char **text_r)
{
    const char *value = pg_rows_value(rows, 0, pg_rows_column(rows, name));

    *text_r = value == NULL ? NULL : strdup(value);
    return value == NULL || *text_r != NULL;
}

/* Parses the value; NULL and an absent column make an unusable hash. */
static void take_hash(const struct pg_rows *rows, const char *name, struct hash *hash_r)
{
    (void)hash_parse(pg_rows_value(rows, 0, pg_rows_column(rows, name)), hash_r);
}

/* An array column, split in a copy of its own. */
struct column {
    char *copy;
    size_t size;
    char *element[RETIRED_MAX];
    int count; /* -1: it can't be read */
};

static void take_array(const struct pg_rows *rows, const char *name, struct column *column_r)
{
    const char *value = pg_rows_value(rows, 0, pg_rows_column(rows, name));

    memset(column_r, 0, sizeof *column_r);
    if (value == NULL)
        return;
    column_r->size = strlen(value) + 1;
    column_r->copy = strdup(value);
    column_r->count =
        column_r->copy == NULL ? -1 : pgtext_array(column_r->copy, column_r->element, RETIRED_MAX);
}

static const char *element(const struct column *column, int i)
{
    return i < column->count ? column->element[i] : NULL;
}

/* A grace that can't be read is over. */
static bool is_to_come(const char *until)
{
    struct timespec now;
    int64_t us;

    return pgtext_time(until, &us) && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
           us > (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool take_retired_one(
    struct retired *retired_r, const char *hash, const char *until, const char *at, const char *id)
{
    retired_r->stored = strdup(hash == NULL ? "" : hash);
    retired_r->retired_at = strdup(at == NULL ? "" : at);
    retired_r->id = id == NULL ? NULL : strdup(id);
    retired_r->accepted = is_to_come(until);
    return retired_r->stored != NULL && retired_r->retired_at != NULL &&
           (id == NULL || retired_r->id != NULL);
}

/* retired_hashes leads; what the others don't say is unknown. */
static bool take_retired(const struct pg_rows *rows, struct user *user_r)
{
    static const char *const names[] = {
        "retired_hashes", "retired_until", "retired_at", "retired_ids"};
    enum { HASHES, UNTIL, AT, IDS, COLUMNS };
    struct column column[COLUMNS];
    bool taken = true;

    for (int i = 0; i < COLUMNS; i++) {
        take_array(rows, names[i], &column[i]);
        taken = taken && column[i].count >= 0;
    }
    for (int i = 0; taken && i < column[HASHES].count; i++) {
        user_r->retired_count++;
        taken = take_retired_one(&user_r->retired[i], element(&column[HASHES], i),
            element(&column[UNTIL], i), element(&column[AT], i), element(&column[IDS], i));
    }
    for (int i = 0; i < COLUMNS; i++) {
        secret_wipe(column[i].copy, column[i].size);
        free(column[i].copy);
    }
    return taken;
}

static enum store_result take_row(
    const struct pg_rows *rows, struct user *user_r, const char **why_r)
{
    bool none = pg_rows_column(rows, "user_id") >= 0;

    take_hash(rows, "password_hash", &user_r->hash);
    take_hash(rows, "decoy_hash", &user_r->decoy);
    if (!take_text(rows, "user_id", &user_r->user_id) || !take_retired(rows, user_r)) {
        *why_r = "out of memory, or retired_ columns that are no arrays";
        return STORE_UNAVAILABLE;
    }
    if (!take_bool(rows, "enabled", &user_r->enabled) ||
        !take_bool(rows, "client_allowed", &user_r->client_allowed) ||
        !take_bool(rows, "throttled", &user_r->throttled) ||
        !take_bool(rows, "local_part_known", &user_r->local_part_known) ||
        !take_bool(rows, "login_due", &user_r->login_due)) {
        *why_r = "pgsasl_user_query: enabled, client_allowed, throttled, local_part_known and "
                 "login_due must be boolean";
        return STORE_MISCONFIGURED;
    }
    take_standing(rows, &user_r->standing);
    none = none && user_r->user_id == NULL &&
           pg_rows_value(rows, 0, pg_rows_column(rows, "password_hash")) == NULL;
    user_r->deleted = pg_rows_value(rows, 0, pg_rows_column(rows, "deleted_at")) != NULL;
    user_r->found = !none && !user_r->deleted;
    return STORE_OK;
}

static enum store_result read_rows(
    const struct pg_rows *rows, struct user *user_r, const char **why_r)
{
    if (pg_rows_column(rows, "password_hash") < 0) {
        *why_r = "pgsasl_user_query returns no column password_hash";
        return STORE_MISCONFIGURED;
    }
    if (pg_rows_count(rows) > 1) {
        *why_r = "pgsasl_user_query returned more than one row";
        return STORE_MISCONFIGURED;
    }
    return pg_rows_count(rows) == 0 ? STORE_OK : take_row(rows, user_r, why_r);
}

enum store_result store_find_user(struct pg *pg, const struct pg_query *query, const char *username,
    const struct address *client, struct deadline deadline, struct user *user_r, const char **why_r)
{
    const char *const values[] = {username, client->text[0] == '\0' ? NULL : client->text};
    struct pg_rows *rows = NULL;
    enum store_result result = STORE_UNAVAILABLE;

    memset(user_r, 0, sizeof *user_r);
    user_r->enabled = true;
    user_r->client_allowed = true;
    *why_r = "";
    switch (pg_execute(pg, query, values, deadline, &rows)) {
    case PG_OK:
        result = read_rows(rows, user_r, why_r);
        break;
    case PG_REFUSED:
        result = STORE_MISCONFIGURED;
        *why_r = pg_error(pg);
        /* A name that the database's encoding has no letters for is nobody's. */
        if (strcmp(pg_sqlstate(pg), "22P05") == 0)
            result = STORE_OK;
        break;
    case PG_UNAVAILABLE:
        result = STORE_UNAVAILABLE;
        *why_r = pg_error(pg);
        break;
    }
    pg_rows_free(rows);
    return result;
}

void store_user_free(struct user *user)
{
    free(user->user_id);
    for (size_t i = 0; i < user->retired_count; i++) {
        secret_wipe_string(user->retired[i].stored);
        free(user->retired[i].stored);
        free(user->retired[i].retired_at);
        free(user->retired[i].id);
    }
    secret_wipe(user, sizeof *user);
}
