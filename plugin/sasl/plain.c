/*
 * plain.c: the mechanism PLAIN (RFC 4616): one message, one answer.
 */
#include "sasl/exchange.h"
#include "sasl/mechanisms.h"
#include "sasl/wire.h"

static int plain_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    (void)challenge;
    (void)challenge_len;
    return exchange_new(glob_context, sparams, "PLAIN", sizeof(struct exchange), conn_context);
}

static int plain_step(void *conn_context, sasl_server_params_t *sparams, const char *clientin,
    unsigned clientinlen, const char **serverout, unsigned *serveroutlen,
    sasl_out_params_t *oparams)
{
    struct exchange *exchange = conn_context;
    const char *fault;

    *serverout = NULL;
    *serveroutlen = 0;
    if (exchange_is_hang_up(exchange, clientinlen))
        return exchange_refuse(exchange, sparams, REASON_ABANDONED_EXCHANGE, NULL, oparams);
    fault = wire_parse_plain(clientin, clientinlen, &exchange->credentials);
    return exchange_check_password(exchange, sparams, fault, oparams);
}

static void plain_dispose(void *conn_context, const sasl_utils_t *utils)
{
    exchange_dispose(conn_context, sizeof(struct exchange), utils);
}

const sasl_server_plug_t mech_plain = {
    .mech_name = "PLAIN",
    .security_flags = PASSWORD_MECHANISM_FLAGS,
    .features = SASL_FEAT_WANT_CLIENT_FIRST,
    .mech_new = plain_new,
    .mech_step = plain_step,
    .mech_dispose = plain_dispose,
};
