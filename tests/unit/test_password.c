/*
 * test_password.c: which of a user's hashes a password fits, and that a failure always costs the
 * same.
 *
 * hash.c has a double: a stored hash "is:X" fits the password X, "broken" is unusable, "fails" is
 * one that can't be computed. It counts. cache.c has one that holds a single entry.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "auth/cache.h"
#include "hash/hash.h"
#include "auth/password.h"
#include "auth/user.h"

static int hashed;
static int parsed;      /* retired hashes: the current one comes parsed */
static char cached[64]; /* "user stored password"; "": nothing */

static void entry(char out[64], const char *user, const char *stored, const char *password)
{
    snprintf(out, 64, "%s %s %s", user, stored, password);
}

bool cache_verified(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len)
{
    char wanted[64];

    (void)password_len;
    entry(wanted, user_id, stored_hash, password);
    return cache != NULL && strcmp(wanted, cached) == 0;
}

void cache_store(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len)
{
    (void)password_len;
    if (cache != NULL)
        entry(cached, user_id, stored_hash, password);
}

bool hash_is_usable(const struct hash *hash)
{
    return hash->text[0] != '\0' && strcmp(hash->text, "broken") != 0;
}

void hash_wipe(struct hash *hash)
{
    memset(hash, 0, sizeof *hash);
}

const char *hash_excess(const struct hash *hash, const struct hash_cost *ceiling)
{
    (void)ceiling;
    return strncmp(hash->text, "costly:", 7) == 0 ? "too much" : NULL;
}

bool hash_parse(const char *stored, struct hash *hash_r)
{
    parsed++;
    snprintf(hash_r->text, sizeof hash_r->text, "%s", stored);
    return hash_is_usable(hash_r);
}

enum hash_result hash_verify(const struct hash *hash, const char *password, size_t password_len)
{
    hashed++;
    assert_int_not_equal(strncmp(hash->text, "costly:", 7), 0);
    assert_true(hash_is_usable(hash)); /* no work is saved by hashing against the unusable */
    if (strcmp(hash->text, "fails") == 0)
        return HASH_ERROR;
    return strncmp(hash->text, "is:", 3) == 0 && strlen(hash->text) == password_len + 3 &&
                   memcmp(hash->text + 3, password, password_len) == 0
               ? HASH_MATCH
               : HASH_MISMATCH;
}

static const struct hash decoy = {.text = "decoy"};

#define GRACE(text) \
    {.stored = (char[]){text}, .retired_at = (char[]){""}, .id = (char[]){"1"}, .accepted = true}
#define OVER(text) \
    {.stored = (char[]){text}, .retired_at = (char[]){""}, .id = (char[]){"2"}, .accepted = false}
#define SLOTS(...) .retired_count = 2, .retired = {__VA_ARGS__}

enum { ALWAYS = 3, WITH_TRIMMED = 4 }; /* the current hash and two slots; and once more, trimmed */

