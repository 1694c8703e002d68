/*
 * trusted.h: which files of the operator's are ours to read and write, for the spool and the cache
 * alike.
 *
 * A trusted file is a plain file with one name and mode 0600 that belongs to a user we trust. One
 * that is not is never changed. Exim starts libsasl as root in its daemon, and again as its own
 * user in each AUTH: a file that the first start makes must be of use to the second.
 */
#ifndef PGSASL_FILE_TRUSTED_H
#define PGSASL_FILE_TRUSTED_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Opens an existing file for reading and writing, without following a symbolic link or waiting for
 * a FIFO; -1: errno, which is ELOOP for such a link. The descriptor is close-on-exec and none of
 * the standard streams.
 */
int trusted_open(const char *path);

/* What is wrong with a file that should belong to owner, as a constant text; NULL: nothing. */
const char *trusted_fault(const struct stat *status, uid_t owner);

/*
 * Gives the new file fd to the owner and group of the directory that path lies in, where this
 * process is root; as any other user does nothing. False: errno says why not.
 */
bool trusted_chown_to_parent(int fd, const char *path);

/* The owner of the directory that path lies in, or fallback where that cannot be read. */
uid_t trusted_parent_owner(const char *path, uid_t fallback);

#endif
