/*
 * spool.c: appends lines safely from many processes, and hands them out again from one at a time.
 *
 * Two record locks: one octet for whoever writes or cuts the file, held for microseconds, and one
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
#include "file/spool_line.h"

enum { LINE_MAX_OCTETS = 16384, HEADER_OCTETS = 64, LOCK_RETRY_MS = 5, OPEN_MS = 1000 };

/* The octets of the file that the record locks stand on; they lie past any data. */
static const off_t write_lock = (off_t)1 << 40;
static const off_t drain_lock = ((off_t)1 << 40) + 1;

struct spool {
    int fd;
    off_t max_octets;
    pthread_mutex_t write_mutex; /* one for each record lock: these do not part threads */
    pthread_mutex_t drain_mutex;
};

static bool lock_octet(int fd, off_t octet, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1};

    return fcntl(fd, F_SETLK, &lock) == 0;
}

static bool lock_by(int fd, off_t octet, struct deadline deadline)
{
    while (!lock_octet(fd, octet, F_WRLCK)) {
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
    lock_octet(spool->fd, write_lock, F_UNLCK);
    pthread_mutex_unlock(&spool->write_mutex);
}

/* -1 also for a file that was removed: lines in it would be gone with the last process. */
static off_t size_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_nlink > 0 ? status.st_size : -1;
}

static bool write_at(int fd, const char *octets, size_t count, off_t at)
{
    while (count > 0) {
        ssize_t written = pwrite(fd, octets, count, at);

        if (written <= 0 && !(written < 0 && errno == EINTR))
            return false;
        if (written > 0) {
            octets += written;
            at += written;
            count -= (size_t)written;
        }
    }
    return true;
}

static bool write_header(int fd, off_t drained)
{
    char header[HEADER_OCTETS + 1];
    int length = snprintf(header, sizeof header, "{\"pgsasl_spool\":\"1\",\"drained\":\"%020lld\"",
        (long long)drained);

    memset(header + length, ' ', (size_t)(HEADER_OCTETS - length));
    memcpy(header + HEADER_OCTETS - 2, "}\n", 2);
    return write_at(fd, header, HEADER_OCTETS, 0);
}

/* How far the file is drained; from its beginning when the header can't be read. */
static off_t read_header(int fd)
{
    static const char *const names[] = {"drained"};
    const char *value;
    char header[HEADER_OCTETS];
    long long drained;

    if (pread(fd, header, sizeof header, 0) != HEADER_OCTETS || header[HEADER_OCTETS - 1] != '\n')
        return HEADER_OCTETS;
    header[HEADER_OCTETS - 1] = '\0';
    if (!spool_line_read(header, names, &value, 1) || value == NULL)
        return HEADER_OCTETS;
    drained = strtoll(value, NULL, 10);
    return drained >= HEADER_OCTETS && drained <= size_of(fd) ? (off_t)drained : HEADER_OCTETS;
}

/*
 * Under the write lock: a file that is new or was emptied gets its first line, a line that a crash
 * tore its newline. Returns where the next line goes, -1: nowhere.
 */
static off_t make_ready(int fd)
{
    off_t end = size_of(fd);
    char last;

    if (end >= 0 && end < HEADER_OCTETS)
        end = write_header(fd, HEADER_OCTETS) ? HEADER_OCTETS : -1;
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
    spool->max_octets = (off_t)max_kb * 1024;
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
    if (end + (off_t)length > spool->max_octets)
        return "is full (pgsasl_spool_max_kb)";
    if (write_at(spool->fd, line, length, end))
        return NULL;
    return ftruncate(spool->fd, end) == 0 ? "cannot be written" : "cannot be written, nor cut back";
}

const char *spool_append(struct spool *spool, const char *const *names, const char *const *values,
    size_t count, struct deadline deadline)
{
    char line[LINE_MAX_OCTETS];
    size_t length = spool_line_write(line, sizeof line, names, values, count);
    const char *fault;

    if (length == 0)
        return "cannot hold so long a line";
    if (!begin_writing(spool, deadline))
        return "is locked by another process";
    fault = write_line(spool, line, length);
    end_writing(spool);
    if (fault == NULL && fdatasync(spool->fd) != 0)
        fault = "cannot be synced";
    return fault;
}

bool spool_waiting(const struct spool *spool)
{
    return spool != NULL && size_of(spool->fd) > HEADER_OCTETS;
}

/* One offered line; the octets it took, 0 when it was kept or is not whole yet. */
static size_t offer(int fd, off_t at, const char *const *names, size_t count,
    enum spool_taken (*take)(void *, const char *const *, const char *), void *context)
{
    char line[LINE_MAX_OCTETS + 1];
    char copy[LINE_MAX_OCTETS + 1];
    const char *values[SPOOL_FIELDS_MAX];
    ssize_t got = pread(fd, line, LINE_MAX_OCTETS, at);
    char *end = got > 0 ? memchr(line, '\n', (size_t)got) : NULL;
    size_t length;

    if (end == NULL)
        return 0;
    *end = '\0';
    length = (size_t)(end - line);
    memcpy(copy, line, length + 1);
    if (length > 0) {
        bool whole = strlen(line) == length && spool_line_read(copy, names, values, count);

        if (take(context, whole ? values : NULL, line) == SPOOL_KEEP)
            return 0;
    }
    return length + 1;
}

/* Cuts a wholly drained file back to its header, or notes how far draining came. */
static void settle(struct spool *spool, off_t drained)
{
    if (drained == size_of(spool->fd) && begin_writing(spool, deadline_in(0))) {
        if (drained == size_of(spool->fd) && write_header(spool->fd, HEADER_OCTETS) &&
            ftruncate(spool->fd, HEADER_OCTETS) == 0)
            drained = 0;
        end_writing(spool);
    }
    if (drained != 0)
        write_header(spool->fd, drained);
}

size_t spool_drain(struct spool *spool, const char *const *names, size_t count, size_t most,
    struct deadline deadline,
    enum spool_taken (*take)(void *context, const char *const *values, const char *line),
    void *context)
{
    size_t taken = 0;
    size_t length;
    off_t at;

    if (pthread_mutex_trylock(&spool->drain_mutex) != 0)
        return 0;
    if (lock_octet(spool->fd, drain_lock, F_WRLCK)) {
        at = read_header(spool->fd);
        while (taken < most && deadline_left_ms(deadline) > 0 &&
               (length = offer(spool->fd, at, names, count, take, context)) > 0) {
            at += (off_t)length;
            taken++;
        }
        if (taken > 0)
            settle(spool, at);
        lock_octet(spool->fd, drain_lock, F_UNLCK);
    }
    pthread_mutex_unlock(&spool->drain_mutex);
    return taken;
}
