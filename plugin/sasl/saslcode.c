/*
 * saslcode.c: the one place that maps verdicts to SASL codes.
 *
 * SASL_FAIL, SASL_DISABLED and their like are never returned by a mechanism: Postfix and Exim each
 * read them in a way of their own, or tell the client.
 */
#include "sasl/saslcode.h"

#include <stddef.h>
#include <string.h>

#include <sasl/sasl.h>

/* Exim takes SASL_BADPROT for a client that sent an initial response unasked, and answers 553. */
static int code_of_malformed(const char *host)
{
    return host != NULL && strcmp(host, "exim") == 0 ? SASL_BADAUTH : SASL_BADPROT;
}

int saslcode_for(enum reason reason, const char *host)
{
    switch (reason) {
    case REASON_ACCEPTED:
        return SASL_OK;
    case REASON_MALFORMED_RESPONSE:
        return code_of_malformed(host);
    case REASON_IP_NOT_AUTHORIZED:
        return SASL_NOAUTHZ;
    case REASON_AUTHZID_MISMATCH:
    case REASON_TLS_REQUIRED:
    case REASON_DELETED_USER:
    case REASON_USERNAME_HAS_AT:
    case REASON_USERNAME_WHITESPACE:
    case REASON_UNKNOWN_USER:
    case REASON_ACCOUNT_CLOSED:
    case REASON_ACCOUNT_SUSPENDED:
    case REASON_ACCOUNT_PAST_DUE:
    case REASON_DISABLED_USER:
    case REASON_STALE_PASSWORD:
    case REASON_PASSWORD_WHITESPACE:
    case REASON_WRONG_PASSWORD:
        return SASL_BADAUTH;
    case REASON_BACKEND_UNAVAILABLE:
    case REASON_THROTTLED:
    case REASON_UNUSABLE_HASH:
        return SASL_UNAVAIL;
    }
    return SASL_UNAVAIL;
}

int saslcode_for_auxprop(enum reason reason)
{
    if (reason == REASON_UNKNOWN_USER || reason == REASON_USERNAME_HAS_AT ||
        reason == REASON_USERNAME_WHITESPACE)
        return SASL_NOUSER;
    return reason == REASON_IP_NOT_AUTHORIZED ? SASL_BADAUTH : saslcode_for(reason, NULL);
}
