/*
 * fake_host.h: libsasl and a mail server as a mechanism sees them, and one exchange with it.
 */
#ifndef PGSASL_FAKE_HOST_H
#define PGSASL_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "auth/backend.h"

/* Set them before an exchange starts; fake_host_reset() sets a Postfix without channel binding. */
extern sasl_server_params_t fake_sparams;
extern bool fake_refuses_names;  /* canon_user fails */
extern bool fake_has_no_memory;  /* malloc fails */
extern char fake_canonical[512]; /* the last name that canon_user got */

void fake_host_reset(const char *appname);

/* One exchange of a mechanism. */
struct fake_exchange {
    const sasl_server_plug_t *plug;
    void *context;
    int code;        /* of the last step */
    const char *out; /* the last challenge, NULL: none */
    unsigned out_len;
    sasl_out_params_t oparams;
};

/* mech_new, with the backend. Disposes of the context if it fails, as libsasl does. */
struct fake_exchange fake_begin(const sasl_server_plug_t *plug, void *glob_context);

/* A step; returns its code. Disposes of the context if it fails, as libsasl does. */
int fake_step(struct fake_exchange *exchange, const char *in, size_t len);
int fake_say(struct fake_exchange *exchange, const char *in);

/* The end of the connection. */
void fake_end(struct fake_exchange *exchange);

#endif
