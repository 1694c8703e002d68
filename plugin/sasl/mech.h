/*
 * mech.h: what the mechanisms share: from parsed credentials to the code that the host gets.
 */
#ifndef PGSASL_SASL_MECH_H
#define PGSASL_SASL_MECH_H

#include <stdbool.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "auth/auth.h"
#include "auth/backend.h"
#include "sasl/wire.h"

/* Sorts ahead of the stock PLAIN and LOGIN, whose hash strength is none; nothing else in libsasl
 * minds the bits. */
#define MECH_SECURITY_FLAGS \
    (SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS | SASL_SET_HASH_STRENGTH_BITS(256))

/*
 * Answers one attempt: canonicalises the name, decides, fills *oparams. fault as wire.h returned
 * it. Wipes *credentials. Blocks as auth_attempt() does. Returns a code of saslcode.h.
 */
int mech_answer(struct backend *backend, sasl_server_params_t *sparams,
    struct credentials *credentials, const char *fault, const char *mechanism,
    sasl_out_params_t *oparams);

/* What the host says of the connection, as an attempt without credentials. The strings stay the
 * host's. */
struct attempt mech_attempt(const sasl_server_params_t *sparams, const char *mechanism);

/* True while this thread is inside mech_answer(): the auxprop half then has nothing to look up. */
bool mech_in_canon_user(void);

#endif
