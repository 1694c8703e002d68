/*
 * hosts.h: the hosts that a conninfo names, each with its addresses.
 *
 * libpq resolves names inside PQconnectPoll() with getaddrinfo(3), which has no deadline, and waits
 * for a silent host as long as TCP does. So connect.c reads the list from here and gives libpq one
 * resolved address at a time.
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
    int64_t silent_until_ms; /* it ran into a deadline: until then it is tried last */
};

struct name_lookup;

struct pg_host {
    char *name; /* NULL: libpq's default */
    char *port;
    bool resolved_by_us; /* a DNS name, neither an address nor a socket directory */
    char addresses[PG_TARGETS_MAX / 2][46];
    size_t address_count;
    struct name_lookup *pending; /* not answered yet; NULL: none */
};

struct pg_hosts {
    struct pg_host host[PG_HOSTS_MAX];
    size_t host_count;
    int64_t resolved_at_ms;
    struct pg_target target[PG_TARGETS_MAX];
    size_t target_count;
};

/*
 * Splits libpq's comma-separated lists; each may be NULL. A name with an entry in hostaddr gets
 * that address. False: no memory, or more than PG_HOSTS_MAX hosts. Whatever is returned, free
 * *hosts_r with pg_hosts_free().
 */
bool pg_hosts_split(
    struct pg_hosts *hosts_r, const char *host, const char *hostaddr, const char *port);

/*
 * Looks the names up by deadline, unless that was done in the last 5 s, and lists the targets. A
 * name that cannot be looked up now keeps the addresses it had; one without any is not listed.
 */
void pg_hosts_resolve(struct pg_hosts *hosts, struct deadline deadline);

/* Frees the contents. A look-up that is still running ends by itself. */
void pg_hosts_free(struct pg_hosts *hosts);

#endif
