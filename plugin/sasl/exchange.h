/*
 * exchange.h: one exchange of any mechanism, from mech_new to mech_dispose.
 *
 * A mechanism's context begins with a struct exchange. It knows whose attempt this is from the
 * first moment on, so that an exchange that the client breaks off is recorded too: every exchange
 * that began and got no verdict is one row when libsasl disposes of it.
 */
#ifndef PGSASL_SASL_EXCHANGE_H
#define PGSASL_SASL_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "auth/attempt.h"
#include "auth/backend.h"
#include "auth/verdict.h"

enum { SERVICE_NAME_MAX = 64, SERVER_HOST_MAX = 255 };

/* Holds all that a row needs: libsasl gives mech_dispose no sparams. */
struct exchange {
    struct backend *backend;
    struct attempt attempt; /* its pointers lead into this exchange */
    struct credentials credentials;
    char service[SERVICE_NAME_MAX + 1];
    char server_host[SERVER_HOST_MAX + 1];
    bool is_exim;
    bool answered; /* there is a verdict, and the failure is recorded */
};

/*
 * Makes the context of a mechanism: size bytes, zeroed, that begin with a struct exchange.
 * mechanism must live as long as the context. Returns SASL_OK, or SASL_UNAVAIL without memory,
 * which is recorded.
 */
int exchange_new(struct backend *backend, const sasl_server_params_t *sparams,
    const char *mechanism, size_t size, void **context_r);

/*
 * True for a response that says that the client is gone: Exim hands over an empty one then. The
 * response is of an exchange in which the client has something to say.
 */
bool exchange_is_hang_up(const struct exchange *exchange, size_t response_len);

/*
 * Lets the host canonicalise the name in exchange->credentials. Call it before anything that can
 * fail for a while: Exim answers a temporary failure as one only when it knows a user name. A name
 * that the host cannot canonicalise is replaced for that purpose only, and is never accepted.
 */
void exchange_set_name(
    struct exchange *exchange, sasl_server_params_t *sparams, sasl_out_params_t *oparams);

/*
 * Ends the exchange with a verdict: wipes the credentials, fills *oparams where it is accepted.
 * Returns a code of saslcode.h.
 */
int exchange_answer(struct exchange *exchange, const sasl_server_params_t *sparams,
    enum reason reason, sasl_out_params_t *oparams);

/*
 * Ends the exchange with the verdict on the name and the password in exchange->credentials. fault
 * as wire.h returned it. Blocks as auth_attempt() does.
 */
int exchange_check_password(struct exchange *exchange, sasl_server_params_t *sparams,
    const char *fault, sasl_out_params_t *oparams);

/* Records that the exchange failed without a look-up, and ends it. detail may be NULL. */
int exchange_refuse(struct exchange *exchange, sasl_server_params_t *sparams, enum reason reason,
    const char *detail, sasl_out_params_t *oparams);

/*
 * What mech_dispose does: records an exchange without a verdict as REASON_ABANDONED_EXCHANGE, wipes
 * and frees the context of size bytes. NULL is tolerated. Blocks for at most pgsasl_timeout_ms.
 */
void exchange_dispose(void *context, size_t size, const sasl_utils_t *utils);

#endif
