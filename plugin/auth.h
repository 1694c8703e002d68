/*
 * auth.h: one attempt from the client's words to the verdict: look up, verify, judge, record, answer.
 *
 * Knows nothing of SASL. The only place where an attempt becomes accepted.
 */
#ifndef PGSASL_AUTH_H
#define PGSASL_AUTH_H

#include <stdbool.h>

#include "address.h"
#include "verdict.h"
#include "wire.h"

struct backend;

/* What the mechanism and the host know about an attempt. Borrowed for the call. */
struct attempt {
    const struct credentials *credentials;
    const char *fault;       /* what wire.h found wrong with the message, NULL: nothing */
    const char *mechanism;   /* "PLAIN", "LOGIN" */
    struct address client;
    struct address server;
    const char *service;     /* "smtp"; NULL tolerated */
    const char *server_host; /* NULL tolerated */
    bool encrypted;          /* the host reports an external SSF */
    bool name_taken;         /* the host could canonicalise the name; without it nothing is accepted */
};

/*
 * Decides an attempt and, unless it is accepted, records it. Returns REASON_ACCEPTED or the first failing check. Blocks
 * for at most pgsasl_timeout_ms plus the password hashing.
 */
enum reason auth_attempt(struct backend *backend, const struct attempt *attempt);

#endif
