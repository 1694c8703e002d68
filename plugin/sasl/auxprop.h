/*
 * auxprop.h: the auxprop plugin "pgsasl", which knows nobody.
 */
#ifndef PGSASL_SASL_AUXPROP_H
#define PGSASL_SASL_AUXPROP_H

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* What entry.c registers; glob_context is the backend, NULL where pgsasl is not configured. */
extern const sasl_auxprop_plug_t auxprop_plug;

#endif
