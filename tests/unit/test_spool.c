/*
 * test_spool.c: lines of the spool survive the way out and back, torn ends, a full file, a file
 * that was emptied, a second drainer, threads and a fork.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "file/spool.h"
#include "file/spool_line.h"

static const char *const names[] = {"attempt_id", "username", "detail"};

enum { FIELDS = 3 };

static char path[64];

static int fresh_file(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/pgsasl-spool.XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static struct spool *open_spool(long max_kb)
{
    char error[256] = "";
    struct spool *spool = spool_open(path, max_kb, error, sizeof error);

    if (spool == NULL)
        fail_msg("%s", error);
    return spool;
}

static const char *append(struct spool *spool, const char *id, const char *username)
{
    const char *const values[] = {id, username, NULL};

    return spool_append(spool, names, values, FIELDS, deadline_in(1000));
}

/* What take() was offered, one id a slot; "torn" where there were no values. */
struct seen {
    char id[8][32];
    char username[64];
    int count;
    int keep_at; /* the offer that is refused; -1: none */
};

static enum spool_taken take(void *context, const char *const *values, const char *line)
{
    struct seen *seen = context;

    (void)line;
    if (seen->count == seen->keep_at)
        return SPOOL_KEEP;
    snprintf(
        seen->id[seen->count++], sizeof seen->id[0], "%s", values == NULL ? "torn" : values[0]);
    if (values != NULL)
        snprintf(seen->username, sizeof seen->username, "%s", values[1]);
    return SPOOL_TAKEN;
}

static struct seen drain(struct spool *spool, int keep_at)
{
    struct seen seen = {.keep_at = keep_at};

    spool_drain(spool, names, FIELDS, 8, deadline_in(1000), take, &seen);
    return seen;
}

static void test_line_there_and_back(void **state)
{
    static const char *const texts[] = {"plain", "", "quote \" and \\ backslash",
        "line\nfeed\r\t\x01\x7f", "\xc3\xa9\xe2\x80\xa8 \xf0\x9f\x98\x80", "{\"a\":null}"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *const values[] = {texts[i], NULL, "end"};
        const char *back[FIELDS];
        char line[256];
        size_t length = spool_line_write(line, sizeof line, names, values, FIELDS);

        assert_true(length > 0);
        assert_int_equal(line[length - 1], '\n');
        assert_null(memchr(line, '\n', length - 1));
        line[length - 1] = '\0';
        assert_true(spool_line_read(line, names, back, FIELDS));
        assert_string_equal(back[0], texts[i]);
        assert_null(back[1]);
        assert_string_equal(back[2], "end");
    }
}

static void test_line_that_is_none(void **state)
{
    static const char *const lines[] = {"", "{", "{}", "[]", "{\"attempt_id\":\"1\"",
        "{\"attempt_id\":1}", "{\"attempt_id\":\"1\"}x", "{\"attempt_id\":\"\\q\"}",
        "{\"attempt_id\":\"\\u00\"}", "{\"attempt_id\":\"\\u0000\"}", "{\"attempt_id\"\"1\"}",
        "{\"attempt_id\":nul}", "{\"attempt_id\":\"1\",}", "{\"attempt_id\":\"\\"};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *back[FIELDS];
        char *line = strdup(lines[i]); /* on the heap, so that reading past it shows */

        if (spool_line_read(line, names, back, FIELDS))
            fail_msg("taken: %s", lines[i]);
        free(line);
    }
}

static void test_line_too_long(void **state)
{
    const char *const values[] = {"0123456789", NULL, NULL};
    char line[64];

    (void)state;
    assert_int_equal(spool_line_write(line, 20, names, values, FIELDS), 0);
    assert_true(spool_line_write(line, sizeof line, names, values, FIELDS) > 0);
}

static void test_order_and_end(void **state)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    (void)state;
    assert_false(spool_waiting(spool));
    assert_null(append(spool, "one", "a\nb"));
    assert_null(append(spool, "two", "c"));
    assert_true(spool_waiting(spool));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.id[0], "one");
    assert_string_equal(seen.id[1], "two");
    assert_false(spool_waiting(spool));
    assert_int_equal(drain(spool, -1).count, 0);
    spool_close(spool);
}

