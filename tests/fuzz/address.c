/*
 * address.c: any text instead of the host's address and port.
 */
#include "base/address.h"

#include <arpa/inet.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char ignored[sizeof(struct in6_addr)];
    char *ip_port = string_of(data, size);
    struct address found;

    if (address_parse(ip_port, &found))
        MUST(inet_pton(AF_INET, found.text, ignored) == 1 ||
             inet_pton(AF_INET6, found.text, ignored) == 1);
    else
        MUST(found.text[0] == '\0' && found.port == 0);
    MUST(found.port <= UINT16_MAX);
    free(ip_port);
    return 0;
}
