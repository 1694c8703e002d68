/*
 * spool.c: appends lines safely from many processes, and hands them out again from one at a time.
 *
 * Two record locks: one byte for whoever writes or cuts the file, held for microseconds, and one
 * for whoever drains. Neither is held while the disk syncs, and who drains holds up nobody. The
 * first line holds how far draining came; lines behind it may be offered twice after a crash, never
 * not at all.
 */
#include "file/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file/owner.h"

enum { HEADER_BYTES = 64, LOCK_RETRY_MS = 5, OPEN_MS = 1000 };

/* The bytes of the file that the record locks stand on; they lie past any data. */
static const off_t write_lock = (off_t)1 << 40;
static const off_t drain_lock = ((off_t)1 << 40) + 1;

struct spool {
    int fd;
    off_t max_bytes;
    pthread_mutex_t write_mutex; /* one for each record lock: these do not part threads */
    pthread_mutex_t drain_mutex;
};

static bool lock_byte(int fd, off_t byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_SETLK, &lock) == 0;
}

static bool lock_by(int fd, off_t byte, struct deadline deadline)
{
    while (!lock_byte(fd, byte, F_WRLCK)) {
        if ((errno != EACCES && errno != EAGAIN && errno != EINTR) ||
            deadline_left_ms(deadline) == 0)
            return false;
        poll(NULL, 0, LOCK_RETRY_MS);
    }
    return true;
}

/* The write lock, by deadline. */
static bool begin_writing(struct spool *spool, struct deadline deadline)
{
    struct timespec until = {deadline.at_ms / 1000, deadline.at_ms % 1000 * 1000000L};

    if (pthread_mutex_clocklock(&spool->write_mutex, CLOCK_MONOTONIC, &until) != 0)
        return false;
    if (lock_by(spool->fd, write_lock, deadline))
        return true;
    pthread_mutex_unlock(&spool->write_mutex);
    return false;
}

static void end_writing(struct spool *spool)
{
    lock_byte(spool->fd, write_lock, F_UNLCK);
    pthread_mutex_unlock(&spool->write_mutex);
}

/* -1 also for a file that was removed: lines in it would be gone with the last process. */
static off_t size_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_nlink > 0 ? status.st_size : -1;
}

static bool write_at(int fd, const char *bytes, size_t count, off_t at)
{
    while (count > 0) {
        ssize_t written = pwrite(fd, bytes, count, at);

        if (written <= 0 && !(written < 0 && errno == EINTR))
            return false;
        if (written > 0) {
            bytes += written;
            at += written;
            count -= (size_t)written;
        }
    }
    return true;
}

static const char header_form[] = "{\"pgsasl_spool\":\"1\",\"drained\":\"%020lld\"";

static bool write_header(int fd, off_t drained)
{
    char header[HEADER_BYTES + 1];
    int length = snprintf(header, sizeof header, header_form, (long long)drained);

    memset(header + length, ' ', (size_t)(HEADER_BYTES - length));
    memcpy(header + HEADER_BYTES - 2, "}\n", 2);
    return write_at(fd, header, HEADER_BYTES, 0);
}

/* How far the file is drained; from its beginning when the header cannot be read. */
static off_t read_header(int fd)
{
    char header[HEADER_BYTES + 1] = "";
    char expected[HEADER_BYTES + 1];
    const char *digits = header + strcspn(header_form, "%");
    long long drained;

    if (pread(fd, header, HEADER_BYTES, 0) != HEADER_BYTES)
        return HEADER_BYTES;
    drained = strtoll(digits, NULL, 10);
    snprintf(expected, sizeof expected, header_form, drained);
    return strncmp(header, expected, strlen(expected)) == 0 && drained >= HEADER_BYTES &&
                   drained <= size_of(fd)
               ? (off_t)drained
               : HEADER_BYTES;
}

/*
 * Under the write lock: a file that is new or was emptied gets its first line, a line that a crash
 * tore its newline. Returns where the next line goes, -1: nowhere.
 */
static off_t make_ready(int fd)
{
    off_t end = size_of(fd);
    char last;

    if (end >= 0 && end < HEADER_BYTES)
        end = write_header(fd, HEADER_BYTES) ? HEADER_BYTES : -1;
    if (end < 0 || pread(fd, &last, 1, end - 1) != 1)
        return -1;
    if (last == '\n')
        return end;
    return write_at(fd, "\n", 1, end) ? end + 1 : -1;
}

/* Opens the file, which is made where it is missing; -1: errno. */
static int open_or_make(const char *path)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = open(path, flags);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return errno == EEXIST ? open(path, flags) : -1;
    if (owner_as_directory(fd, path))
        return fd;
    close(fd);
    return -1;
}

