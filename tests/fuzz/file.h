/*
 * file.h: files of any contents, for the fuzzers of what reads one. They lie on /dev/shm.
 */
#ifndef PGSASL_FUZZ_FILE_H
#define PGSASL_FUZZ_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { FILES = 2 };

static char file_paths[FILES][64];

static void file_remove_all(void)
{
    for (int i = 0; i < FILES; i++)
        if (file_paths[i][0] != '\0')
            unlink(file_paths[i]);
}

/* The path of one of the files, which need not be there. */
static inline const char *file_path(int which)
{
    if (file_paths[0][0] == '\0')
        atexit(file_remove_all);
    snprintf(file_paths[which], sizeof file_paths[which], "/dev/shm/pgsasl-fuzz.%ld.%d",
        (long)getpid(), which);
    return file_paths[which];
}

/* Makes it, empty, mode 0600, and returns a descriptor of it. */
static inline int file_make(int which)
{
    int fd = open(file_path(which), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0);
    return fd;
}

static inline void file_put(int fd, const void *bytes, size_t count, off_t at)
{
    MUST(pwrite(fd, bytes, count, at) == (ssize_t)count);
}

/* Whether the file holds the bytes and nothing else. */
static inline int file_is(int fd, const void *bytes, size_t count)
{
    char *found = malloc(count + 1);
    int same;

    MUST(found != NULL);
    same = pread(fd, found, count + 1, 0) == (ssize_t)count && memcmp(found, bytes, count) == 0;
    free(found);
    return same;
}

#endif
