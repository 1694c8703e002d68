/*
 * hosts.c: splits the host lists of a conninfo and resolves names under a deadline.
 *
 * getaddrinfo(3) has no deadline, so a thread of its own calls it, with all signals blocked, and
 * ends with the answer. getaddrinfo_a(3) cannot be used: in a child that is forked soon after a
 * look-up it never answers. A look-up that does not end in time goes on: the next connect waits for
 * it again and starts no second one. A failure shows as fewer targets.
 */
#include "pg/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/streams.h"

enum { FRESH_MS = 5000 }; /* for so long addresses are not looked up again */

static int64_t now_ms(void)
{
    return deadline_in(0).at_ms;
}

/*
 * A copy of an item of a comma-separated list. A list of one item has it at every index, as for
 * libpq.
 */
static char *list_item(const char *list, size_t index)
{
    const char *at = list;

    if (list == NULL)
        return NULL;
    if (strchr(list, ',') == NULL)
        return strdup(list);
    for (; index > 0; index--) {
        at = strchr(at, ',');
        if (at == NULL)
            return strdup("");
        at++;
    }
    return strndup(at, strcspn(at, ","));
}

static size_t list_length(const char *list)
{
    size_t length = 1;

    if (list == NULL || *list == '\0')
        return 0;
    for (; (list = strchr(list, ',')) != NULL; list++)
        length++;
    return length;
}

static bool is_address(const char *text)
{
    unsigned char ignored[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, ignored) == 1 || inet_pton(AF_INET6, text, ignored) == 1;
}

static bool is_name(const char *host)
{
    return host != NULL && *host != '\0' && *host != '/' && *host != '@' && !is_address(host);
}

static void add_address(struct pg_host *host, const char *address)
{
    if (host->address_count < sizeof host->addresses / sizeof *host->addresses &&
        strlen(address) < sizeof *host->addresses)
        strcpy(host->addresses[host->address_count++], address);
}

static bool split_one(
    struct pg_host *host, const char *hosts, const char *addresses, const char *ports, size_t i)
{
    char *address = i < list_length(addresses) ? list_item(addresses, i) : NULL;

    host->name = i < list_length(hosts) ? list_item(hosts, i) : NULL;
    host->port = list_item(ports, i);
    if (address != NULL && *address != '\0')
        add_address(host, address);
    else if (host->name != NULL && is_address(host->name))
        add_address(host, host->name);
    else
        host->resolved_by_us = is_name(host->name);
    free(address);
    return (hosts == NULL || host->name != NULL || i >= list_length(hosts)) &&
           (ports == NULL || host->port != NULL);
}

bool pg_hosts_split(
    struct pg_hosts *hosts_r, const char *host, const char *hostaddr, const char *port)
{
    size_t count =
        list_length(host) > list_length(hostaddr) ? list_length(host) : list_length(hostaddr);

    memset(hosts_r, 0, sizeof *hosts_r);
    if (count == 0)
        count = 1; /* libpq's default: PGHOST, or the local socket */
    if (count > PG_HOSTS_MAX)
        return false;
    for (; hosts_r->host_count < count; hosts_r->host_count++)
        if (!split_one(
                &hosts_r->host[hosts_r->host_count], host, hostaddr, port, hosts_r->host_count)) {
            hosts_r->host_count++;
            return false;
        }
    return true;
}

/*
 * One call of the resolver. The thread that makes it and the host that waits for it have a
 * reference each; the last one frees it.
 */
struct name_lookup {
    atomic_int references;
    atomic_bool answered;
    sem_t wake;
    pid_t owner; /* a thread is not inherited by a forked child */
    struct addrinfo *found;
    char name[];
};

static void lookup_unref(struct name_lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->references, 1) > 1)
        return;
    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    sem_destroy(&lookup->wake);
    free(lookup);
}

static void *resolve_in_thread(void *argument)
{
    struct name_lookup *lookup = argument;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    streams_hold();
    if (getaddrinfo(lookup->name, NULL, &hints, &lookup->found) != 0)
        lookup->found = NULL;
    streams_release();
    lookup->answered = true;
    sem_post(&lookup->wake);
    lookup_unref(lookup);
    return NULL;
}