static void test_kept_line_comes_again(void **state)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    (void)state;
    append(spool, "one", "a");
    append(spool, "two", "b");
    append(spool, "three", "c");
    assert_int_equal(drain(spool, 1).count, 1);
    spool_close(spool);
    spool = open_spool(64); /* how far it came is in the file */
    append(spool, "four", "d");
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.id[0], "two");
    assert_string_equal(seen.id[2], "four");
    spool_close(spool);
}

static void test_torn_line(void **state)
{
    struct spool *spool = open_spool(64);
    struct stat status;
    struct seen seen;

    (void)state;
    append(spool, "one", "a");
    append(spool, "two", "b");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 9), 0);
    assert_null(append(spool, "three", "c"));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.id[0], "one");
    assert_string_equal(seen.id[1], "torn");
    assert_string_equal(seen.id[2], "three");
    spool_close(spool);
}

static void test_full(void **state)
{
    struct spool *spool = open_spool(1);
    struct stat status;
    int lines = 0;
    const char *fault = NULL;

    (void)state;
    while (lines < 100 && (fault = append(spool, "id", "somebody")) == NULL)
        lines++;
    assert_non_null(fault);
    assert_non_null(strstr(fault, "pgsasl_spool_max_kb"));
    assert_true(lines > 5);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size <= 1024);
    drain(spool, -1);
    while (spool_waiting(spool))
        drain(spool, -1);
    assert_null(append(spool, "id", "somebody"));
    spool_close(spool);
}

static void test_many_processes(void **state)
{
    enum { PROCESSES = 4, EACH = 50 };
    struct spool *spool = open_spool(1024);
    int total = 0;
    int status;

    (void)state;
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct spool *own = open_spool(1024);
            int bad = 0;

            for (int k = 0; k < EACH; k++)
                bad += append(own, "id", "somebody") != NULL;
            _exit(bad);
        }
    for (int i = 0; i < PROCESSES; i++) {
        wait(&status);
        assert_int_equal(status, 0);
    }
    while (spool_waiting(spool))
        total += drain(spool, -1).count;
    assert_int_equal(total, PROCESSES * EACH);
    spool_close(spool);
}

/* The newline is missing when nobody appends any more: the next process to start closes the line.
 */
static void test_torn_line_at_the_end(void **state)
{
    struct spool *spool = open_spool(64);
    struct stat status;
    struct seen seen;

    (void)state;
    append(spool, "one", "a");
    append(spool, "two", "b");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 9), 0);
    assert_int_equal(drain(spool, -1).count, 1);
    assert_true(spool_waiting(spool));
    spool_close(spool);
    spool = open_spool(64);
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.id[0], "torn");
    assert_false(spool_waiting(spool));
    spool_close(spool);
}

static void test_emptied_by_hand(void **state)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    (void)state;
    append(spool, "one", "a");
    assert_int_equal(truncate(path, 0), 0);
    assert_false(spool_waiting(spool));
    assert_null(append(spool, "two", "b"));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.id[0], "two");
    spool_close(spool);
}

/* A line in it would be lost with the process: the log is the better place. */
static void test_removed(void **state)
{
    struct spool *spool = open_spool(64);

    (void)state;
    append(spool, "one", "a");
    assert_int_equal(unlink(path), 0);
    assert_non_null(append(spool, "two", "b"));
    assert_false(spool_waiting(spool));
    spool_close(spool);
    spool = open_spool(64);
    assert_null(append(spool, "three", "c"));
    assert_int_equal(drain(spool, -1).count, 1);
    spool_close(spool);
}

