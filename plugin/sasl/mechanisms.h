/*
 * mechanisms.h: the table of the server mechanisms that entry.c registers.
 *
 * A mechanism is a row here, a file with its plug, an item of pgsasl.5 and a test.
 */
#ifndef PGSASL_SASL_MECHANISMS_H
#define PGSASL_SASL_MECHANISMS_H

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* One line a mechanism: the name of its plug. */
#define MECHANISMS(X) \
    X(mech_plain)     \
    X(mech_login)

/* Their glob_context, which entry.c fills in, is the backend. */
#define MECHANISM_DECLARED(plug) extern const sasl_server_plug_t plug;
MECHANISMS(MECHANISM_DECLARED)
#undef MECHANISM_DECLARED

#endif
