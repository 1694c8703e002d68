/*
 * hosts.c: any three lists, one on each line, instead of a connection string's host, hostaddr and
 * port. No name is looked up.
 */
#include "pg/hosts.h"

#include "fuzz.h"

/* The line's text, NULL where it is missing; *rest_io is what follows. */
static const char *take_line(char **rest_io)
{
    char *line = *rest_io;
    char *end = line == NULL ? NULL : strchr(line, '\n');

    if (end != NULL)
        *end++ = '\0';
    *rest_io = end;
    return line;
}

static void check_host(const struct pg_host *host)
{
    const size_t most = sizeof host->addresses / sizeof *host->addresses;

    MUST(host->pending == NULL && host->address_count <= most);
    MUST(host->name == NULL || strchr(host->name, ',') == NULL);
    MUST(host->port == NULL || strchr(host->port, ',') == NULL);
    MUST(!host->resolved_by_us || (host->name != NULL && host->address_count == 0));
    for (size_t i = 0; i < host->address_count; i++)
        MUST(memchr(host->addresses[i], '\0', sizeof host->addresses[i]) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);
    char *rest = text;
    const char *host = take_line(&rest);
    const char *hostaddr = take_line(&rest);
    const char *port = take_line(&rest);
    struct pg_hosts hosts;

    if (pg_hosts_split(&hosts, host, hostaddr, port)) {
        MUST(hosts.host_count >= 1 && hosts.host_count <= PG_HOSTS_MAX);
        for (size_t i = 0; i < hosts.host_count; i++)
            check_host(&hosts.host[i]);
    }
    pg_hosts_free(&hosts);
    free(text);
    return 0;
}
