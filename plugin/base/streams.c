/*
 * streams.c: puts placeholders into those of descriptors 0 to 2 that are closed.
 *
 * A placeholder is the root directory opened with O_PATH: that needs no file and no permission in a
 * chroot, and read(2) and write(2) on it fail with EBADF as on a closed descriptor. If the host
 * replaces a placeholder by something of its own, that is not closed.
 */
#include "base/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

enum { STREAMS = 3 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned holders;
static bool filled[STREAMS];

static void fill(void)
{
    for (int fd = 0; fd < STREAMS; fd++) {
        int opened;

        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        opened = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (opened >= 0 && opened < STREAMS)
            filled[opened] = true;
        else if (opened >= 0)
            close(opened);
    }
}

static void clear(void)
{
    for (int fd = 0; fd < STREAMS; fd++) {
        int flags = filled[fd] ? fcntl(fd, F_GETFL) : -1;

        if (flags >= 0 && (flags & O_PATH) != 0)
            close(fd);
        filled[fd] = false;
    }
}

void streams_hold(void)
{
    int saved = errno;

    pthread_mutex_lock(&mutex);
    if (holders++ == 0)
        fill();
    pthread_mutex_unlock(&mutex);
    errno = saved;
}

void streams_release(void)
{
    int saved = errno;

    pthread_mutex_lock(&mutex);
    if (--holders == 0)
        clear();
    pthread_mutex_unlock(&mutex);
    errno = saved;
}

void streams_forked(void)
{
    pthread_mutex_init(&mutex, NULL);
    holders = 0;
    clear();
}
