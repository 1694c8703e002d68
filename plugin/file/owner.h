/*
 * owner.h: whose a file is that root has made.
 *
 * Exim starts libsasl as root in its daemon, and again as its own user in each AUTH. A file that
 * the first start makes has to be of use to the second.
 */
#ifndef PGSASL_FILE_OWNER_H
#define PGSASL_FILE_OWNER_H

#include <stdbool.h>

/*
 * Gives the new file fd to the owner and group of the directory that path lies in, where this
 * process is root; as any other user does nothing. False: errno says why not.
 */
bool owner_as_directory(int fd, const char *path);

#endif
