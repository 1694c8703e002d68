/*
 * test_spool.c: lines are written to the spool and drained from it, with torn ends, a full file, a
 * file that was emptied, a second drainer, threads and a fork.
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

static char path[96];

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

/* The lines that take() got, and what was reported. */
struct seen {
    char line[16][64];
    int count;
    int keep_at; /* take() refuses this line; -1: none */
    int batches;
    int reports;
    char report[SPOOL_REPORT_MAX];
};

static size_t take(void *context, const struct spool_line *lines, size_t count)
{
    struct seen *seen = context;

    seen->batches++;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(strlen(lines[i].text), lines[i].len);
        if (seen->count == seen->keep_at)
            return i;
        if (seen->count < (int)ROWS(seen->line))
            snprintf(seen->line[seen->count], sizeof seen->line[0], "%s", lines[i].text);
        seen->count++;
    }
    return count;
}

static void report(void *context, const char *text)
{
    struct seen *seen = context;

    seen->reports++;
    snprintf(seen->report, sizeof seen->report, "%s", text);
}

static struct seen drain(struct spool *spool, int keep_at)
{
    struct seen seen = {.keep_at = keep_at};
    const struct spool_taker taker = {take, report, &seen};

    size_t taken = spool_drain(spool, deadline_in(1000), &taker);

    assert_int_equal(taken, seen.count);
    return seen;
}

/* Adds bytes behind the spool's back. */
static void add_bytes(const char *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
}

static off_t size_of_file(void)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

TEST_WITH(lines_are_drained_in_order, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    assert_false(spool_waiting(spool));
    assert_null(append(spool, "{one}"));
    assert_null(append(spool, "{two}"));
    assert_true(spool_waiting(spool));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.line[0], "{one}");
    assert_string_equal(seen.line[1], "{two}");
    assert_false(spool_waiting(spool));
    assert_int_equal(drain(spool, -1).count, 0);
    spool_close(spool);
}

TEST_WITH(a_kept_line_is_offered_again, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    append(spool, "{one}");
    append(spool, "{two}");
    append(spool, "{three}");
    assert_int_equal(drain(spool, 1).count, 1);
    spool_close(spool);
    spool = open_spool(64); /* how far it came is in the file */
    append(spool, "{four}");
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.line[0], "{two}");
    assert_string_equal(seen.line[2], "{four}");
    spool_close(spool);
}

TEST_WITH(a_torn_line_damages_no_other, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct stat status;
    struct seen seen;

    append(spool, "{one}");
    append(spool, "{two}");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 2), 0);
    assert_null(append(spool, "{three}"));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.line[0], "{one}");
    assert_string_equal(seen.line[1], "{three}");
    assert_int_equal(seen.reports, 1);
    assert_string_equal(seen.report, "5 bytes from byte 70 on are no rows and are skipped: {two");
    spool_close(spool);
}

TEST_WITH(a_full_file_accepts_no_more_lines, fresh_file, remove_file)
{
    struct spool *spool = open_spool(1);
    struct stat status;
    int lines = 0;
    const char *fault = NULL;

    while (lines < 100 && (fault = append(spool, "{a line of some length}")) == NULL)
        lines++;
    assert_non_null(fault);
    assert_non_null(strstr(fault, "pgsasl_spool_max_kb"));
    assert_true(lines > 5);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size <= 1024);
    drain(spool, -1);
    while (spool_waiting(spool))
        drain(spool, -1);
    assert_null(append(spool, "{a line of some length}"));
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
                bad += append(own, "{id}") != NULL;
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

/* A last line without a newline is ended by the next process that starts. */
TEST_WITH(a_torn_last_line_is_closed_by_the_next_process, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct stat status;
    struct seen seen;

    append(spool, "{one}");
    append(spool, "{two}");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 2), 0);
    assert_int_equal(drain(spool, -1).count, 1);
    assert_true(spool_waiting(spool));
    spool_close(spool);
    spool = open_spool(64);
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 0);
    assert_non_null(strstr(seen.report, "{two"));
    assert_int_equal(seen.reports, 1);
    assert_false(spool_waiting(spool));
    spool_close(spool);
}

TEST_WITH(a_file_emptied_by_hand_still_works, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    append(spool, "{one}");
    assert_int_equal(truncate(path, 0), 0);
    assert_false(spool_waiting(spool));
    assert_null(append(spool, "{two}"));
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.line[0], "{two}");
    spool_close(spool);
}

