/*
 * spool.c: appends lines safely from many processes, and hands them out again from one at a time.
 *
 * Two record locks: one byte for whoever writes or cuts the file, held for microseconds, and one
 * for whoever drains. Neither is held while the disk syncs, and who drains holds up nobody. The
 * first line holds how far draining came; lines behind it may be offered twice after a crash, never
 * not at all. A file that does not begin with such a line is never written to.
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

#include "base/streams.h"
#include "base/text.h"
#include "file/trusted.h"
#include "file/write.h"

enum {
    HEADER_BYTES = 64,
    LOCK_RETRY_MS = 5,
    OPEN_MS = 1000,
    CHUNK_BYTES = 128 * 1024, /* read at once; several lines of any length */
    SHOWN_MAX = 512           /* bytes of a stretch that a report quotes */
};

/* The bytes of the file that the record locks stand on; they lie past any data. */
static const off_t write_lock = (off_t)1 << 40;
static const off_t drain_lock = ((off_t)1 << 40) + 1;

struct spool {
    int fd;
    off_t max_bytes;
    pthread_mutex_t write_mutex; /* one for each record lock: these do not part threads */
    pthread_mutex_t drain_mutex;
    bool reported; /* that it is no spool any more; under drain_mutex */
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

/* ---- the first line ---- */

/* How far the file is drained, and whether what lies there is the rest of a stretch of no rows that
 * was reported. */
struct header {
    off_t drained;
    bool in_stretch;
};

static const char header_form[] = "{\"pgsasl_spool\":\"1\",\"drained\":\"%020lld\"%s";
static const char stretch_mark[] = ",\"torn\":1";

static void format_header(char out_r[HEADER_BYTES + 1], const struct header *header)
{
    int length = snprintf(out_r, HEADER_BYTES + 1, header_form, (long long)header->drained,
        header->in_stretch ? stretch_mark : "");

    memset(out_r + length, ' ', (size_t)(HEADER_BYTES - length));
    memcpy(out_r + HEADER_BYTES - 2, "}\n", sizeof "}\n");
}

/* False: it may be there in part. */
static bool write_header(int fd, const struct header *header)
{
    char text[HEADER_BYTES + 1];

    format_header(text, header);
    return file_write(fd, text, HEADER_BYTES, 0);
}

/* False: the text is no first line of ours. */
static bool parse_header(const char text[HEADER_BYTES], struct header *header_r)
{
    char digits[21] = "";
    char expected[HEADER_BYTES + 1];

    memcpy(digits, text + strcspn(header_form, "%"), sizeof digits - 1);
    header_r->drained = (off_t)strtoll(digits, NULL, 10);
    for (int torn = 0; torn < 2; torn++) {
        header_r->in_stretch = torn == 1;
        format_header(expected, header_r);
        if (memcmp(text, expected, HEADER_BYTES) == 0)
            return header_r->drained >= HEADER_BYTES;
    }
    return false;
}

static const struct header fresh_header = {HEADER_BYTES, false};

static bool load_header(int fd, struct header *header_r)
{
    char text[HEADER_BYTES];

    return pread(fd, text, HEADER_BYTES, 0) == HEADER_BYTES && parse_header(text, header_r);
}

/* A position past the end is of a file that a crash or a person cut: it begins again. */
static bool read_header(int fd, struct header *header_r)
{
    if (!load_header(fd, header_r))
        return false;
    if (header_r->drained > size_of(fd))
        *header_r = fresh_header;
    return true;
}

/* What a crash or a full disk left of writing the first line of all, maybe nothing. */
static bool is_begun(int fd, off_t size)
{
    char text[HEADER_BYTES];
    char fresh[HEADER_BYTES + 1];

    format_header(fresh, &fresh_header);
    return size < HEADER_BYTES && pread(fd, text, HEADER_BYTES, 0) == size &&
           memcmp(text, fresh, (size_t)size) == 0;
}

/* ---- opening and writing ---- */

static const char no_spool[] = "is no spool of pgsasl, and stays as it is";

/*
 * Under the write lock: a file that is new or was emptied gets its first line, a line that a crash
 * tore its newline. Returns where the next line goes, -1: nowhere, and *fault_r says why.
 */
static off_t make_ready(int fd, const char **fault_r)
{
    off_t end = size_of(fd);
    struct header header;
    char last;

    *fault_r = "cannot be written, or was removed";
    if (end < 0)
        return -1;
    if (is_begun(fd, end)) {
        if (write_header(fd, &fresh_header))
            return HEADER_BYTES;
        file_resize(fd, end);
        return -1;
    }
    if (!load_header(fd, &header)) {
        *fault_r = no_spool;
        return -1;
    }
    /* Past the end: lines that are appended now must not end up before it. */
    if ((header.drained > end && !write_header(fd, &fresh_header)) ||
        pread(fd, &last, 1, end - 1) != 1)
        return -1;
    if (last == '\n')
        return end;
    return file_write(fd, "\n", 1, end) ? end + 1 : -1;
}

/* Opens the file, which is made where it is missing; -1: errno. */
static int open_or_make(const char *path)
{
    int fd = trusted_open(path);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return errno == EEXIST ? trusted_open(path) : -1;
    if (trusted_chown_to_parent(fd, path))
        return fd;
    close(fd);
    return -1;
}

/* A file that root made belongs to the owner of its directory. */
static const char *fault_of(const struct stat *status, const char *path)
{
    uid_t owner = geteuid();

    if (owner == 0 && status->st_uid != 0)
        owner = trusted_parent_owner(path, owner);
    return trusted_fault(status, owner);
}

/* Opens the file and checks that it may be one of ours; -1: *error_r says why not. */
static int open_file(const char *path, char *error_r, size_t cap)
{
    const char *fault = NULL;
    struct stat status;
    int fd;

    streams_hold();
    fd = open_or_make(path);
    streams_release();
    if (fd < 0 && errno == ELOOP)
        fault = "must be a plain file";
    else if (fd < 0 || fstat(fd, &status) != 0)
        fault = strerrordesc_np(errno);
    else
        fault = fault_of(&status, path);
    if (fault == NULL)
        return fd;
    snprintf(error_r, cap, "%.150s: %s", path, fault);
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
    const char *fault = "is locked by another process";

    snprintf(error_r, cap, "out of memory");
    if (spool == NULL)
        return NULL;
    spool->max_bytes = (off_t)max_kb * 1024;
    make_mutexes(spool);
    spool->fd = open_file(path, error_r, cap);
    if (spool->fd >= 0 && begin_writing(spool, deadline_in(OPEN_MS))) {
        if (make_ready(spool->fd, &fault) >= 0)
            fault = NULL;
        end_writing(spool);
    }
    if (fault == NULL)
        return spool;
    if (spool->fd >= 0)
        snprintf(error_r, cap, "%.150s: %s", path, fault);
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
    const char *fault;
    off_t end = make_ready(spool->fd, &fault);

    if (end < 0)
        return fault;
    if (end + (off_t)length > spool->max_bytes)
        return "is full (pgsasl_spool_max_kb)";
    if (file_write(spool->fd, line, length, end))
        return NULL;
    return file_resize(spool->fd, end) ? "cannot be written" : "cannot be written, nor cut back";
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

size_t spool_waiting(const struct spool *spool)
{
    off_t size = spool == NULL ? 0 : size_of(spool->fd);
    struct header header;

    if (size <= HEADER_BYTES)
        return 0;
    return read_header(spool->fd, &header) ? (size_t)(size - header.drained) : (size_t)size;
}

/* ---- draining ---- */

struct drain {
    struct spool *spool;
    const struct spool_taker *taker;
    struct header header;
    bool mid_line; /* of what is no row: up to the next newline nothing is */
    size_t taken;
    /* The stretch that is being passed over, as far as it is not reported. */
    off_t stretch_at;
    size_t stretch_len;
    char shown[SHOWN_MAX];
    size_t shown_len;
    size_t chunk_len;
    struct spool_line lines[SPOOL_BATCH_MAX];
    char chunk[CHUNK_BYTES]; /* what lies at header.drained */
};

static bool is_row(const char *line, size_t len)
{
    if (len < 2 || len >= SPOOL_LINE_MAX || line[0] != '{' || line[len - 1] != '}')
        return false;
    for (size_t i = 0; i < len; i++)
        if (line[i] < ' ' || line[i] > '~')
            return false;
    return true;
}

/* Lists the rows that the chunk begins with, up to what is no row or not whole. */
static size_t list_rows(struct drain *drain)
{
    size_t count = 0;
    char *at = drain->chunk;
    char *past = drain->chunk + drain->chunk_len;
    char *end;

    while (count < SPOOL_BATCH_MAX && (end = memchr(at, '\n', (size_t)(past - at))) != NULL &&
           is_row(at, (size_t)(end - at))) {
        drain->lines[count++] = (struct spool_line){at, (size_t)(end - at)};
        *end = '\0';
        at = end + 1;
    }
    return count;
}

static void report_stretch(struct drain *drain)
{
    char shown[4 * SHOWN_MAX + 1];
    char text[SPOOL_REPORT_MAX];

    if (drain->stretch_len == 0)
        return;
    text_escape(shown, sizeof shown, drain->shown, drain->shown_len);
    snprintf(text, sizeof text, "%zu bytes from byte %lld on are no rows and are skipped: %s%s",
        drain->stretch_len, (long long)drain->stretch_at, shown,
        drain->shown_len + 1 < drain->stretch_len ? "..." : "");
    drain->taker->report(drain->taker->context, text);
    drain->stretch_len = 0;
}

/* Offers rows; false: some were kept. */
static bool offer(struct drain *drain, size_t count)
{
    size_t taken;

    report_stretch(drain);
    drain->header.in_stretch = false;
    taken = drain->taker->take(drain->taker->context, drain->lines, count);
    for (size_t i = 0; i < taken; i++)
        drain->header.drained += (off_t)drain->lines[i].len + 1;
    drain->taken += taken;
    return taken == count;
}

/* How many bytes that the chunk begins with are no rows, and end a line or are too long for one. */
static size_t no_rows(struct drain *drain)
{
    size_t passed = 0;

    while (passed < drain->chunk_len) {
        const char *at = drain->chunk + passed;
        size_t left = drain->chunk_len - passed;
        const char *end = memchr(at, '\n', left);

        if (end == NULL && !drain->mid_line && left < SPOOL_LINE_MAX)
            break; /* it is not whole yet */
        if (end != NULL && !drain->mid_line && is_row(at, (size_t)(end - at)))
            break;
        drain->mid_line = end == NULL;
        passed = end == NULL ? drain->chunk_len : (size_t)(end - drain->chunk) + 1;
    }
    return passed;
}

/* Passes over what is no row; false: nothing is left but a line that is not whole yet. */
static bool pass_over(struct drain *drain)
{
    size_t length = no_rows(drain);

    if (length > 0 && !drain->header.in_stretch) {
        drain->header.in_stretch = true;
        drain->stretch_at = drain->header.drained;
        drain->shown_len = length - 1 < SHOWN_MAX ? length - 1 : SHOWN_MAX;
        memcpy(drain->shown, drain->chunk, drain->shown_len);
        drain->stretch_len = length;
    } else if (drain->stretch_len > 0) {
        drain->stretch_len += length;
    }
    drain->header.drained += (off_t)length;
    return length > 0;
}

/* One step; false: it was the last one. How far it came is in the file. */
static bool drain_on(struct drain *drain)
{
    int fd = drain->spool->fd;
    ssize_t got = pread(fd, drain->chunk, CHUNK_BYTES, drain->header.drained);
    size_t count;
    bool more;

    if (got <= 0)
        return false;
    drain->chunk_len = (size_t)got;
    count = drain->mid_line ? 0 : list_rows(drain);
    more = count > 0 ? offer(drain, count) : pass_over(drain);
    return write_header(fd, &drain->header) && more;
}

/* Cuts a wholly drained file back to its first line. */
static void cut(struct spool *spool, off_t drained)
{
    if (drained != size_of(spool->fd) || !begin_writing(spool, deadline_in(0)))
        return;
    if (drained == size_of(spool->fd) && write_header(spool->fd, &fresh_header))
        file_resize(spool->fd, HEADER_BYTES);
    end_writing(spool);
}

/* Finds out where to begin. False: the file is no spool any more. */
static bool begin_draining(struct drain *drain)
{
    char before;

    if (!read_header(drain->spool->fd, &drain->header))
        return false;
    drain->mid_line = drain->header.in_stretch &&
                      pread(drain->spool->fd, &before, 1, drain->header.drained - 1) == 1 &&
                      before != '\n';
    return true;
}

static size_t drain_all(
    struct spool *spool, struct deadline deadline, const struct spool_taker *taker)
{
    struct drain *drain = malloc(sizeof *drain);
    size_t taken;

    if (drain == NULL)
        return 0;
    drain->spool = spool;
    drain->taker = taker;
    drain->taken = 0;
    drain->stretch_len = 0;
    if (begin_draining(drain)) {
        while (deadline_left_ms(deadline) > 0 && drain_on(drain))
            ;
        report_stretch(drain);
        if (drain->header.drained > HEADER_BYTES)
            cut(spool, drain->header.drained);
    } else if (!spool->reported) {
        spool->reported = true;
        taker->report(taker->context, no_spool);
    }
    taken = drain->taken;
    free(drain);
    return taken;
}

size_t spool_drain(struct spool *spool, struct deadline deadline, const struct spool_taker *taker)
{
    size_t taken = 0;

    if (pthread_mutex_trylock(&spool->drain_mutex) != 0)
        return 0;
    if (lock_byte(spool->fd, drain_lock, F_WRLCK)) {
        taken = drain_all(spool, deadline, taker);
        lock_byte(spool->fd, drain_lock, F_UNLCK);
    }
    pthread_mutex_unlock(&spool->drain_mutex);
    return taken;
}
