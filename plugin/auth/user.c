/*
 * user.c: reads a look-up's row by column names.
 *
 * An absent column has the default that user.h gives. A value that cannot be read means that the
 * query is misconfigured; the user is never accepted then. No dates are read: the database decides
 * what depends on time and returns booleans.
 */
#include "auth/user.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "hash/scram.h"
#include "pg/array.h"
#include "pg/pg.h"

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

static const char *column(const struct pg_rows *rows, const char *name)
{
    return pg_rows_value(rows, 0, pg_rows_column(rows, name));
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(word, *words) == 0)
            return true;
    return false;
}

/* Reads a boolean; NULL is false. Returns false: word is not a boolean. */
static bool read_bool(const char *word, bool *value_r)
{
    *value_r = word != NULL && is_one_of(word, true_words);
    return word == NULL || *value_r || is_one_of(word, false_words);
}

/* Reads the boolean columns into their fields. An absent column leaves its field unchanged. */
static bool read_bools(const struct pg_rows *rows, struct user *user)
{
    const struct {
        const char *name;
        bool *value;
    } fields[] = {
        {"enabled", &user->enabled},
        {"expired", &user->expired},
        {"client_allowed", &user->client_allowed},
        {"throttled", &user->throttled},
        {"local_part_known", &user->local_part_known},
        {"login_due", &user->login_due},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (pg_rows_column(rows, fields[i].name) >= 0 &&
            !read_bool(column(rows, fields[i].name), fields[i].value))
            return false;
    return true;
}

static void read_standing(const struct pg_rows *rows, enum standing *standing_io)
{
    const char *word = column(rows, "account_standing");

    if (pg_rows_column(rows, "account_standing") < 0)
        return;
    *standing_io = STANDING_UNKNOWN;
    for (size_t i = 0; word != NULL && i < sizeof standings / sizeof *standings; i++)
        if (strcmp(word, standings[i].word) == 0)
            *standing_io = standings[i].standing;
}

/* ---- retired hashes ---- */

/* An array column, split in a copy. */
struct list {
    char *copy;
    size_t size;
    char *element[RETIRED_MAX];
    int count; /* -1: it cannot be read */
};

static void split(const char *value, struct list *list_r)
{
    memset(list_r, 0, sizeof *list_r);
    if (value == NULL)
        return;
    list_r->size = strlen(value) + 1;
    list_r->copy = strdup(value);
    list_r->count =
        list_r->copy == NULL ? -1 : array_split(list_r->copy, list_r->element, RETIRED_MAX);
}

static const char *element(const struct list *list, int i)
{
    return i < list->count ? list->element[i] : NULL;
}

static bool set_retired(struct retired *retired_r, const char *stored, const char *accepted,
    const char *at, const char *id)
{
    retired_r->stored = strdup(stored == NULL ? "" : stored);
    retired_r->retired_at = strdup(at == NULL ? "" : at);
    retired_r->id = id == NULL ? NULL : strdup(id);
    return read_bool(accepted, &retired_r->accepted) && retired_r->stored != NULL &&
           retired_r->retired_at != NULL && (id == NULL || retired_r->id != NULL);
}

/* retired_hashes has the number of slots; values that the other arrays lack are unknown. */
static bool read_retired(const struct pg_rows *rows, struct user *user)
{
    static const char *const names[] = {
        "retired_hashes", "retired_accepted", "retired_at", "retired_ids"};
    enum { HASHES, ACCEPTED, AT, IDS, LISTS };
    struct list list[LISTS];
    bool read = true;

    for (int i = 0; i < LISTS; i++) {
        split(column(rows, names[i]), &list[i]);
        read = read && list[i].count >= 0;
    }
    for (int i = 0; read && i < list[HASHES].count; i++) {
        user->retired_count++;
        read = set_retired(&user->retired[i], element(&list[HASHES], i),
            element(&list[ACCEPTED], i), element(&list[AT], i), element(&list[IDS], i));
    }
    for (int i = 0; i < LISTS; i++) {
        secret_wipe(list[i].copy, list[i].size);
        free(list[i].copy);
    }
    return read;
}

/* ---- for SCRAM challenges of names without a verifier ---- */

enum { ITERATIONS_MAX = 10000000 };

/* False: text is not a number from 1 to ITERATIONS_MAX. */
static bool read_iterations(const char *text, unsigned *iterations_r)
{
    char *end;
    unsigned long number;

    if (text == NULL)
        return true;
    number = strtoul(text, &end, 10);
    *iterations_r = (unsigned)number;
    return *text >= '1' && *text <= '9' && *end == '\0' && number <= ITERATIONS_MAX;
}

/* False: no memory. */
static bool read_decoy_key(const char *text, char **key_r)
{
    *key_r = text == NULL || *text == '\0' ? NULL : strdup(text);
    return text == NULL || *text == '\0' || *key_r != NULL;
}

/* ---- the row ---- */

static enum user_result read_row(const struct pg_rows *rows, struct user *user, const char **why_r)
{
    const char *id = column(rows, "user_id");
    const char *stored = column(rows, "password_hash");
    bool nobody = pg_rows_column(rows, "user_id") >= 0 && id == NULL && stored == NULL;

    user->user_id = id == NULL ? NULL : strdup(id);
    if ((id != NULL && user->user_id == NULL) || !read_retired(rows, user) ||
        !read_decoy_key(column(rows, "decoy_key"), &user->decoy_key)) {
        *why_r = "out of memory, or retired_ columns that are no arrays of their types";
        return USER_NO_MEMORY;
    }
    if (!read_bools(rows, user)) {
        *why_r = "pgsasl_user_query: enabled, expired, client_allowed, throttled, local_part_known "
                 "and login_due must be boolean";
        return USER_MISREAD;
    }
    if (!read_iterations(column(rows, "scram_iterations"), &user->scram_iterations)) {
        *why_r = "pgsasl_user_query: scram_iterations must be a number from 1 to 10000000";
        return USER_MISREAD;
    }
    read_standing(rows, &user->standing);
    (void)hash_parse(stored, &user->hash);
    (void)hash_parse(column(rows, "decoy_hash"), &user->decoy);
    if (scram_is_verifier(&user->decoy))
        user->scram_iterations = (unsigned)user->decoy.numbers.rounds;
    user->deleted = column(rows, "deleted_at") != NULL;
    user->found = !nobody && !user->deleted;
    return USER_READ;
}

void user_init(struct user *user_r)
{
    memset(user_r, 0, sizeof *user_r);
    user_r->enabled = true;
    user_r->client_allowed = true;
}

enum user_result user_read(const struct pg_rows *rows, struct user *user_io, const char **why_r)
{
    *why_r = "";
    if (pg_rows_column(rows, "password_hash") < 0) {
        *why_r = "pgsasl_user_query returns no column password_hash";
        return USER_MISREAD;
    }
    if (pg_rows_count(rows) > 1) {
        *why_r = "pgsasl_user_query returned more than one row";
        return USER_MISREAD;
    }
    return pg_rows_count(rows) == 0 ? USER_READ : read_row(rows, user_io, why_r);
}

void user_free(struct user *user)
{
    free(user->user_id);
    secret_wipe_string(user->decoy_key);
    free(user->decoy_key);
    for (size_t i = 0; i < user->retired_count; i++) {
        secret_wipe_string(user->retired[i].stored);
        free(user->retired[i].stored);
        free(user->retired[i].retired_at);
        free(user->retired[i].id);
    }
    secret_wipe(user, sizeof *user);
}
