/*
 * write.c: file operations that RLIMIT_FSIZE cannot turn into a signal.
 *
 * The kernel sends SIGXFSZ to the thread that goes past the limit, so it is blocked in this thread
 * alone, fetched where it came, and the mask put back. Looking at the limit beforehand won't do:
 * another thread may change it in between.
 */
#include "file/write.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

struct shield {
    sigset_t mask; /* of the thread before */
    bool pending;  /* one was pending already, and is not ours */
};

static void of_limit(sigset_t *set_r)
{
    sigemptyset(set_r);
    sigaddset(set_r, SIGXFSZ);
}

static void raise_shield(struct shield *shield_r)
{
    sigset_t limit, pending;

    of_limit(&limit);
    sigpending(&pending);
    shield_r->pending = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &limit, &shield_r->mask);
}

/* error: what the operation failed with, 0 where it did not. Leaves it in errno. */
static void lower_shield(const struct shield *shield, int error)
{
    const struct timespec at_once = {0};
    sigset_t limit;

    of_limit(&limit);
    if (error == EFBIG && !shield->pending)
        while (sigtimedwait(&limit, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &shield->mask, NULL);
    errno = error;
}

static bool write_all(int fd, const char *bytes, size_t count, off_t at)
{
    while (count > 0) {
        ssize_t written = pwrite(fd, bytes, count, at);

        if (written == 0)
            errno = EIO;
        if (written <= 0 && !(written < 0 && errno == EINTR))
            return false;
        if (written > 0) {
            bytes += written;
            at += written;
            count -= (size_t)written;
        }
    }
    return true;
}

bool file_write(int fd, const void *bytes, size_t count, off_t at)
{
    struct shield shield;
    bool done;

    raise_shield(&shield);
    done = write_all(fd, bytes, count, at);
    lower_shield(&shield, done ? 0 : errno);
    return done;
}

bool file_resize(int fd, off_t size)
{
    struct shield shield;
    bool done;

    raise_shield(&shield);
    done = ftruncate(fd, size) == 0;
    lower_shield(&shield, done ? 0 : errno);
    return done;
}

bool file_allocate(int fd, off_t size)
{
    struct shield shield;
    int error;

    raise_shield(&shield);
    error = posix_fallocate(fd, 0, size);
    lower_shield(&shield, error);
    return error == 0;
}
