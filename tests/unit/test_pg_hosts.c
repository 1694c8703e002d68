/*
 * test_pg_hosts.c: a name is looked up again and again, and in a forked child as in its parent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "pg/hosts.h"

enum { LOOKUP_MS = 5000, AGAIN = 20 };

static size_t targets_of(const char *name, int timeout_ms)
{
    struct pg_hosts hosts;
    size_t count = 0;

    if (pg_hosts_split(&hosts, name, NULL, NULL)) {
        pg_hosts_resolve(&hosts, deadline_in(timeout_ms));
        count = hosts.target_count;
    }
    pg_hosts_free(&hosts);
    return count;
}

static void test_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < AGAIN; i++)
        assert_true(targets_of("localhost", LOOKUP_MS) > 0);
}

/* What is given up at once ends by itself, and frees what it holds. */
static void test_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < AGAIN; i++)
        targets_of("localhost", 0);
    assert_true(targets_of("localhost", LOOKUP_MS) > 0);
}

/* A child born while the look-up's thread is in ASan's allocator waits there for ever; glibc's
 * knows fork. */
static void no_fork_under_asan(void)
{
#if defined(__SANITIZE_ADDRESS__)
    skip();
#endif
}

/* getaddrinfo_a(3) never ends in a child that is born soon after a look-up of its parent. */
static void test_in_a_child(void **state)
{
    pid_t child;
    int status = -1;

    (void)state;
    no_fork_under_asan();
    assert_true(targets_of("localhost", LOOKUP_MS) > 0);
    child = fork();
    if (child == 0)
        _exit(targets_of("localhost", LOOKUP_MS) > 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The parent's thread is not in the child: what it was asked there must be asked anew. */
static void test_in_a_child_while_pending(void **state)
{
    struct pg_hosts hosts;
    pid_t child;
    int status = -1;

    (void)state;
    no_fork_under_asan();
    assert_true(pg_hosts_split(&hosts, "localhost", NULL, NULL));
    pg_hosts_resolve(&hosts, deadline_in(0));
    child = fork();
    if (child == 0) {
        pg_hosts_resolve(&hosts, deadline_in(LOOKUP_MS));
        _exit(hosts.target_count > 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    pg_hosts_free(&hosts);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again_and_again),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_in_a_child),
        cmocka_unit_test(test_in_a_child_while_pending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