/* A line in a removed file would be lost with the process; the log keeps it. */
TEST_WITH(a_removed_file_accepts_no_lines, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);

    append(spool, "{one}");
    assert_int_equal(unlink(path), 0);
    assert_non_null(append(spool, "{two}"));
    assert_false(spool_waiting(spool));
    spool_close(spool);
    spool = open_spool(64);
    assert_null(append(spool, "{three}"));
    assert_int_equal(drain(spool, -1).count, 1);
    spool_close(spool);
}

/* Sets RLIMIT_FSIZE to bytes, and SIGXFSZ so that it would end the process. */
static struct rlimit limit_files(rlim_t bytes)
{
    struct rlimit room;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, room.rlim_max}), 0);
    return room;
}

/* The disk has room for half a line: the file keeps its length and can be appended to later. */
TEST_WITH(a_full_disk_leaves_the_file_as_it_was, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct rlimit room;
    off_t before;

    append(spool, "{one}");
    before = size_of_file();
    room = limit_files((rlim_t)before + 2);
    assert_string_equal(append(spool, "{two}"), "cannot be written");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    assert_int_equal(size_of_file(), before);
    assert_null(append(spool, "{three}"));
    assert_int_equal(drain(spool, -1).count, 2);
    spool_close(spool);
}

/* No SIGXFSZ stays pending, none of the host's is lost, and the signal mask is restored. */
TEST_WITH(a_limit_on_file_sizes_leaves_no_signal, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct rlimit room = limit_files(66);
    sigset_t before, after, pending;

    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_non_null(append(spool, "{one}"));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int number = 1; number < NSIG; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGXFSZ), 0);

    sigaddset(&after, SIGXFSZ);
    pthread_sigmask(SIG_SETMASK, &after, NULL);
    raise(SIGXFSZ);
    assert_non_null(append(spool, "{one}"));
    sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGXFSZ), 1);
    assert_int_equal(sigtimedwait(&after, NULL, &(struct timespec){0}), SIGXFSZ);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    spool_close(spool);
}

/* Not even the first line fits: nothing is written, and there is no spool. */
TEST_WITH(a_limit_below_the_first_line_is_an_error, fresh_file, remove_file)
{
    struct rlimit room = limit_files(10);
    char error[256];

    assert_null(spool_open(path, 64, error, sizeof error));
    assert_non_null(strstr(error, "cannot be written"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    assert_int_equal(size_of_file(), 0);
    spool_close(open_spool(64));
}

/* ---- bytes that are no row ---- */

/* The bytes stand between two rows. They are skipped and reported once, with these words. */
static void check_skipped(const char *bytes, size_t count, const char *words)
{
    struct spool *spool = open_spool(1024);
    struct seen seen;

    append(spool, "{one}");
    add_bytes(bytes, count);
    append(spool, "{two}");
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.line[0], "{one}");
    assert_string_equal(seen.line[1], "{two}");
    assert_int_equal(seen.reports, 1);
    if (strstr(seen.report, words) == NULL)
        fail_msg("%s", seen.report);
    assert_false(spool_waiting(spool));
    assert_int_equal(size_of_file(), 64);
    spool_close(spool);
}

TEST_WITH(bytes_that_are_no_row_are_skipped_and_reported_once, fresh_file, remove_file)
{
    static char bytes[400000];

    check_skipped(bytes, 17000, "17001 bytes from byte 70 on are no rows and are skipped: \\x00");
    check_skipped(bytes, sizeof bytes, "400001 bytes from byte 70 on");
    memset(bytes, 'x', sizeof bytes);
    check_skipped(bytes, SPOOL_LINE_MAX, "16385 bytes from byte 70 on");
    for (size_t i = 100; i < sizeof bytes; i += 100)
        bytes[i] = '\n';
    check_skipped(bytes, sizeof bytes, "400001 bytes from byte 70 on");
    check_skipped(
        BYTES("{a\0b}\n"), "6 bytes from byte 70 on are no rows and are skipped: {a\\x00b}");
    check_skipped(BYTES("{\xff}\n"), "4 bytes");
    check_skipped(BYTES("\n\n"), "2 bytes");
}

/* At the end of the file, without a row after them. */
TEST_WITH(bytes_at_the_end_that_are_no_row_are_skipped, fresh_file, remove_file)
{
    static const char nuls[17000];
    struct spool *spool = open_spool(64);
    struct seen seen;

    add_bytes(nuls, sizeof nuls);
    seen = drain(spool, -1);
    assert_int_equal(seen.reports, 1);
    assert_false(spool_waiting(spool));
    append(spool, "{one}");
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.reports, 0);
    spool_close(spool);
}

