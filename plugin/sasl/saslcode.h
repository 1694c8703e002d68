/*
 * saslcode.h: the SASL code of each verdict. Which answer a reason gets is in auth/reasons.def.
 */
#ifndef PGSASL_SASL_SASLCODE_H
#define PGSASL_SASL_SASLCODE_H

#include "auth/verdict.h"

/*
 * The code that a mechanism returns: SASL_OK for REASON_ACCEPTED alone, SASL_BADAUTH, SASL_NOAUTHZ,
 * SASL_BADPROT or SASL_UNAVAIL. host is the name that the program gave libsasl, "smtpd" or "exim";
 * NULL tolerated.
 */
int saslcode_for(enum reason reason, const char *host);

#endif
