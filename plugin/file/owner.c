/*
 * owner.c: hands a file that root has made to the user in whose directory it lies.
 *
 * Only for a file that this process has just made, through its descriptor: nobody can have put
 * another one in its place. Fails by result, with errno.
 */
#include "file/owner.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool owner_as_directory(int fd, const char *path)
{
    char directory[PATH_MAX];
    struct stat status;

    if (geteuid() != 0)
        return true;
    if (snprintf(directory, sizeof directory, "%s", path) >= (int)sizeof directory) {
        errno = ENAMETOOLONG;
        return false;
    }
    return stat(dirname(directory), &status) == 0 && fchown(fd, status.st_uid, status.st_gid) == 0;
}
