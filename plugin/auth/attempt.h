/*
 * attempt.h: what mechanism and host know about one AUTH.
 */
#ifndef PGSASL_AUTH_ATTEMPT_H
#define PGSASL_AUTH_ATTEMPT_H

#include <stdbool.h>
#include <time.h>

#include "auth/credentials.h"
#include "base/address.h"

/* Borrowed for the call. */
struct attempt {
    const struct credentials *credentials;
    const char *fault;        /* what the mechanism found wrong with the message; NULL: nothing */
    const char *mechanism;    /* "PLAIN", "LOGIN" */
    struct timespec began_at; /* CLOCK_REALTIME, when the exchange started */
    struct address client;
    struct address server;
    const char *service;     /* "smtp"; NULL tolerated */
    const char *server_host; /* NULL tolerated */
    bool encrypted;          /* the host reports an external SSF */
    bool canon_ok; /* the host could canonicalise the name; without it nothing is accepted */
};

#endif
