/*
 * trusted.h: which files the plugin may read and write: the rules for the spool and the cache.
 *
 * A trusted file is a plain file with one name and mode 0600 that belongs to a user we trust. Any
 * other file is never changed. Exim initialises libsasl as root in its daemon, and again as its own
 * user for each AUTH: a file that the first creates must be usable for the second.
 */
#ifndef PGSASL_FILE_TRUSTED_H
#define PGSASL_FILE_TRUSTED_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Opens an existing file for reading and writing; follows no symbolic link and does not block on a
 * FIFO. -1: errno says why, ELOOP for such a link. The descriptor is close-on-exec and above 2.
 */
int trusted_open(const char *path);

/* What is wrong with a file that must belong to owner, as a constant string; NULL: nothing. */
const char *trusted_fault(const struct stat *status, uid_t owner);

/*
 * If this process is root, gives the new file fd to the owner and group of path's directory. Any
 * other user does nothing. False: errno says why it failed.
 */
bool trusted_chown_to_parent(int fd, const char *path);

/* The owner of path's directory, or fallback if that cannot be read. */
uid_t trusted_parent_owner(const char *path, uid_t fallback);

#endif
