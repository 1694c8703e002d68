/*
 * address.h: turns the host's "address;port" into text that PostgreSQL's inet accepts.
 *
 * Cyrus SASL gives addresses as iplocalport and ipremoteport (sasl_server_new(3)). An IPv4 address
 * mapped into IPv6 becomes plain IPv4; a scope (%eth0) is removed.
 */
#ifndef PGSASL_BASE_ADDRESS_H
#define PGSASL_BASE_ADDRESS_H

#include <stdbool.h>

struct address {
    char text[46]; /* INET6_ADDRSTRLEN; empty when the host gave none */
    unsigned port; /* 0 when the host gave none */
};

/* NULL or unreadable ip_port leaves *address_r empty and returns false. */
bool address_parse(const char *ip_port, struct address *address_r);

#endif
