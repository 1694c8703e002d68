/*
 * streams.h: keeps the numbers of the standard streams free of our descriptors.
 *
 * A host may run with descriptors 0, 1 and 2 closed. The kernel gives the lowest free number to
 * whatever is opened next, and what the host then writes to its standard error would go to our
 * spool, or to the database. So everything here that opens a descriptor does so between
 * streams_hold() and streams_release().
 */
#ifndef PGSASL_BASE_STREAMS_H
#define PGSASL_BASE_STREAMS_H

/*
 * Until the matching streams_release(), no descriptor of this process gets a number below 3. Those
 * that are open stay as they are; those that are closed still answer EBADF to whoever reads or
 * writes. Nests, and may be called by several threads. Costs three system calls, and no lock is
 * held in between.
 */
void streams_hold(void);

/* After the last one the closed descriptors are closed again. */
void streams_release(void);

/* In a forked child: ends what another thread of the parent held. */
void streams_forked(void);

#endif
