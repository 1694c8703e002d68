/*
 * verdict.h: the possible verdicts on an attempt. reasons.def has the list of the reasons.
 *
 * A zeroed verdict is REASON_BACKEND_UNAVAILABLE, a temporary failure: code that forgets to decide
 * accepts nobody.
 */
#ifndef PGSASL_AUTH_VERDICT_H
#define PGSASL_AUTH_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The position of each reason in the order of the checks. */
enum check {
#define REASON(NAME, ...) CHECK_##NAME,
#include "auth/reasons.def"
    CHECK_COUNT
};

/* Numbers run in the order of the checks, around a ring that begins at backend_unavailable. */
#define REASON_NUMBER(check) ((CHECK_COUNT + (check) - CHECK_BACKEND_UNAVAILABLE) % CHECK_COUNT)

enum reason {
#define REASON(NAME, ...) REASON_##NAME = REASON_NUMBER(CHECK_##NAME),
#include "auth/reasons.def"
    REASON_COUNT = CHECK_COUNT,
    REASON_ACCEPTED = REASON_COUNT /* no check failed; reached by one path, in auth.c */
};

/* A set of reasons: bit (1 << reason). */
typedef uint32_t reason_set;

#define REASON_BIT(reason) ((reason_set)1 << (reason))

/*
 * The name in auth_failures.reason; a constant. "accepted" for REASON_ACCEPTED, and
 * "backend_unavailable" for a number that is not a reason.
 */
const char *reason_name(enum reason reason);

/*
 * The first reason of failed in the order of the checks; REASON_ACCEPTED for the empty set. A set
 * with only unknown bits is REASON_BACKEND_UNAVAILABLE.
 */
enum reason verdict_reason(reason_set failed);

/*
 * Iterates over failed in the order of the checks. Returns the reason of failed that comes after
 * `after`; the first one if that is REASON_ACCEPTED; REASON_ACCEPTED when there are no more:
 *
 *   for (reason = verdict_next(failed, REASON_ACCEPTED); reason != REASON_ACCEPTED;
 *        reason = verdict_next(failed, reason))
 *
 * Unknown bits are skipped.
 */
enum reason verdict_next(reason_set failed, enum reason after);

#endif
