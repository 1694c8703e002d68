/*
 * pg_hosts.c: splits the host lists of a conninfo and resolves names under a deadline.
 *
 * Names go through getaddrinfo_a(3), whose helper thread is the C library's own. A look-up that
 * does not end in time is kept and asked again at the next connect, never started twice. Fails by
 * listing fewer targets.
 */
#include "pg_hosts.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FRESH_MS = 5000 };

static int64_t now_ms(void)
{
    return deadline_in(0).at_ms;
}

/* The item of a comma-separated list, as a new string; the last one where index is past a list of
 * one. */
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

static void keep_address(struct pg_host *host, const char *address)
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
        keep_address(host, address);
    else if (host->name != NULL && is_address(host->name))
        keep_address(host, host->name);
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

/* Everything that one getaddrinfo_a(3) points at, in one piece, so that it can be left behind
 * whole. */
struct name_lookup {
    struct gaicb request;
    struct addrinfo hints;
    char name[];
};

static void free_lookup(struct name_lookup *lookup)
{
    if (lookup->request.ar_result != NULL)
        freeaddrinfo(lookup->request.ar_result);
    free(lookup);
}

static struct name_lookup *start_lookup(const char *name)
{
    struct name_lookup *lookup = calloc(1, sizeof *lookup + strlen(name) + 1);
    struct gaicb *request;

    if (lookup == NULL)
        return NULL;
    strcpy(lookup->name, name);
    lookup->hints.ai_socktype = SOCK_STREAM;
    lookup->request.ar_name = lookup->name;
    lookup->request.ar_request = &lookup->hints;
    request = &lookup->request;
    if (getaddrinfo_a(GAI_NOWAIT, &request, 1, NULL) != 0) {
        free_lookup(lookup);
        return NULL;
    }
    return lookup;
}

static bool wait_for(struct name_lookup *lookup, struct deadline deadline)
{
    const struct gaicb *const list[] = {&lookup->request};

    while (gai_error(&lookup->request) == EAI_INPROGRESS) {
        int left = deadline_left_ms(deadline);
        struct timespec wait = {left / 1000, left % 1000 * 1000000L};

        if (left == 0)
            return false;
        gai_suspend(list, 1, &wait);
    }
    return true;
}

static void take_addresses(struct pg_host *host, const struct addrinfo *found)
{
    char text[INET6_ADDRSTRLEN];

    host->address_count = 0;
    for (; found != NULL; found = found->ai_next)
        if (getnameinfo(
                found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            keep_address(host, text);
}

static void resolve_host(struct pg_host *host, struct deadline deadline)
{
    if (host->pending == NULL)
        host->pending = start_lookup(host->name);
    if (host->pending == NULL || !wait_for(host->pending, deadline))
        return;
    if (gai_error(&host->pending->request) == 0)
        take_addresses(host, host->pending->request.ar_result);
    free_lookup(host->pending);
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
    if (host->pending != NULL && gai_cancel(&host->pending->request) != EAI_NOTCANCELED)
        free_lookup(host->pending);
    free(host->name);
    free(host->port);
}

void pg_hosts_free(struct pg_hosts *hosts)
{
    for (size_t i = 0; i < hosts->host_count; i++)
        free_host(&hosts->host[i]);
    memset(hosts, 0, sizeof *hosts);
}
