/*
 * deadline.c: points in time on the monotonic clock.
 *
 * A change of the wall clock neither shortens nor stretches an attempt. Sums saturate instead of
 * overflowing. A clock that cannot be read always reads 0, so a deadline then never comes nearer.
 */
#include "base/deadline.h"

#include <limits.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct deadline deadline_in(int64_t timeout_ms)
{
    struct deadline deadline;

    if (__builtin_add_overflow(now_ms(), timeout_ms, &deadline.at_ms))
        deadline.at_ms = INT64_MAX; /* now is not negative, so only a large sum overflows */
    return deadline;
}

int deadline_left_ms(struct deadline deadline)
{
    int64_t now = now_ms();

    if (deadline.at_ms <= now)
        return 0;
    return deadline.at_ms - now > INT_MAX ? INT_MAX : (int)(deadline.at_ms - now);
}

struct deadline deadline_within(struct deadline deadline, int64_t timeout_ms)
{
    struct deadline nearer = deadline_in(timeout_ms);

    return nearer.at_ms < deadline.at_ms ? nearer : deadline;
}