/* A disk that takes half a line: the file ends as it did, and goes on when there is room. */
static void test_disk_full(void **state)
{
    struct spool *spool = open_spool(64);
    struct rlimit room;
    struct rlimit none;
    struct stat before;
    struct stat after;

    (void)state;
    append(spool, "one", "a");
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
    none = room;
    none.rlim_cur = (rlim_t)before.st_size + 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_non_null(append(spool, "two", "b"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_null(append(spool, "three", "c"));
    assert_int_equal(drain(spool, -1).count, 2);
    spool_close(spool);
}

/* What a taker finds possible while it has a line in its hands. */
struct inside {
    struct spool *spool;
    const char *appended; /* by another thread; NULL: it worked */
    size_t drained;       /* by another thread */
    int child;            /* status of a forked child that appends */
    int offers;
};

static void *use_from_a_thread(void *context)
{
    struct inside *inside = context;
    struct seen seen = {.keep_at = -1};

    inside->appended = append(inside->spool, "from inside", "t");
    inside->drained = spool_drain(inside->spool, names, FIELDS, 8, deadline_in(1000), take, &seen);
    return NULL;
}

static enum spool_taken take_slowly(void *context, const char *const *values, const char *line)
{
    struct inside *inside = context;
    pthread_t thread;
    pid_t child;

    (void)values;
    (void)line;
    if (inside->offers++ > 0)
        return SPOOL_TAKEN;
    if (pthread_create(&thread, NULL, use_from_a_thread, inside) != 0)
        fail_msg("no thread");
    pthread_join(thread, NULL);
    child = fork();
    if (child == 0) {
        spool_forked(inside->spool);
        _exit(append(inside->spool, "from a child", "c") != NULL);
    }
    waitpid(child, &inside->child, 0);
    return SPOOL_TAKEN;
}

/* However long a line takes, others append without waiting for it, and drain nothing twice. */
static void test_draining_holds_up_nobody(void **state)
{
    struct inside inside = {.spool = open_spool(64), .appended = "not yet", .child = -1};

    (void)state;
    append(inside.spool, "one", "a");
    assert_int_equal(
        spool_drain(inside.spool, names, FIELDS, 8, deadline_in(5000), take_slowly, &inside), 3);
    assert_null(inside.appended);
    assert_int_equal(inside.drained, 0);
    assert_int_equal(inside.child, 0);
    assert_false(spool_waiting(inside.spool));
    spool_close(inside.spool);
}

/* The octet that spool.c locks to write; held by a child until it is killed. */
static pid_t hold_write_lock(void)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)1 << 40, .l_len = 1};
    int ready[2];
    char octet;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &octet, 1), 1);
    close(ready[0]);
    return child;
}

/* A process stopped with the lock in its hand costs the deadline and no more; killed, nothing. */
static void test_lock_held_by_another(void **state)
{
    struct spool *spool = open_spool(64);
    const char *const values[] = {"one", "a", NULL};
    struct deadline patience = deadline_in(2000);
    pid_t holder = hold_write_lock();

    (void)state;
    assert_non_null(spool_append(spool, names, values, FIELDS, deadline_in(100)));
    assert_true(deadline_left_ms(patience) > 0);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    assert_null(append(spool, "two", "b"));
    spool_close(spool);
}

static void test_refused_files(void **state)
{
    char error[256];

    (void)state;
    assert_int_equal(chmod(path, 0644), 0);
    assert_null(spool_open(path, 64, error, sizeof error));
    assert_non_null(strstr(error, path));
    assert_null(spool_open("/nowhere/spool", 64, error, sizeof error));
    assert_non_null(strstr(error, "No such file"));
    assert_null(spool_open("/tmp", 64, error, sizeof error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_there_and_back),
        cmocka_unit_test(test_line_that_is_none),
        cmocka_unit_test(test_line_too_long),
        cmocka_unit_test_setup_teardown(test_order_and_end, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_kept_line_comes_again, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_torn_line, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_full, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_many_processes, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_torn_line_at_the_end, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_emptied_by_hand, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_removed, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_disk_full, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_draining_holds_up_nobody, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_lock_held_by_another, fresh_file, remove_file),
        cmocka_unit_test_setup_teardown(test_refused_files, fresh_file, remove_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
