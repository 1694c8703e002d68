/*
 * saslcode.h: what the host is told of a verdict.
 */
#ifndef PGSASL_SASL_SASLCODE_H
#define PGSASL_SASL_SASLCODE_H

#include "auth/verdict.h"

/* The code that a mechanism returns: SASL_OK, SASL_BADAUTH, SASL_NOAUTHZ, SASL_BADPROT or
 * SASL_UNAVAIL. host is the name that the program gave libsasl, "smtpd" or "exim"; NULL tolerated.
 */
int saslcode_for(enum reason reason, const char *host);

/*
 * The code that the auxprop half returns. There the password is still to be checked, so an address
 * that is not allowed reads as any other refusal; SASL_NOUSER leaves an unknown name to the other
 * auxprop plugins of the host.
 */
int saslcode_for_auxprop(enum reason reason);

#endif
