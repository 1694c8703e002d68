/*
 * verdict.h: what an attempt can come to, in the order in which the checks count.
 *
 * A zeroed verdict is REASON_BACKEND_UNAVAILABLE, a temporary failure: nothing is accepted by
 * forgetting to decide.
 */
#ifndef PGSASL_AUTH_VERDICT_H
#define PGSASL_AUTH_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reason {
    REASON_BACKEND_UNAVAILABLE = 0,
    /* From here on in order: the first failing check is the reason of the audit row. */
    REASON_MALFORMED_RESPONSE,
    REASON_AUTHZID_MISMATCH,
    REASON_TLS_REQUIRED,
    REASON_THROTTLED,
    REASON_DELETED_USER,
    REASON_USERNAME_HAS_AT,
    REASON_USERNAME_WHITESPACE,
    REASON_UNKNOWN_USER,
    REASON_ACCOUNT_CLOSED,
    REASON_ACCOUNT_SUSPENDED,
    REASON_ACCOUNT_PAST_DUE,
    REASON_DISABLED_USER,
    REASON_UNUSABLE_HASH,
    REASON_STALE_PASSWORD,
    REASON_PASSWORD_WHITESPACE,
    REASON_WRONG_PASSWORD,
    REASON_IP_NOT_AUTHORIZED,
    REASON_COUNT,
    REASON_ACCEPTED = REASON_COUNT /* no check failed; reached by one path, in auth.c */
};

/* A set of reasons: bit (1 << reason). */
typedef uint32_t reason_set;

#define REASON_BIT(reason) ((reason_set)1 << (reason))

enum { VERDICT_CHECKS_MAX = 512 }; /* octets that hold any verdict_checks_text() */

/* The name that stands in auth_failures.reason; a constant. "accepted" for REASON_ACCEPTED. */
const char *reason_name(enum reason reason);

/*
 * The first reason of failed in the order above; REASON_ACCEPTED for the empty set. Where the
 * backend was out and no check before the look-up had failed, that is REASON_BACKEND_UNAVAILABLE.
 */
enum reason verdict_reason(reason_set failed);

/*
 * Writes failed as a PostgreSQL array literal, "{deleted_user,wrong_password}", in the order of the
 * checks (backend_unavailable where the look-up stands). cap: VERDICT_CHECKS_MAX.
 */
void verdict_checks_text(reason_set failed, char *out, size_t cap);

#endif
