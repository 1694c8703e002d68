/*
 * spool.h: the file where audit rows wait while the database cannot take them.
 *
 * One row a line, a JSON object of printable ASCII, readable by people. The first line is the
 * spool's own: it says what the file is and up to which byte the lines have been moved into the
 * database. Many processes append and one of them drains, under fcntl(2) record locks, which end
 * with the process that held them. Threads of one process may call at once, too.
 */
#ifndef PGSASL_FILE_SPOOL_H
#define PGSASL_FILE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct spool;

enum {
    SPOOL_LINE_MAX = 16384, /* bytes of a line, its newline included */
    SPOOL_BATCH_MAX = 256,  /* lines that are handed out at once */
    SPOOL_REPORT_MAX = 2304
};

/*
 * Opens or creates path and keeps the descriptor, so that it works after a chroot and a change of
 * user. Must be a trusted file (trusted.h) of the effective user, or, where that is root, of the
 * owner of its directory, which gets a file that root makes. A file that is none, or begins with
 * anything but a spool's first line, is left as it is, byte for byte; an empty one becomes a spool.
 * NULL: *error_r (size cap) says why.
 */
struct spool *spool_open(const char *path, long max_kb, char *error_r, size_t cap);

/* In a forked child: what another thread of the parent held is free here. NULL is tolerated. */
void spool_forked(struct spool *spool);

/* Closes; NULL is tolerated. */
void spool_close(struct spool *spool);

/*
 * Appends one line (len bytes without a newline in them) and syncs it to the disk. Waits for the
 * lock until deadline, and for the disk as long as that takes: nothing can end a fdatasync(2).
 * Returns NULL, or a constant word of why the line may not be there.
 */
const char *spool_append(
    struct spool *spool, const char *line, size_t len, struct deadline deadline);

/* Bytes that wait, 0 when none do; an fstat(2), and a read where there are. NULL is tolerated. */
size_t spool_waiting(const struct spool *spool);

/* NUL-terminated, without its newline. */
struct spool_line {
    const char *text;
    size_t len;
};

/* Where spool_drain() moves lines. */
struct spool_taker {
    /* Returns how many of the lines, from the first on, are safe elsewhere; where those are not
     * all, draining stops, and the others are offered again next time. */
    size_t (*take)(void *context, const struct spool_line *lines, size_t count);
    /* Something that an operator should know, in one line of printable ASCII. */
    void (*report)(void *context, const char *text);
    void *context;
};

/*
 * Offers lines in their order until some are kept, all were taken or the deadline has passed;
 * returns how many were taken. Does nothing, at once, when another process or thread is draining.
 * Lines can be appended meanwhile, also by take() itself. What is no row (a crash tears lines, a
 * disk loses them) is passed over, and reported once for each stretch of it.
 */
size_t spool_drain(struct spool *spool, struct deadline deadline, const struct spool_taker *taker);

#endif
