/*
 * verdict.c: the names of the reasons, and the order in which failed checks count.
 *
 * Both come from reasons.def. A number or a bit that is not a reason counts as
 * REASON_BACKEND_UNAVAILABLE, a temporary failure, never as an acceptance.
 */
#include "auth/verdict.h"

#include <string.h>

static const char *const names[REASON_COUNT] = {
#define REASON(NAME, name, ...) [REASON_##NAME] = #name,
#include "auth/reasons.def"
};

static const enum reason order[] = {
#define REASON(NAME, ...) REASON_##NAME,
#include "auth/reasons.def"
};

_Static_assert(REASON_BACKEND_UNAVAILABLE == 0, "a zeroed verdict is a temporary failure");
_Static_assert(REASON_COUNT <= 32, "each reason has one bit");

const char *reason_name(enum reason reason)
{
    if (reason == REASON_ACCEPTED)
        return "accepted";
    return (unsigned)reason < REASON_COUNT ? names[reason] : names[REASON_BACKEND_UNAVAILABLE];
}

enum reason verdict_next(reason_set failed, enum reason after)
{
    bool passed = after == REASON_ACCEPTED;

    for (size_t i = 0; i < REASON_COUNT; i++) {
        if (passed && (failed & REASON_BIT(order[i])) != 0)
            return order[i];
        passed = passed || order[i] == after;
    }
    return REASON_ACCEPTED;
}

enum reason verdict_reason(reason_set failed)
{
    enum reason first = verdict_next(failed, REASON_ACCEPTED);

    return failed != 0 && first == REASON_ACCEPTED ? REASON_BACKEND_UNAVAILABLE : first;
}
