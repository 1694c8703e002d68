/*
 * test_spool.c: lines of the spool survive the way out and back, torn ends, a full file, a file
 * that was emptied, a second drainer, threads and a fork.
 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/spool.h"

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

static const char *append(struct spool *spool, const char *line)
{
    return spool_append(spool, line, strlen(line), deadline_in(1000));
}

/* What take() was offered. */
struct seen {
    char line[8][32];
    int count;
    int keep_at; /* the offer that is refused; -1: none */
};

static enum spool_taken take(void *context, const char *line, size_t len)
{
    struct seen *seen = context;

    assert_int_equal(strlen(line), len);
    if (seen->count == seen->keep_at)
        return SPOOL_KEEP;
    snprintf(seen->line[seen->count++], sizeof seen->line[0], "%s", line);
    return SPOOL_TAKEN;
}

static struct seen drain(struct spool *spool, int keep_at)
{
    struct seen seen = {.keep_at = keep_at};

    spool_drain(spool, 8, deadline_in(1000), take, &seen);
    return seen;
}

TEST_WITH(lines_come_out_in_their_order, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    assert_false(spool_waiting(spool));
    assert_null(append(spool, "one"));
    assert_null(append(spool, "two"));
    assert_true(spool_waiting(spool));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.line[0], "one");
    assert_string_equal(seen.line[1], "two");
    assert_false(spool_waiting(spool));
    assert_int_equal(drain(spool, -1).count, 0);
    spool_close(spool);
}

TEST_WITH(a_kept_line_is_offered_again, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    append(spool, "one");
    append(spool, "two");
    append(spool, "three");
    assert_int_equal(drain(spool, 1).count, 1);
    spool_close(spool);
    spool = open_spool(64); /* how far it came is in the file */
    append(spool, "four");
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.line[0], "two");
    assert_string_equal(seen.line[2], "four");
    spool_close(spool);
}

TEST_WITH(a_torn_line_spoils_no_other, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct stat status;
    struct seen seen;

    append(spool, "one");
    append(spool, "two");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 2), 0);
    assert_null(append(spool, "three"));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.line[0], "one");
    assert_string_equal(seen.line[1], "tw");
    assert_string_equal(seen.line[2], "three");
    spool_close(spool);
}

TEST_WITH(a_full_file_takes_no_more, fresh_file, remove_file)
{
    struct spool *spool = open_spool(1);
    struct stat status;
    int lines = 0;
    const char *fault = NULL;

    while (lines < 100 && (fault = append(spool, "a line of some length")) == NULL)
        lines++;
    assert_non_null(fault);
    assert_non_null(strstr(fault, "pgsasl_spool_max_kb"));
    assert_true(lines > 5);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size <= 1024);
    drain(spool, -1);
    while (spool_waiting(spool))
        drain(spool, -1);
    assert_null(append(spool, "a line of some length"));
    spool_close(spool);
}

TEST_WITH(many_processes_append, fresh_file, remove_file)
{
    enum { PROCESSES = 4, EACH = 50 };
    struct spool *spool = open_spool(1024);
    int total = 0;
    int status;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct spool *own = open_spool(1024);
            int bad = 0;

            for (int k = 0; k < EACH; k++)
                bad += append(own, "id") != NULL;
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
TEST_WITH(a_torn_last_line_is_closed_by_the_next_process, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct stat status;
    struct seen seen;

    append(spool, "one");
    append(spool, "two");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 2), 0);
    assert_int_equal(drain(spool, -1).count, 1);
    assert_true(spool_waiting(spool));
    spool_close(spool);
    spool = open_spool(64);
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.line[0], "tw");
    assert_false(spool_waiting(spool));
    spool_close(spool);
}

TEST_WITH(a_file_emptied_by_hand_goes_on, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    append(spool, "one");
    assert_int_equal(truncate(path, 0), 0);
    assert_false(spool_waiting(spool));
    assert_null(append(spool, "two"));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.line[0], "two");
    spool_close(spool);
}

/* A line in it would be lost with the process: the log is the better place. */
TEST_WITH(a_removed_file_takes_no_lines, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);

    append(spool, "one");
    assert_int_equal(unlink(path), 0);
    assert_non_null(append(spool, "two"));
    assert_false(spool_waiting(spool));
    spool_close(spool);
    spool = open_spool(64);
    assert_null(append(spool, "three"));
    assert_int_equal(drain(spool, -1).count, 1);
    spool_close(spool);
}

/* A disk that takes half a line: the file ends as it did, and goes on when there is room. */
TEST_WITH(a_full_disk_leaves_the_file_as_it_was, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct rlimit room;
    struct rlimit none;
    struct stat before;
    struct stat after;

    append(spool, "one");
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
    none = room;
    none.rlim_cur = (rlim_t)before.st_size + 2;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_non_null(append(spool, "two"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_null(append(spool, "three"));
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

    inside->appended = append(inside->spool, "from inside");
    inside->drained = spool_drain(inside->spool, 8, deadline_in(1000), take, &seen);
    return NULL;
}

static enum spool_taken take_slowly(void *context, const char *line, size_t len)
{
    struct inside *inside = context;
    pthread_t thread;
    pid_t child;

    (void)line;
    (void)len;
    if (inside->offers++ > 0)
        return SPOOL_TAKEN;
    if (pthread_create(&thread, NULL, use_from_a_thread, inside) != 0)
        fail_msg("no thread");
    pthread_join(thread, NULL);
    child = fork();
    if (child == 0) {
        spool_forked(inside->spool);
        _exit(append(inside->spool, "from a child") != NULL);
    }
    waitpid(child, &inside->child, 0);
    return SPOOL_TAKEN;
}

/* However long a line takes, others append without waiting for it, and drain nothing twice. */
TEST_WITH(draining_holds_up_nobody, fresh_file, remove_file)
{
    struct inside inside = {.spool = open_spool(64), .appended = "not yet", .child = -1};

    append(inside.spool, "one");
    assert_int_equal(spool_drain(inside.spool, 8, deadline_in(5000), take_slowly, &inside), 3);
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
TEST_WITH(a_held_lock_costs_the_deadline_and_no_more, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct deadline patience = deadline_in(2000);
    pid_t holder = hold_write_lock();

    assert_non_null(spool_append(spool, "one", 3, deadline_in(100)));
    assert_true(deadline_left_ms(patience) > 0);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    assert_null(append(spool, "two"));
    spool_close(spool);
}

TEST_WITH(files_that_others_can_read_are_refused, fresh_file, remove_file)
{
    char error[256];

    assert_int_equal(chmod(path, 0644), 0);
    assert_null(spool_open(path, 64, error, sizeof error));
    assert_non_null(strstr(error, path));
    assert_null(spool_open("/nowhere/spool", 64, error, sizeof error));
    assert_non_null(strstr(error, "No such file"));
    assert_null(spool_open("/tmp", 64, error, sizeof error));
}

RUN_TESTS(NULL, NULL)
