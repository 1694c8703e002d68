/*
 * test_equal_work.c: every attempt that is not accepted computes the same hashes, whoever the user
 * is, whatever is wrong, and whatever matches.
 *
 * Nothing is timed: hash_verify() is wrapped, and the scheme and cost of each hash that it computes
 * are noted. The double of lookup.c gives the user that a case describes; for a name that does not
 * exist, what find_user gives: the decoys of another user's hashes.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth.h"
#include "doubles.h"

/* bcrypt at cost 4 of "correct horse", the same of "old horse", SHA-256-crypt of "older horse". */
#define RIGHT_HASH "$2y$04$VHw3P7/ijGPbAUxdVQk2GeRy6Be7aRcqNdHiUu8Xfd40SBVnirwJO"
#define OLD_HASH "$2y$04$22.Yup6XYSVGlu367hrcV.jHlHpIrFjEmUEIoMLLEk.zhJV.iLwXe"
#define OLDER_HASH "$5$rounds=1000$saltysalt$AfLQYd9msiPG6E3IYPK6jB2tetNC0yI9.UwMDuUL3SB"

/* Of no password: Argon2 with 1 GiB. */
#define COSTLY_HASH \
    "$argon2id$v=19$m=1048576,t=3,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

enum { SLOTS = 3, NOTED_MAX = 16, NOTE_MAX = 32 };

static char noted[NOTED_MAX][NOTE_MAX]; /* sorted */
static size_t noted_count;

/* The linker puts this one before hash.c's. */
enum hash_result __real_hash_verify(
    const struct hash *hash, const char *password, size_t password_len);
enum hash_result __wrap_hash_verify(
    const struct hash *hash, const char *password, size_t password_len);

enum hash_result __wrap_hash_verify(
    const struct hash *hash, const char *password, size_t password_len)
{
    size_t at = noted_count++;

    assert_true(hash_is_usable(hash));
    assert_true(noted_count <= NOTED_MAX);
    snprintf(noted[at], NOTE_MAX, "%.*s", (int)hash->params_len, hash->text);
    for (; at > 0 && strcmp(noted[at - 1], noted[at]) > 0; at--) {
        char swapped[NOTE_MAX];

        memcpy(swapped, noted[at], NOTE_MAX);
        memcpy(noted[at], noted[at - 1], NOTE_MAX);
        memcpy(noted[at - 1], swapped, NOTE_MAX);
    }
    return __real_hash_verify(hash, password, password_len);
}

/* ---- who logs in ---- */

enum absence { PRESENT, UNKNOWN, DELETED };

static const struct state {
    const char *what;
    enum absence absence;
    enum standing standing;
    bool disabled, expired, elsewhere, name_refused, broken;
} states[] = {
    {.what = "a user"},
    {.what = "disabled", .disabled = true},
    {.what = "expired", .expired = true},
    {.what = "suspended", .standing = STANDING_SUSPENDED},
    {.what = "closed", .standing = STANDING_CLOSED},
    {.what = "past due", .standing = STANDING_PAST_DUE},
    {.what = "a standing that is no word", .standing = STANDING_UNKNOWN},
    {.what = "a foreign address", .elsewhere = true},
    {.what = "disabled, suspended and at a foreign address",
        .disabled = true,
        .standing = STANDING_SUSPENDED,
        .elsewhere = true},
    {.what = "a name that the host refuses", .name_refused = true},
    {.what = "an unusable hash", .broken = true},
    {.what = "an unknown name", .absence = UNKNOWN},
    {.what = "a deleted user", .absence = DELETED},
};

/* The retired hashes of a table's users; of each, whether it still logs in. */
static const struct rotation {
    const char *what;
    struct {
        const char *stored;
        bool accepted;
    } slots[SLOTS];
} rotations[] = {
    {"never rotated", {{"", false}}},
    {"one in its grace", {{OLD_HASH, true}}},
    {"one that is over", {{OLD_HASH, false}}},
    {"one of another scheme in its grace", {{OLDER_HASH, true}}},
    {"one of another scheme that is over", {{OLDER_HASH, false}}},
    {"two in their grace", {{OLD_HASH, true}, {OLDER_HASH, true}}},
    {"two, the other one first", {{OLDER_HASH, true}, {OLD_HASH, false}}},
    {"two that are over", {{OLD_HASH, false}, {OLDER_HASH, false}}},
    {"the same twice", {{OLD_HASH, false}, {OLD_HASH, true}}},
    {"one above the ceiling", {{COSTLY_HASH, true}, {OLD_HASH, false}}},
};

