/*
 * auth.h: an attempt of a mechanism that transmits the password, from the client's message to the
 * verdict; and attempts that end before a user is looked up.
 *
 * Knows nothing of SASL.
 */
#ifndef PGSASL_AUTH_AUTH_H
#define PGSASL_AUTH_AUTH_H

#include "auth/attempt.h"
#include "auth/verdict.h"

struct backend;

/*
 * Decides an attempt and, unless it is accepted, records it. Returns REASON_ACCEPTED or the first
 * failing check. Blocks for at most pgsasl_timeout_ms plus the password hashing.
 */
enum reason auth_attempt(struct backend *backend, const struct attempt *attempt);

/*
 * Records an attempt that failed for a reason that needs no look-up: an exchange that the client
 * broke off, a mechanism that is not offered. detail may be NULL. Returns reason. Blocks for at
 * most pgsasl_timeout_ms.
 */
enum reason auth_refuse(
    struct backend *backend, const struct attempt *attempt, enum reason reason, const char *detail);

#endif
