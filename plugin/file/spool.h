/*
 * spool.h: the file where audit rows wait while the database cannot take them.
 *
 * One row a line, readable by people. The first line is the spool's own and says up to
 * which byte the lines have been moved into the database. Many processes append and one of them
 * drains, under fcntl(2) record locks, which end with the process that held them. Threads of one
 * process may call at once, too.
 */
#ifndef PGSASL_FILE_SPOOL_H
#define PGSASL_FILE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct spool;

enum { SPOOL_LINE_MAX = 16384 }; /* bytes of a line, its newline included */

/* What becomes of a line that spool_drain() hands out. */
enum spool_taken {
    SPOOL_KEEP = 0, /* not now: stop here, and offer it again next time */
    SPOOL_TAKEN     /* it is safe elsewhere */
};

/*
 * Opens or creates path (mode 0600; made by root it belongs to its directory's owner) and keeps the
 * descriptor, so that it works after a chroot and a change of user. NULL: *error_r (size cap) says
 * why.
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

/* True when lines wait; one fstat(2). NULL is tolerated. */
bool spool_waiting(const struct spool *spool);

/*
 * Offers lines in their order to take(), NUL-terminated and without their newline, until it keeps
 * one, `most` were taken or the deadline has passed; returns how many were taken. Does nothing, at
 * once, when another process or thread is draining. What take() is offered may be anything: a crash
 * tears lines. Lines can be appended meanwhile, also by take() itself.
 */
size_t spool_drain(struct spool *spool, size_t most, struct deadline deadline,
    enum spool_taken (*take)(void *context, const char *line, size_t len), void *context);

#endif