/* In pairs that differ in the blank at an end, which costs one more hash for everybody. */
static const char *const passwords[][2] = {
    {"correct horse", "correct horse "},
    {"old horse", "old horse "},
    {"older horse", "older horse "},
    {"battery staple", "battery staple "},
};

static void make_user(const struct state *state, const struct rotation *rotation)
{
    static char id[] = "7";
    static char unknown[] = "";
    static char stored[SLOTS][HASH_MAX];
    struct user *user = &double_lookup.row;

    doubles_reset();
    double_lookup.as_is = true;
    user->found = state->absence == PRESENT;
    user->deleted = state->absence == DELETED;
    user->user_id = user->found ? id : NULL;
    user->enabled = !state->disabled;
    user->expired = state->expired;
    user->standing = state->standing;
    user->client_allowed = !state->elsewhere;
    hash_parse(RIGHT_HASH, &user->hash);
    hash_decoy(&user->hash, &user->decoy);
    if (!user->found || state->broken)
        hash_wipe(&user->hash);
    user->retired_count = SLOTS;
    for (size_t i = 0; i < SLOTS; i++) {
        const char *hash = rotation->slots[i].stored;

        snprintf(stored[i], HASH_MAX, "%s", hash == NULL ? "" : hash);
        if (!user->found && stored[i][0] != '\0') {
            struct hash decoy;

            assert_true(hash_parse(hash, &decoy));
            hash_decoy(&decoy, &decoy);
            snprintf(stored[i], HASH_MAX, "%s", decoy.text);
        }
        user->retired[i].stored = stored[i];
        user->retired[i].retired_at = unknown;
        user->retired[i].accepted = user->found && rotation->slots[i].accepted;
    }
}

/* True where it is accepted; else the hashes that it computed are in noted. */
static bool attempt(const struct state *state, const char *password, bool diagnose)
{
    struct backend *backend = double_backend();
    struct credentials credentials;
    const struct attempt attempt = {
        .credentials = &credentials, .mechanism = "PLAIN", .canon_ok = !state->name_refused};

    memset(&credentials, 0, sizeof credentials);
    backend->options.diagnose = diagnose;
    backend->ceiling = (struct hash_cost){.memory_kib = 1024, .work_ms = 100};
    credentials.authcid_len = strlen(strcpy(credentials.authcid, "app1"));
    credentials.password_len = strlen(strcpy(credentials.password, password));
    noted_count = 0;
    return auth_attempt(backend, &attempt) == REASON_ACCEPTED;
}

static unsigned compared, accepted;

/* Compares with the wrong password of a user who has never done anything wrong. */
static void compare(const struct rotation *rotation, bool blank, bool diagnose)
{
    char wanted[NOTED_MAX][NOTE_MAX];
    size_t wanted_count;

    make_user(&states[0], rotation);
    assert_false(attempt(&states[0], passwords[ROWS(passwords) - 1][blank], diagnose));
    wanted_count = noted_count;
    memcpy(wanted, noted, sizeof wanted);
    for (size_t i = 0; i < ROWS(states); i++)
        for (size_t j = 0; j < ROWS(passwords); j++) {
            make_user(&states[i], rotation);
            if (attempt(&states[i], passwords[j][blank], diagnose)) {
                accepted++;
                continue;
            }
            compared++;
            if (noted_count != wanted_count)
                fail_msg("%s, \"%s\", %s, diagnose %d: %zu hashes, wanted %zu", states[i].what,
                    passwords[j][blank], rotation->what, diagnose, noted_count, wanted_count);
            for (size_t k = 0; k < noted_count; k++)
                if (strcmp(noted[k], wanted[k]) != 0)
                    fail_msg("%s, \"%s\", %s, diagnose %d: a hash like %s, wanted %s",
                        states[i].what, passwords[j][blank], rotation->what, diagnose, noted[k],
                        wanted[k]);
        }
}

TEST(every_attempt_that_is_not_accepted_computes_the_same_hashes)
{
    for (size_t i = 0; i < ROWS(rotations); i++)
        for (int blank = 0; blank < 2; blank++)
            for (int diagnose = 0; diagnose < 2; diagnose++)
                compare(&rotations[i], blank != 0, diagnose != 0);
    /* Only a user without a fault is accepted, by the right password or one in its grace. */
    assert_int_equal(accepted, ROWS(rotations) * 2 + 2 * 6);
    assert_true(compared > 1500);
}

RUN_TESTS(NULL, NULL)
