/*
 * saslcode.c: the one place that maps verdicts to SASL codes.
 *
 * A mechanism never returns SASL_FAIL, SASL_NOUSER, SASL_DISABLED and their like: Postfix and Exim
 * each read them in a way of their own, or tell the client.
 */
#include "sasl/saslcode.h"

#include <stddef.h>
#include <string.h>

#include <sasl/sasl.h>

/* The words of reasons.def. */
enum answer {
    ANSWER_TEMPORARY = 0,
    ANSWER_MALFORMED,
    ANSWER_REJECTED,
    ANSWER_NOT_AUTHORIZED,
    ANSWER_ACCEPTED
};

static const enum answer answers[] = {
#define REASON(NAME, name, ANSWER, ...) [REASON_##NAME] = ANSWER_##ANSWER,
#include "auth/reasons.def"
    [REASON_ACCEPTED] = ANSWER_ACCEPTED};

static enum answer answer_to(enum reason reason)
{
    return (unsigned)reason < sizeof answers / sizeof *answers ? answers[reason] : ANSWER_TEMPORARY;
}

/* Exim takes SASL_BADPROT for a client that sent an initial response unasked, and answers 553. */
static int code_of_malformed(const char *host)
{
    return host != NULL && strcmp(host, "exim") == 0 ? SASL_BADAUTH : SASL_BADPROT;
}

int saslcode_for(enum reason reason, const char *host)
{
    switch (answer_to(reason)) {
    case ANSWER_ACCEPTED:
        return SASL_OK;
    case ANSWER_MALFORMED:
        return code_of_malformed(host);
    case ANSWER_REJECTED:
        return SASL_BADAUTH;
    case ANSWER_NOT_AUTHORIZED:
        return SASL_NOAUTHZ;
    case ANSWER_TEMPORARY:
        return SASL_UNAVAIL;
    }
    return SASL_UNAVAIL;
}
