/*
 * trusted.c: checks a file by fstat(2) of its open descriptor, so that nobody can replace the file
 * between the check and its use.
 */
#include "file/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/streams.h"

int trusted_open(const char *path)
{
    int fd;

    streams_hold();
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    streams_release();
    return fd;
}

const char *trusted_fault(const struct stat *status, uid_t owner)
{
    if (!S_ISREG(status->st_mode))
        return "must be a plain file";
    if (status->st_uid != owner)
        return "must belong to the user that opens it";
    if ((status->st_mode & 07777) != 0600)
        return "must have mode 0600";
    if (status->st_nlink != 1)
        return "must have one name";
    return NULL;
}

static bool stat_parent(const char *path, struct stat *status_r)
{
    char directory[PATH_MAX];

    if (snprintf(directory, sizeof directory, "%s", path) >= (int)sizeof directory) {
        errno = ENAMETOOLONG;
        return false;
    }
    return stat(dirname(directory), status_r) == 0;
}

bool trusted_chown_to_parent(int fd, const char *path)
{
    struct stat status;

    if (geteuid() != 0)
        return true;
    return stat_parent(path, &status) && fchown(fd, status.st_uid, status.st_gid) == 0;
}

uid_t trusted_parent_owner(const char *path, uid_t fallback)
{
    struct stat status;

    return stat_parent(path, &status) ? status.st_uid : fallback;
}