/* Draining that runs out of time continues where it stopped and does not report again. */
TEST_WITH(a_long_stretch_is_skipped_in_steps, fresh_file, remove_file)
{
    struct spool *spool = open_spool(65536);
    struct seen seen = {.keep_at = -1};
    const struct spool_taker taker = {take, report, &seen};
    char *bytes = calloc(1, 40000000);
    int rounds = 0;

    assert_non_null(bytes);
    append(spool, "{one}");
    add_bytes(bytes, 40000000);
    append(spool, "{two}");
    for (; spool_waiting(spool) && rounds < 10000; rounds++)
        spool_drain(spool, deadline_in(2), &taker);
    assert_true(rounds > 1);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.reports, 1);
    free(bytes);
    spool_close(spool);
}

/* ---- files that are not a spool ---- */

static void write_file(const char *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
}

static void expect_refused(const char *proves, const char *words)
{
    struct stat before, after;
    char error[256] = "taken";
    struct spool *spool;

    assert_int_equal(lstat(path, &before), 0);
    spool = spool_open(path, 64, error, sizeof error);
    if (spool != NULL || strstr(error, words) == NULL)
        fail_msg("%s: %s", proves, error);
    assert_int_equal(lstat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    assert_int_equal(before.st_mode, after.st_mode);
}

static const char no_spool[] = "is no spool of pgsasl, and stays as it is";

TEST_WITH(a_file_that_is_not_a_spool_is_not_changed, fresh_file, remove_file)
{
    static const char good[] =
        "{\"pgsasl_spool\":\"1\",\"drained\":\"00000000000000000064\"          }\n";
    char spoilt[sizeof good];

    write_file(BYTES("precious"));
    expect_refused("a short file", no_spool);
    for (int i = 0; i < 10; i++)
        add_bytes(BYTES("a precious line of a file that is no spool ....\n"));
    expect_refused("lines of text", no_spool);
    write_file(BYTES("\n"));
    expect_refused("an empty line", no_spool);
    for (size_t i = 0; i < sizeof good - 1; i++) {
        memcpy(spoilt, good, sizeof good);
        spoilt[i] ^= 1;
        write_file(spoilt, sizeof good - 1);
        add_bytes(BYTES("{one}\n"));
        if (i < 31 || i > 51)
            expect_refused("a flipped bit in the first line", no_spool);
    }
    write_file(good, sizeof good - 1);
    add_bytes(BYTES("{one}\n"));
    spool_close(open_spool(64));
}

/* A crash while the first line is written leaves a part of it, which is completed. */
TEST_WITH(an_incomplete_first_line_is_completed, fresh_file, remove_file)
{
    spool_close(open_spool(64));
    assert_int_equal(truncate(path, 40), 0);
    spool_close(open_spool(64));
    assert_int_equal(size_of_file(), 64);
}

/* After a crash the first line may be newer than the lines. New lines are drained all the same. */
TEST_WITH(a_position_past_the_end_is_reset, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct seen seen;

    write_file(BYTES("{\"pgsasl_spool\":\"1\",\"drained\":\"00000000000000000076\"          }\n"));
    append(spool, "{one}");
    append(spool, "{two}");
    append(spool, "{three}");
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 3);
    spool_close(spool);
}

/* Overwritten while it is open: nothing is appended to the new contents or drained from them. */
TEST_WITH(a_spool_that_is_overwritten_is_left_alone, fresh_file, remove_file)
{
    static char precious[200];
    struct spool *spool = open_spool(64);
    struct seen seen;
    char after[sizeof precious];
    int fd;

    memset(precious, 'p', sizeof precious);
    write_file(precious, sizeof precious);
    assert_string_equal(append(spool, "{one}"), no_spool);
    seen = drain(spool, -1);
    assert_int_equal(seen.count, 0);
    assert_int_equal(seen.reports, 1);
    assert_string_equal(seen.report, no_spool);
    assert_int_equal(drain(spool, -1).reports, 0);
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, after, sizeof after), sizeof after);
    close(fd);
    assert_memory_equal(after, precious, sizeof after);
    assert_int_equal(size_of_file(), sizeof precious);
    spool_close(spool);
}

/* What others could do while a taker was storing a line. */
struct inside {
    struct spool *spool;
    const char *appended; /* result of another thread's append; NULL: success */
    size_t drained;       /* lines that another thread drained */
    int child;            /* status of a forked child that appends */
    int calls;            /* of the taker */
};

