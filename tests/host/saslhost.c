/*
 * saslhost.c: a small SASL server program, for running the module without a mail server.
 *
 * usage: saslhost CONFIG-DIRECTORY APP COUNT USER PASSWORD
 *
 * Loads the plugins of $SASL_PATH, makes COUNT attempts with PLAIN and COUNT with LOGIN (every
 * tenth LOGIN is left in the middle), and prints how often each SASL code came. Exit status 0 when
 * every finished attempt got the same code.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host.h"

int main(int argc, char **argv)
{
    int first;
    int other = 0;

    if (argc != 6) {
        fprintf(stderr, "usage: saslhost CONFIG-DIRECTORY APP COUNT USER PASSWORD\n");
        return 2;
    }
    if (host_begin(argv[1], argv[2]) != SASL_OK)
        return 2;
    first = host_plain(argv[4], argv[5]);
    for (int i = 1; i < atoi(argv[3]); i++)
        other += host_plain(argv[4], argv[5]) != first;
    for (int i = 0; i < atoi(argv[3]); i++) {
        bool leave = i % 10 == 9;

        other += host_login(argv[4], argv[5], leave) != (leave ? SASL_CONTINUE : first);
    }
    sasl_done();
    printf("code %d, other %d\n", first, other);
    return other != 0;
}