static const struct row {
    const char *what;
    const char *password;
    struct user user;
    enum password_result result;
    int hashes;
    const char *retired_id; /* NULL: none */
    bool nobody;
    bool no_diagnosis;
    bool refused; /* another check has failed */
} rows[] = {
    {"right", "new", {.hash.text = "is:new", SLOTS(OVER("is:old"), OVER("is:older"))},
        PASSWORD_RIGHT, .hashes = 1},
    {"in its grace", "old", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_RIGHT_RETIRED, .hashes = 2, .retired_id = "1"},
    {"in its grace, the second", "older",
        {.hash.text = "is:new", SLOTS(OVER("is:old"), GRACE("is:older"))}, PASSWORD_RIGHT_RETIRED,
        .hashes = 3, .retired_id = "1"},
    {"retired twice, once in its grace", "old",
        {.hash.text = "is:new", SLOTS(OVER("is:old"), GRACE("is:old"))}, PASSWORD_RIGHT_RETIRED,
        .hashes = 3, .retired_id = "1"},
    {"stale", "old", {.hash.text = "is:new", SLOTS(OVER("is:old"), OVER("is:older"))},
        PASSWORD_STALE, .hashes = ALWAYS, .retired_id = "2"},
    {"wrong", "x", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_WRONG, .hashes = ALWAYS},
    {"wrong, nothing ever rotated", "x", {.hash.text = "is:new", SLOTS(OVER(""), OVER(""))},
        PASSWORD_WRONG, .hashes = ALWAYS},
    {"nobody", "x", {SLOTS(OVER("is:x"), GRACE("is:x"))}, PASSWORD_WRONG, .hashes = ALWAYS,
        .nobody = true},
    {"nobody, but a hash that fits", "new",
        {.hash.text = "is:new", SLOTS(GRACE("is:new"), OVER("is:new"))}, PASSWORD_WRONG,
        .hashes = ALWAYS, .nobody = true},
    {"blank at an end", "new ", {.hash.text = "is:new", SLOTS(OVER("is:old"), OVER("is:older"))},
        PASSWORD_WHITESPACE, .hashes = WITH_TRIMMED},
    {"no-break space, BOM and tab", "\xc2\xa0\xef\xbb\xbfnew\t",
        {.hash.text = "is:new", SLOTS(OVER(""), OVER(""))}, PASSWORD_WHITESPACE,
        .hashes = WITH_TRIMMED},
    {"blank at an end, wrong all the same", "x ",
        {.hash.text = "is:new", SLOTS(OVER(""), OVER(""))}, PASSWORD_WRONG, .hashes = WITH_TRIMMED},
    {"blank at an end, nobody", "new ", {.hash.text = "is:new", SLOTS(OVER(""), OVER(""))},
        PASSWORD_WRONG, .hashes = WITH_TRIMMED, .nobody = true},
    {"blanks that belong to it", " new ", {.hash.text = "is: new ", SLOTS(OVER(""), OVER(""))},
        PASSWORD_RIGHT, .hashes = 1},
    {"not UTF-8", "new\xff ", {.hash.text = "is:new\xff", SLOTS(OVER(""), OVER(""))},
        PASSWORD_WRONG, .hashes = ALWAYS},
    {"current hash unusable", "new", {.hash.text = "broken", SLOTS(OVER("is:new"), OVER(""))},
        PASSWORD_UNUSABLE, .hashes = ALWAYS, .retired_id = "2"},
    {"current hash unusable, a retired one fits", "old",
        {.hash.text = "broken", SLOTS(GRACE("is:old"), OVER(""))}, PASSWORD_UNUSABLE,
        .hashes = ALWAYS, .retired_id = "1"},
    {"no current hash", "new", {SLOTS(OVER(""), OVER(""))}, PASSWORD_UNUSABLE, .hashes = ALWAYS},
    {"a retired hash broken", "x", {.hash.text = "is:new", SLOTS(GRACE("broken"), OVER("broken"))},
        PASSWORD_WRONG, .hashes = ALWAYS},
    {"a retired hash above the ceiling", "old",
        {.hash.text = "is:new", SLOTS(GRACE("costly:old"), OVER(""))}, PASSWORD_WRONG,
        .hashes = ALWAYS},
    {"no memory", "new", {.hash.text = "fails", SLOTS(OVER(""), OVER(""))}, PASSWORD_ERROR,
        .hashes = ALWAYS},
    {"no memory for one in its grace", "old",
        {.hash.text = "is:new", SLOTS(GRACE("fails"), OVER(""))}, PASSWORD_ERROR, .hashes = ALWAYS},
    {"no memory for one that is over", "x", {.hash.text = "is:new", SLOTS(OVER("fails"), OVER(""))},
        PASSWORD_WRONG, .hashes = ALWAYS},
    {"undiagnosed: stale is wrong", "old",
        {.hash.text = "is:new", SLOTS(OVER("is:old"), OVER("is:older"))}, PASSWORD_WRONG,
        .hashes = ALWAYS, .no_diagnosis = true},
    {"undiagnosed: in its grace", "old",
        {.hash.text = "is:new", SLOTS(OVER("is:older"), GRACE("is:old"))}, PASSWORD_RIGHT_RETIRED,
        .hashes = 3, .retired_id = "1", .no_diagnosis = true},
    {"undiagnosed: blank at an end", "new ", {.hash.text = "is:new", SLOTS(OVER(""), OVER(""))},
        PASSWORD_WRONG, .hashes = ALWAYS, .no_diagnosis = true},
    {"right, but refused", "new", {.hash.text = "is:new", SLOTS(OVER("is:old"), OVER("is:older"))},
        PASSWORD_RIGHT, .hashes = ALWAYS, .refused = true},
    {"right, but refused, and retired as well", "new",
        {.hash.text = "is:new", SLOTS(GRACE("is:new"), OVER("is:new"))}, PASSWORD_RIGHT,
        .hashes = ALWAYS, .refused = true},
    {"in its grace, but refused", "old",
        {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))}, PASSWORD_RIGHT_RETIRED,
        .hashes = ALWAYS, .retired_id = "1", .refused = true},
    {"undiagnosed: right, but refused", "new",
        {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER(""))}, PASSWORD_RIGHT, .hashes = ALWAYS,
        .no_diagnosis = true, .refused = true},
    {"a table without retired hashes", "x", {.hash.text = "is:new"}, PASSWORD_WRONG, .hashes = 1},
};