/* Opens the file and sees that it is one of ours; -1: *error_r says why not. */
static int open_file(const char *path, char *error_r, size_t cap)
{
    int fd = open_or_make(path);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(error_r, cap, "%.150s: %s", path, strerrordesc_np(errno));
    } else if (!S_ISREG(status.st_mode) || (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        snprintf(error_r, cap,
            "%.150s: must be a plain file that others can neither read nor write", path);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static void make_mutexes(struct spool *spool)
{
    pthread_mutex_init(&spool->write_mutex, NULL);
    pthread_mutex_init(&spool->drain_mutex, NULL);
}

struct spool *spool_open(const char *path, long max_kb, char *error_r, size_t cap)
{
    struct spool *spool = calloc(1, sizeof *spool);
    bool ready = false;

    snprintf(error_r, cap, "out of memory");
    if (spool == NULL)
        return NULL;
    spool->max_bytes = (off_t)max_kb * 1024;
    make_mutexes(spool);
    spool->fd = open_file(path, error_r, cap);
    if (spool->fd >= 0 && begin_writing(spool, deadline_in(OPEN_MS))) {
        ready = make_ready(spool->fd) >= 0;
        end_writing(spool);
    }
    if (ready)
        return spool;
    if (spool->fd >= 0)
        snprintf(error_r, cap, "%.150s: cannot be written", path);
    spool_close(spool);
    return NULL;
}

void spool_close(struct spool *spool)
{
    if (spool == NULL)
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    pthread_mutex_destroy(&spool->write_mutex);
    pthread_mutex_destroy(&spool->drain_mutex);
    free(spool);
}

void spool_forked(struct spool *spool)
{
    if (spool != NULL)
        make_mutexes(spool);
}

/* Under the write lock. What a full disk took in part is taken back. */
static const char *write_line(struct spool *spool, const char *line, size_t length)
{
    off_t end = make_ready(spool->fd);

    if (end < 0)
        return "cannot be written, or was removed";
    if (end + (off_t)length > spool->max_bytes)
        return "is full (pgsasl_spool_max_kb)";
    if (write_at(spool->fd, line, length, end))
        return NULL;
    return ftruncate(spool->fd, end) == 0 ? "cannot be written" : "cannot be written, nor cut back";
}

const char *spool_append(
    struct spool *spool, const char *line, size_t len, struct deadline deadline)
{
    char copy[SPOOL_LINE_MAX];
    const char *fault;

    if (len == 0 || len >= sizeof copy)
        return "cannot hold so long a line";
    memcpy(copy, line, len);
    copy[len] = '\n';
    if (!begin_writing(spool, deadline))
        return "is locked by another process";
    fault = write_line(spool, copy, len + 1);
    end_writing(spool);
    if (fault == NULL && fdatasync(spool->fd) != 0)
        fault = "cannot be synced";
    return fault;
}

bool spool_waiting(const struct spool *spool)
{
    return spool != NULL && size_of(spool->fd) > HEADER_BYTES;
}

/* One offered line; the bytes it took, 0 when it was kept or is not whole yet. */
static size_t offer(int fd, off_t at,
    enum spool_taken (*take)(void *context, const char *line, size_t len), void *context)
{
    char line[SPOOL_LINE_MAX + 1];
    ssize_t got = pread(fd, line, SPOOL_LINE_MAX, at);
    char *end = got > 0 ? memchr(line, '\n', (size_t)got) : NULL;
    size_t len;

    if (end == NULL)
        return 0;
    *end = '\0';
    len = (size_t)(end - line);
    return len > 0 && take(context, line, len) == SPOOL_KEEP ? 0 : len + 1;
}

/* Cuts a wholly drained file back to its header, or notes how far draining came. */
static void finish_draining(struct spool *spool, off_t drained)
{
    if (drained == size_of(spool->fd) && begin_writing(spool, deadline_in(0))) {
        if (drained == size_of(spool->fd) && write_header(spool->fd, HEADER_BYTES) &&
            ftruncate(spool->fd, HEADER_BYTES) == 0)
            drained = 0;
        end_writing(spool);
    }
    if (drained != 0)
        write_header(spool->fd, drained);
}

size_t spool_drain(struct spool *spool, size_t most, struct deadline deadline,
    enum spool_taken (*take)(void *context, const char *line, size_t len), void *context)
{
    size_t taken = 0;
    size_t length;
    off_t at;

    if (pthread_mutex_trylock(&spool->drain_mutex) != 0)
        return 0;
    if (lock_byte(spool->fd, drain_lock, F_WRLCK)) {
        at = read_header(spool->fd);
        while (taken < most && deadline_left_ms(deadline) > 0 &&
               (length = offer(spool->fd, at, take, context)) > 0) {
            at += (off_t)length;
            taken++;
        }
        if (taken > 0)
            finish_draining(spool, at);
        lock_byte(spool->fd, drain_lock, F_UNLCK);
    }
    pthread_mutex_unlock(&spool->drain_mutex);
    return taken;
}