/* The thread blocks all signals, so that the host's are not delivered to it. */
static bool start_thread(struct name_lookup *lookup)
{
    sigset_t all, before;
    pthread_attr_t detached;
    pthread_t thread;
    bool started;

    if (pthread_attr_init(&detached) != 0)
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0 &&
              pthread_create(&thread, &detached, resolve_in_thread, lookup) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return started;
}

static struct name_lookup *start_lookup(const char *name)
{
    struct name_lookup *lookup = calloc(1, sizeof *lookup + strlen(name) + 1);

    if (lookup == NULL)
        return NULL;
    strcpy(lookup->name, name);
    lookup->owner = getpid();
    lookup->references = 2;
    sem_init(&lookup->wake, 0, 0);
    if (start_thread(lookup))
        return lookup;
    lookup->references = 1;
    lookup_unref(lookup);
    return NULL;
}

static bool wait_for(struct name_lookup *lookup, struct deadline deadline)
{
    const struct timespec until = {deadline.at_ms / 1000, deadline.at_ms % 1000 * 1000000L};

    while (!lookup->answered)
        if (sem_clockwait(&lookup->wake, CLOCK_MONOTONIC, &until) != 0 && errno != EINTR)
            return lookup->answered;
    return true;
}

/*
 * In a forked child the parent's thread does not exist: the answer never comes, and the look-up,
 * which that thread may have been writing, is leaked.
 */
static void drop_inherited(struct pg_host *host)
{
    if (host->pending != NULL && host->pending->owner != getpid())
        host->pending = NULL;
}

static void replace_addresses(struct pg_host *host, const struct addrinfo *found)
{
    char text[INET6_ADDRSTRLEN];

    host->address_count = 0;
    for (; found != NULL; found = found->ai_next)
        if (getnameinfo(
                found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            add_address(host, text);
}

static void resolve_host(struct pg_host *host, struct deadline deadline)
{
    drop_inherited(host);
    if (host->pending == NULL)
        host->pending = start_lookup(host->name);
    if (host->pending == NULL || !wait_for(host->pending, deadline))
        return;
    if (host->pending->found != NULL)
        replace_addresses(host, host->pending->found);
    lookup_unref(host->pending);
    host->pending = NULL;
}

static void add_target(struct pg_hosts *hosts, const struct pg_host *host, const char *address)
{
    struct pg_target *target;

    if (hosts->target_count == PG_TARGETS_MAX)
        return;
    target = &hosts->target[hosts->target_count++];
    target->host = host->name;
    target->port = host->port;
    target->hostaddr = address;
    target->silent_until_ms = 0;
}

static void list_targets(struct pg_hosts *hosts)
{
    hosts->target_count = 0;
    for (size_t i = 0; i < hosts->host_count; i++) {
        const struct pg_host *host = &hosts->host[i];

        for (size_t k = 0; k < host->address_count; k++)
            add_target(hosts, host, host->addresses[k]);
        if (host->address_count == 0 && !host->resolved_by_us)
            add_target(hosts, host, NULL);
    }
}

void pg_hosts_resolve(struct pg_hosts *hosts, struct deadline deadline)
{
    bool any = false;
    bool fresh = hosts->target_count > 0 && now_ms() - hosts->resolved_at_ms < FRESH_MS;

    for (size_t i = 0; i < hosts->host_count && !fresh; i++)
        if (hosts->host[i].resolved_by_us) {
            resolve_host(&hosts->host[i],
                deadline_in(deadline_left_ms(deadline) / (int)(hosts->host_count - i + 1)));
            any = true;
        }
    if (any)
        hosts->resolved_at_ms = now_ms();
    if (any || hosts->target_count == 0)
        list_targets(hosts);
}

static void free_host(struct pg_host *host)
{
    drop_inherited(host);
    if (host->pending != NULL)
        lookup_unref(host->pending);
    free(host->name);
    free(host->port);
}

void pg_hosts_free(struct pg_hosts *hosts)
{
    for (size_t i = 0; i < hosts->host_count; i++)
        free_host(&hosts->host[i]);
    memset(hosts, 0, sizeof *hosts);
}