TEST(each_row_costs_its_number_of_hashes)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct user user = row->user;
        const struct password_question question = {
            .password = row->password,
            .len = strlen(row->password),
            .user = &user,
            .live = !row->nobody,
            .decoy = &decoy,
            .acceptable = !row->refused,
            .diagnose = !row->no_diagnosis,
        };
        const struct retired *retired;
        enum password_result result;

        hashed = parsed = 0;
        result = password_check(&question, &retired);
        if (result != row->result)
            fail_msg("%s: result %d", row->what, result);
        if (hashed != row->hashes)
            fail_msg("%s: %d hashes", row->what, hashed);
        if (parsed > (int)row->user.retired_count)
            fail_msg("%s: %d retired hashes parsed", row->what, parsed);
        if ((retired == NULL) != (row->retired_id == NULL) ||
            (retired != NULL && strcmp(retired->id, row->retired_id) != 0))
            fail_msg("%s: another retired hash", row->what);
    }
}

/* Asked twice, a cache in between: what is hashed the second time, and what the cache then holds.
 */
static const struct {
    const char *what;
    const char *password;
    struct user user;
    enum password_result result;
    int hashes;
    const char *kept;
    bool nobody;
} twice[] = {
    {"right", "new", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_RIGHT, 0, "7 is:new new", false},
    {"in its grace", "old", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_RIGHT_RETIRED, 0, "7 is:old old", false},
    {"stale", "older", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_STALE, ALWAYS, "", false},
    {"wrong", "x", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_WRONG, ALWAYS, "", false},
    {"blank at an end", "new ", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_WHITESPACE, WITH_TRIMMED, "", false},
    {"nobody", "new", {.hash.text = "is:new", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_WRONG, ALWAYS, "", true},
    {"unusable", "broken", {.hash.text = "broken", SLOTS(GRACE("is:old"), OVER("is:older"))},
        PASSWORD_UNUSABLE, ALWAYS, "", false},
};

TEST(a_verified_password_is_not_hashed_again)
{
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
        struct user user = twice[i].user;
        const struct password_question question = {
            .password = twice[i].password,
            .len = strlen(twice[i].password),
            .user = &user,
            .live = !twice[i].nobody,
            .decoy = &decoy,
            .diagnose = true,
            .cache = (struct cache *)cached,
            .cache_user = "7",
        };
        const struct retired *retired;

        cached[0] = '\0';
        parsed = 0;
        password_check(&question, &retired);
        hashed = 0;
        if (password_check(&question, &retired) != twice[i].result || hashed != twice[i].hashes)
            fail_msg("%s: %d hashes", twice[i].what, hashed);
        if (parsed > (int)user.retired_count)
            fail_msg("%s: %d retired hashes parsed", twice[i].what, parsed);
        if (strcmp(cached, twice[i].kept) != 0)
            fail_msg("%s: the cache holds \"%s\"", twice[i].what, cached);
        assert_int_equal(retired != NULL,
            twice[i].result == PASSWORD_RIGHT_RETIRED || twice[i].result == PASSWORD_STALE);
    }
}

RUN_TESTS(NULL, NULL)
