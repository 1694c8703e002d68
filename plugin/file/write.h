/*
 * write.h: changes files without a signal to the process.
 *
 * Past RLIMIT_FSIZE the kernel sends SIGXFSZ, which ends a process by default. Here it is an error
 * (EFBIG) like that of a full disk. Signal dispositions are left alone, and the thread's mask is
 * what it was before; a signal that the host itself was sent stays pending. Each fails by result,
 * with errno; none waits for the disk.
 */
#ifndef PGSASL_FILE_WRITE_H
#define PGSASL_FILE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes all count bytes at the offset. False: some of them may be there. */
bool file_write(int fd, const void *bytes, size_t count, off_t at);

/* Cuts the file to size, or extends it with a hole. */
bool file_resize(int fd, off_t size);

/* Extends the file to size, with room on the disk for all of it. */
bool file_allocate(int fd, off_t size);

#endif
