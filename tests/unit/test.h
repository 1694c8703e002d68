/*
 * test.h: cmocka, and TEST(), which defines and registers a test. Each test program of this folder
 * includes it first.
 *
 *     TEST(an_empty_text_is_refused)
 *     {
 *         assert_false(accepts(""));
 *     }
 *
 *     RUN_TESTS(NULL, NULL)
 *
 * A test's name says what is true. Tests run in the order of the file. <cmocka.h> needs what is
 * included before it.
 */
#ifndef PGSASL_TEST_H
#define PGSASL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* The rows of an array. */
#define ROWS(table) (sizeof(table) / sizeof(*(table)))

/* A string literal as pointer and length, its NUL left out. */
#define BYTES(literal) literal, sizeof(literal) - 1

enum { TESTS_MAX = 64 };

static struct CMUnitTest registered_tests[TESTS_MAX];
static size_t registered_count;

static inline void register_test(struct CMUnitTest test)
{
    if (registered_count == TESTS_MAX)
        abort();
    registered_tests[registered_count++] = test;
}

/* A test with functions of cmocka's that run before and after it; NULL: none. */
#define TEST_WITH(name, set_up, tear_down)                                        \
    static void name(void **state);                                               \
    __attribute__((constructor)) static void register_##name(void)                \
    {                                                                             \
        register_test((struct CMUnitTest){#name, name, set_up, tear_down, NULL}); \
    }                                                                             \
    static void name(void **state __attribute__((unused)))

#define TEST(name) TEST_WITH(name, NULL, NULL)

/*
 * Runs the tests of the file whose name matches pattern (NULL: all), between two functions of
 * cmocka's for all of them together.
 */
static inline int run_all_tests(
    const char *pattern, CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    cmocka_set_test_filter(pattern);
    return _cmocka_run_group_tests("tests", registered_tests, registered_count, set_up, tear_down);
}

/* The program's one argument is a pattern, such as 'trim*'. */
#define RUN_TESTS(set_up, tear_down)                      \
    int main(int argc, char **argv)                       \
    {                                                     \
        const char *pattern = argc > 1 ? argv[1] : NULL;  \
        return run_all_tests(pattern, set_up, tear_down); \
    }

#endif
