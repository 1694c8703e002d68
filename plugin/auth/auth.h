/*
 * auth.h: one attempt from the client's words to the verdict: look up, verify, judge, record,
 * answer.
 *
 * Knows nothing of SASL. The only place where an attempt becomes accepted.
 */
#ifndef PGSASL_AUTH_AUTH_H
#define PGSASL_AUTH_AUTH_H

#include <stddef.h>

#include "auth/attempt.h"
#include "auth/verdict.h"
#include "hash/hash.h"

struct backend;

/*
 * Decides an attempt and, unless it is accepted, records it. Returns REASON_ACCEPTED or the first
 * failing check. Blocks for at most pgsasl_timeout_ms plus the password hashing.
 */
enum reason auth_attempt(struct backend *backend, const struct attempt *attempt);

/* The beginning of PostgreSQL's SCRAM verifiers, which stock libscram takes too (RFC 5803). */
#define AUTH_VERIFIER_PREFIX "SCRAM-SHA-256$"

enum { AUTH_VERIFIER_MAX = HASH_MAX };

/*
 * For a mechanism that is not ours and verifies by itself (SCRAM): makes all checks except the
 * password's, and on REASON_ACCEPTED copies the stored SCRAM verifier to verifier_r (cap at least
 * AUTH_VERIFIER_MAX), for the caller to wipe. Any other result is recorded as auth_attempt() does.
 * credentials holds no password.
 */
enum reason auth_verifier(
    struct backend *backend, const struct attempt *attempt, char *verifier_r, size_t cap);

#endif
