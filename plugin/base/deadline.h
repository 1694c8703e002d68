/*
 * deadline.h: one point in time that all database work of one attempt shares.
 *
 * Monotonic, in milliseconds. Passed by value; nothing here blocks or fails.
 */
#ifndef PGSASL_BASE_DEADLINE_H
#define PGSASL_BASE_DEADLINE_H

#include <stdint.h>

struct deadline {
    int64_t at_ms; /* CLOCK_MONOTONIC, milliseconds */
};

/* The point timeout_ms from now. */
struct deadline deadline_in(int64_t timeout_ms);

/* Milliseconds left, 0 when it has passed; never more than INT_MAX, so poll(2) accepts it. */
int deadline_left_ms(struct deadline deadline);

/* The earlier of deadline and the point timeout_ms from now. */
struct deadline deadline_within(struct deadline deadline, int64_t timeout_ms);

#endif
