/*
 * address.c: turns the host's "address;port" into text that PostgreSQL's inet accepts.
 *
 * The result is written by inet_ntop(3), so no byte of the host's string reaches SQL or a log. A
 * port that is absent or not a number ("unknown" in Postfix) becomes 0; the address is still used.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { PORT_MAX = 65535 };

_Static_assert(sizeof(((struct address *)0)->text) >= INET6_ADDRSTRLEN, "an address must fit");

static unsigned parse_port(const char *text)
{
    unsigned port = 0;

    for (; *text >= '0' && *text <= '9' && port <= PORT_MAX; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return *text == '\0' && port <= PORT_MAX ? port : 0;
}

/* Writes the address in its canonical form. False: host is not an address. */
static bool canonicalize(const char *host, char *out, socklen_t cap)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, host, &four) == 1)
        return inet_ntop(AF_INET, &four, out, cap) != NULL;
    if (inet_pton(AF_INET6, host, &six) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return inet_ntop(AF_INET, six.s6_addr + 12, out, cap) != NULL;
    return inet_ntop(AF_INET6, &six, out, cap) != NULL;
}

bool address_parse(const char *ip_port, struct address *address_r)
{
    char host[INET6_ADDRSTRLEN];
    const char *port;
    size_t host_len;

    memset(address_r, 0, sizeof *address_r);
    if (ip_port == NULL)
        return false;
    host_len = strcspn(ip_port, "%;");
    if (host_len >= sizeof host)
        return false;
    memcpy(host, ip_port, host_len);
    host[host_len] = '\0';
    if (!canonicalize(host, address_r->text, sizeof address_r->text)) {
        address_r->text[0] = '\0';
        return false;
    }
    port = strchr(ip_port, ';');
    address_r->port = port == NULL ? 0 : parse_port(port + 1);
    return true;
}
