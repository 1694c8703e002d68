/*
 * auth.h: one attempt from the client's words to the verdict: look up, verify, judge, record,
 * answer.
 *
 * Knows nothing of SASL. The only place where an attempt becomes accepted.
 */
#ifndef PGSASL_AUTH_AUTH_H
#define PGSASL_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "auth/verdict.h"
#include "auth/credentials.h"
#include "hash/hash.h"

struct backend;

/* What the mechanism and the host know about an attempt. Borrowed for the call. */
struct attempt {
    const struct credentials *credentials;
    const char *fault;     /* what wire.h found wrong with the message, NULL: nothing */
    const char *mechanism; /* "PLAIN", "LOGIN" */
    struct address client;
    struct address server;
    const char *service;     /* "smtp"; NULL tolerated */
    const char *server_host; /* NULL tolerated */
    bool encrypted;          /* the host reports an external SSF */
    bool canon_ok; /* the host could canonicalise the name; without it nothing is accepted */
};

/*
 * Decides an attempt and, unless it is accepted, records it. Returns REASON_ACCEPTED or the first
 * failing check. Blocks for at most pgsasl_timeout_ms plus the password hashing.
 */
enum reason auth_attempt(struct backend *backend, const struct attempt *attempt);

/* How PostgreSQL's SCRAM verifiers begin, and those that stock libscram takes (RFC 5803). */
#define AUTH_VERIFIER_PREFIX "SCRAM-SHA-256$"

enum { AUTH_VERIFIER_MAX = HASH_MAX };

/*
 * For a mechanism that is not ours and verifies by itself (SCRAM): makes all checks but the
 * password's, and on REASON_ACCEPTED copies the stored SCRAM verifier to verifier_r (cap at least
 * AUTH_VERIFIER_MAX), for the caller to wipe. Any other result is recorded as auth_attempt() does.
 * credentials holds no password.
 */
enum reason auth_verifier(
    struct backend *backend, const struct attempt *attempt, char *verifier_r, size_t cap);

#endif
