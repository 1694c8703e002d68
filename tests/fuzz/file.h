/*
 * file.h: files with any contents, for the fuzzers of code that reads files. They are in /dev/shm.
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

/* The path of one of the files, which need not exist. */
static inline const char *file_path(int which)
{
    if (file_paths[0][0] == '\0')
        atexit(file_remove_all);
    snprintf(file_paths[which], sizeof file_paths[which], "/dev/shm/pgsasl-fuzz.%ld.%d",
        (long)getpid(), which);
    return file_paths[which];
}

/* Creates the file, empty, with mode 0600. Returns its descriptor. */
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

/* Whether the file contains exactly these bytes. */
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
