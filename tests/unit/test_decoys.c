/*
 * test_decoys.c: which decoy a name gets where the query gives none.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "auth/decoys.h"

static const char *const kinds[] = {
    "$2b$10$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcde",
    "$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcde",
    "$5$rounds=1000$saltysalt$AfLQYd9msiPG6E3IYPK6jB2tetNC0yI9.UwMDuUL3SB",
};

static void note(struct decoys *decoys, const char *stored)
{
    struct hash hash;

    assert_true(hash_parse(stored, &hash));
    decoys_note(decoys, &hash);
}

/* The decoy's text as far as it says scheme and cost. */
static const char *chosen(const struct decoys *decoys, int number)
{
    static char text[HASH_MAX];
    char name[16];
    struct hash decoy;

    snprintf(name, sizeof name, "nobody%d", number);
    decoys_choose(decoys, name, &decoy);
    assert_true(hash_is_usable(&decoy));
    snprintf(text, sizeof text, "%.*s", (int)decoy.params_len, decoy.text);
    return text;
}

enum { NAMES = 600 };

TEST(before_any_hash_is_seen_it_is_bcrypt_at_cost_10)
{
    struct decoys *decoys = decoys_new("secret");

    assert_string_equal(chosen(decoys, 1), "$2b$10$");
    note(decoys, kinds[1]);
    assert_string_equal(chosen(decoys, 1), "$2b$12$");
    decoys_free(decoys);
    decoys_free(NULL);
}

/* Not like the last one that was seen: that would tell which names exist. */
TEST(a_login_between_changes_nothing_and_all_kinds_are_chosen)
{
    struct decoys *one = decoys_new("secret"), *other = decoys_new("secret");
    int count[ROWS(kinds)] = {0};

    for (size_t i = 0; i < ROWS(kinds); i++) {
        note(one, kinds[i]);
        note(other, kinds[ROWS(kinds) - 1 - i]); /* another process, in another order */
    }
    for (int name = 0; name < NAMES; name++) {
        char first[HASH_MAX];

        snprintf(first, sizeof first, "%s", chosen(one, name));
        note(one, kinds[(size_t)name % ROWS(kinds)]);
        assert_string_equal(chosen(one, name), first);
        assert_string_equal(chosen(other, name), first);
        for (size_t i = 0; i < ROWS(kinds); i++)
            count[i] += strncmp(kinds[i], first, strlen(first)) == 0;
    }
    for (size_t i = 0; i < ROWS(kinds); i++)
        assert_in_range(count[i], NAMES / 5, NAMES / 2);
    decoys_free(one);
    decoys_free(other);
}

TEST(one_more_kind_changes_a_name_only_to_that_kind)
{
    struct decoys *decoys = decoys_new("secret"), *more = decoys_new("secret");
    int changed = 0;

    note(decoys, kinds[0]);
    note(decoys, kinds[1]);
    for (size_t i = 0; i < ROWS(kinds); i++)
        note(more, kinds[i]);
    for (int name = 0; name < NAMES; name++) {
        char first[HASH_MAX];

        snprintf(first, sizeof first, "%s", chosen(decoys, name));
        if (strcmp(chosen(more, name), first) != 0) {
            assert_string_equal(chosen(more, name), "$5$rounds=1000$");
            changed++;
        }
    }
    assert_in_range(changed, NAMES / 5, NAMES / 2);
    decoys_free(decoys);
    decoys_free(more);
}

TEST(another_secret_chooses_otherwise)
{
    struct decoys *one = decoys_new("secret"), *other = decoys_new("another");
    int differ = 0;

    for (size_t i = 0; i < ROWS(kinds); i++) {
        note(one, kinds[i]);
        note(other, kinds[i]);
    }
    for (int name = 0; name < NAMES; name++) {
        char first[HASH_MAX];

        snprintf(first, sizeof first, "%s", chosen(one, name));
        differ += strcmp(chosen(other, name), first) != 0;
    }
    assert_true(differ > NAMES / 2);
    decoys_free(one);
    decoys_free(other);
}

TEST(only_the_first_kinds_are_kept)
{
    struct decoys *decoys = decoys_new("secret");
    char stored[HASH_MAX];

    for (int rounds = 1000; rounds < 1100; rounds++) {
        snprintf(stored, sizeof stored,
            "$5$rounds=%d$saltysalt$AfLQYd9msiPG6E3IYPK6jB2tetNC0yI9.UwMDuUL3SB", rounds);
        note(decoys, stored);
    }
    for (int name = 0; name < NAMES; name++)
        assert_true(strcmp(chosen(decoys, name), "$5$rounds=1010$") < 0);
    decoys_free(decoys);
}

RUN_TESTS(NULL, NULL)
