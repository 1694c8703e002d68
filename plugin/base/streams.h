/*
 * streams.h: keeps our descriptors out of the numbers of the standard streams.
 *
 * A host may run with descriptors 0, 1 and 2 closed. The kernel gives the lowest free number to the
 * next file or socket that is opened, and what the host then writes to its standard error would go
 * to our spool, or to the database. So all code of the plugin that opens a descriptor does so
 * between streams_hold() and streams_release().
 */
#ifndef PGSASL_BASE_STREAMS_H
#define PGSASL_BASE_STREAMS_H

/*
 * Until the matching streams_release(), no new descriptor of this process gets a number below 3.
 * Those that are open stay as they are; reading or writing those that are closed still fails with
 * EBADF. Calls may nest and may come from several threads. Costs three system calls; no lock stays
 * locked in between.
 */
void streams_hold(void);

/* Ends one streams_hold(). The last one closes the placeholders. */
void streams_release(void);

/* In a forked child: ends the streams_hold() of the parent's other threads. */
void streams_forked(void);

#endif