static void *use_from_a_thread(void *context)
{
    struct inside *inside = context;
    struct seen seen = {.keep_at = -1};
    const struct spool_taker taker = {take, report, &seen};

    inside->appended = append(inside->spool, "{from inside}");
    inside->drained = spool_drain(inside->spool, deadline_in(1000), &taker);
    return NULL;
}

static size_t take_slowly(void *context, const struct spool_line *lines, size_t count)
{
    struct inside *inside = context;
    pthread_t thread;
    pid_t child;

    (void)lines;
    if (inside->calls++ > 0)
        return count;
    if (pthread_create(&thread, NULL, use_from_a_thread, inside) != 0)
        fail_msg("no thread");
    pthread_join(thread, NULL);
    child = fork();
    if (child == 0) {
        spool_forked(inside->spool);
        _exit(append(inside->spool, "{from a child}") != NULL);
    }
    waitpid(child, &inside->child, 0);
    return count;
}

/* However long storing a line takes, others append without waiting, and drain nothing twice. */
TEST_WITH(draining_blocks_nobody, fresh_file, remove_file)
{
    struct inside inside = {.spool = open_spool(64), .appended = "not yet", .child = -1};
    const struct spool_taker taker = {take_slowly, report, &inside};

    append(inside.spool, "{one}");
    assert_int_equal(spool_drain(inside.spool, deadline_in(5000), &taker), 3);
    assert_null(inside.appended);
    assert_int_equal(inside.drained, 0);
    assert_int_equal(inside.child, 0);
    assert_false(spool_waiting(inside.spool));
    spool_close(inside.spool);
}

/* Locks the byte that spool.c locks for writing, in a child, until that is killed. */
static pid_t hold_write_lock(void)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)1 << 40, .l_len = 1};
    int ready[2];
    char byte;
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
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

/* A process that is stopped with the lock costs the deadline; a killed one costs nothing. */
TEST_WITH(a_held_lock_costs_at_most_the_deadline, fresh_file, remove_file)
{
    struct spool *spool = open_spool(64);
    struct deadline limit = deadline_in(2000);
    pid_t holder = hold_write_lock();

    assert_non_null(spool_append(spool, "{one}", 5, deadline_in(100)));
    assert_true(deadline_left_ms(limit) > 0);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    assert_null(append(spool, "{two}"));
    spool_close(spool);
}

TEST_WITH(a_file_that_is_not_ours_alone_is_refused, fresh_file, remove_file)
{
    static const mode_t modes[] = {0644, 0602, 0640, 0660, 0400, 04600};
    char second[sizeof path + 8];

    spool_close(open_spool(64));
    for (size_t i = 0; i < ROWS(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        expect_refused("mode", "must have mode 0600");
    }
    assert_int_equal(chmod(path, 0600), 0);
    snprintf(second, sizeof second, "%s.second", path);
    assert_int_equal(link(path, second), 0);
    expect_refused("a second name", "must have one name");
    assert_int_equal(unlink(second), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        expect_refused("another user's", "must belong to the user");
        assert_int_equal(chown(path, 0, 0), 0);
    }
    assert_int_equal(rename(path, second), 0);
    assert_int_equal(symlink(second, path), 0);
    expect_refused("a symbolic link", "must be a plain file");
    assert_int_equal(rename(second, path), 0);
    spool_close(open_spool(64));
}

TEST(a_path_that_is_not_a_file_is_refused)
{
    char error[256];

    assert_null(spool_open("/nowhere/spool", 64, error, sizeof error));
    assert_non_null(strstr(error, "No such file"));
    assert_null(spool_open("/tmp", 64, error, sizeof error));
    assert_non_null(strstr(error, "/tmp: Is a directory"));
}

/* Root creates the file for the owner of the directory, and can open it again. */
TEST(root_accepts_a_file_of_the_directorys_owner)
{
    char directory[] = "/tmp/pgsasl-spool-dir.XXXXXX";
    struct stat status;

    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chown(directory, 12345, 12345), 0);
    snprintf(path, sizeof path, "%s/s", directory);
    spool_close(open_spool(64));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, 12345);
    spool_close(open_spool(64));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* In a host that has closed its standard streams. */
TEST_WITH(no_descriptor_of_the_file_is_a_standard_stream, fresh_file, remove_file)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        struct spool *spool;
        char error[256];
        bool good;

        for (int fd = 0; fd < 3; fd++)
            close(fd);
        spool = spool_open(path, 64, error, sizeof error);
        good = spool != NULL && append(spool, "{one}") == NULL;
        for (int fd = 0; fd < 3; fd++)
            good = good && fcntl(fd, F_GETFD) < 0;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

RUN_TESTS(NULL, NULL)
