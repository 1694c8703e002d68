/*
 * hosts.h: the places that a conninfo names, each with its addresses.
 *
 * libpq resolves names inside PQconnectPoll() with getaddrinfo(3), which knows no deadline, and
 * waits on one silent host as long as TCP does. So pg.c takes the list from here and gives libpq
 * one resolved address at a time.
 */
#ifndef PGSASL_PG_HOSTS_H
#define PGSASL_PG_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"

enum { PG_TARGETS_MAX = 32, PG_HOSTS_MAX = 16 };

/* One address to try. Strings are owned by the list; NULL leaves the choice to libpq. */
struct pg_target {
    const char *host;
    const char *hostaddr;
    const char *port;
    int64_t silent_until_ms; /* it ran into a deadline: the others go first until then */
};

struct name_lookup;

struct pg_host {
    char *name; /* NULL: libpq's default */
    char *port;
    bool resolved_by_us; /* a DNS name, neither an address nor a socket directory */
    char addresses[PG_TARGETS_MAX / 2][46];
    size_t address_count;
    struct name_lookup *pending; /* asked, not answered yet */
};

struct pg_hosts {
    struct pg_host host[PG_HOSTS_MAX];
    size_t host_count;
    int64_t resolved_at_ms;
    struct pg_target target[PG_TARGETS_MAX];
    size_t target_count;
};

/*
 * Splits libpq's comma-separated lists; each may be NULL. A name with an entry in hostaddr keeps
 * that address. False: no memory, or more than PG_HOSTS_MAX hosts. *hosts_r must be given to
 * pg_hosts_free() whatever is returned.
 */
bool pg_hosts_split(
    struct pg_hosts *hosts_r, const char *host, const char *hostaddr, const char *port);

/*
 * Looks the names up by deadline, unless that was done a moment ago, and lists the targets. A name
 * that cannot be looked up now keeps the addresses it had; one that never had any is not listed.
 */
void pg_hosts_resolve(struct pg_hosts *hosts, struct deadline deadline);

/* Frees what is inside. A look-up that is still under way ends by itself. */
void pg_hosts_free(struct pg_hosts *hosts);

#endif
