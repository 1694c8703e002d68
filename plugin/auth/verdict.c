/*
 * verdict.c: the order of the checks, and their names.
 *
 * Both stand in one table. What it does not know, a reason out of range or a stray bit, reads as a
 * backend that was out: a temporary failure, never an acceptance.
 */
#include "auth/verdict.h"

#include <string.h>

/* In the order that counts. The look-up is where the backend can be out: what comes before it did
 * not need it. */
static const struct check {
    enum reason reason;
    const char *name;
} checks[] = {
    {REASON_MALFORMED_RESPONSE, "malformed_response"},
    {REASON_AUTHZID_MISMATCH, "authzid_mismatch"},
    {REASON_TLS_REQUIRED, "tls_required"},
    {REASON_THROTTLED, "throttled"},
    {REASON_BACKEND_UNAVAILABLE, "backend_unavailable"},
    {REASON_DELETED_USER, "deleted_user"},
    {REASON_USERNAME_HAS_AT, "username_has_at"},
    {REASON_USERNAME_WHITESPACE, "username_whitespace"},
    {REASON_UNKNOWN_USER, "unknown_user"},
    {REASON_ACCOUNT_CLOSED, "account_closed"},
    {REASON_ACCOUNT_SUSPENDED, "account_suspended"},
    {REASON_ACCOUNT_PAST_DUE, "account_past_due"},
    {REASON_DISABLED_USER, "disabled_user"},
    {REASON_UNUSABLE_HASH, "unusable_hash"},
    {REASON_STALE_PASSWORD, "stale_password"},
    {REASON_PASSWORD_WHITESPACE, "password_whitespace"},
    {REASON_WRONG_PASSWORD, "wrong_password"},
    {REASON_IP_NOT_AUTHORIZED, "ip_not_authorized"},
};

#define CHECKS (sizeof(checks) / sizeof(*checks))

_Static_assert(CHECKS == REASON_COUNT, "each reason has one row");
_Static_assert(REASON_COUNT <= 32, "each reason has one bit");

const char *reason_name(enum reason reason)
{
    if (reason == REASON_ACCEPTED)
        return "accepted";
    for (size_t i = 0; i < CHECKS; i++) {
        if (checks[i].reason == reason)
            return checks[i].name;
    }
    return "backend_unavailable";
}

enum reason verdict_reason(reason_set failed)
{
    if (failed == 0)
        return REASON_ACCEPTED;
    for (size_t i = 0; i < CHECKS; i++) {
        if (failed & REASON_BIT(checks[i].reason))
            return checks[i].reason;
    }
    return REASON_BACKEND_UNAVAILABLE;
}

void verdict_checks_text(reason_set failed, char *out, size_t cap)
{
    size_t used = 0;
    size_t len;

    if (cap < sizeof("{}")) {
        if (cap > 0)
            out[0] = '\0';
        return;
    }
    out[used++] = '{';
    for (size_t i = 0; i < CHECKS; i++) {
        len = strlen(checks[i].name);
        if (!(failed & REASON_BIT(checks[i].reason)) || used + len + sizeof(",}") > cap)
            continue;
        if (used > 1)
            out[used++] = ',';
        memcpy(out + used, checks[i].name, len);
        used += len;
    }
    out[used++] = '}';
    out[used] = '\0';
}
