/*
 * test_pg_hosts.c: looks a name up many times, and in a forked child as well as in its parent.
 */
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

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

TEST(a_name_is_looked_up_again_and_again)
{
    for (int i = 0; i < AGAIN; i++)
        assert_true(targets_of("localhost", LOOKUP_MS) > 0);
}

/* A look-up that nobody waits for ends by itself and frees its memory. */
TEST(an_abandoned_look_up_frees_its_memory)
{
    for (int i = 0; i < AGAIN; i++)
        targets_of("localhost", 0);
    assert_true(targets_of("localhost", LOOKUP_MS) > 0);
}

/*
 * A child forked while the look-up's thread is in ASan's allocator would wait for its lock forever.
 * glibc's allocator handles fork.
 */
static void no_fork_under_asan(void)
{
#if defined(__SANITIZE_ADDRESS__)
    skip();
#endif
}

/* getaddrinfo_a(3) never ends in a child that is forked soon after a look-up of its parent. */
TEST(a_child_looks_up_as_its_parent)
{
    pid_t child;
    int status = -1;

    no_fork_under_asan();
    assert_true(targets_of("localhost", LOOKUP_MS) > 0);
    child = fork();
    if (child == 0)
        _exit(targets_of("localhost", LOOKUP_MS) > 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The child does not have the parent's thread, so it must look the name up again. */
TEST(a_child_looks_up_while_its_parent_waits)
{
    struct pg_hosts hosts;
    pid_t child;
    int status = -1;

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

RUN_TESTS(NULL, NULL)
