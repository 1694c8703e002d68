/*
 * plain.c: the mechanism PLAIN (RFC 4616): one message, one answer.
 */
#include "sasl/mech.h"
#include "sasl/mechanisms.h"

static int plain_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    (void)sparams;
    (void)challenge;
    (void)challenge_len;
    *conn_context = glob_context; /* PLAIN keeps nothing between its steps */
    return SASL_OK;
}

static int plain_step(void *conn_context, sasl_server_params_t *sparams, const char *clientin,
    unsigned clientinlen, const char **serverout, unsigned *serveroutlen,
    sasl_out_params_t *oparams)
{
    struct credentials credentials;
    const char *fault = wire_parse_plain(clientin, clientinlen, &credentials);

    *serverout = NULL;
    *serveroutlen = 0;
    return mech_answer(conn_context, sparams, &credentials, fault, "PLAIN", oparams);
}

/* libsasl calls it after a failure whether or not it is set. */
static void plain_dispose(void *conn_context, const sasl_utils_t *utils)
{
    (void)conn_context;
    (void)utils;
}

const sasl_server_plug_t mech_plain = {
    .mech_name = "PLAIN",
    .security_flags = MECH_SECURITY_FLAGS,
    .features = SASL_FEAT_WANT_CLIENT_FIRST,
    .mech_new = plain_new,
    .mech_step = plain_step,
    .mech_dispose = plain_dispose,
};
