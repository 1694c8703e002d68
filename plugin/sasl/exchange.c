/*
 * exchange.c: what all mechanisms do at the beginning and at the end of an exchange.
 *
 * mech_dispose is called when a verdict was given, when the client cancelled or hung up, when the
 * host gave up on its base64, and at the end of a connection whose exchange was disposed of before;
 * only without a verdict is anything recorded.
 */
#include "sasl/exchange.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth.h"
#include "base/secret.h"
#include "sasl/host_log.h"
#include "sasl/saslcode.h"

static const unsigned canon_flags = SASL_CU_AUTHID | SASL_CU_AUTHZID | SASL_CU_EXTERNALLY_VERIFIED;

/* ---- the beginning ---- */

static void copy(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from == NULL ? "" : from);
}

static void begin(struct exchange *exchange, struct backend *backend,
    const sasl_server_params_t *sparams, const char *mechanism)
{
    struct attempt *attempt = &exchange->attempt;

    exchange->backend = backend;
    exchange->is_exim = sparams->appname != NULL && strcmp(sparams->appname, "exim") == 0;
    copy(exchange->service, sizeof exchange->service, sparams->service);
    copy(exchange->server_host, sizeof exchange->server_host, sparams->serverFQDN);
    clock_gettime(CLOCK_REALTIME, &attempt->began_at);
    attempt->credentials = &exchange->credentials;
    attempt->mechanism = mechanism;
    attempt->service = exchange->service;
    attempt->server_host = exchange->server_host;
    attempt->encrypted = sparams->external_ssf > 0;
    address_parse(sparams->ipremoteport, &attempt->client);
    address_parse(sparams->iplocalport, &attempt->server);
}

static int refuse_for_want_of_memory(
    struct backend *backend, const sasl_server_params_t *sparams, const char *mechanism)
{
    struct exchange exchange;
    enum reason reason;

    memset(&exchange, 0, sizeof exchange);
    begin(&exchange, backend, sparams, mechanism);
    host_log_attach(sparams->utils);
    reason = auth_refuse(backend, &exchange.attempt, REASON_BACKEND_UNAVAILABLE, "out of memory");
    host_log_attach(NULL);
    return saslcode_for(reason, sparams->appname);
}

int exchange_new(struct backend *backend, const sasl_server_params_t *sparams,
    const char *mechanism, size_t size, void **context_r)
{
    struct exchange *exchange = sparams->utils->malloc(size);

    if (exchange == NULL)
        return refuse_for_want_of_memory(backend, sparams, mechanism);
    memset(exchange, 0, size);
    begin(exchange, backend, sparams, mechanism);
    *context_r = exchange;
    return SASL_OK;
}

/* ---- in the middle ---- */

bool exchange_is_hang_up(const struct exchange *exchange, size_t response_len)
{
    return exchange->is_exim && response_len == 0;
}

void exchange_set_name(
    struct exchange *exchange, sasl_server_params_t *sparams, sasl_out_params_t *oparams)
{
    const struct credentials *credentials = &exchange->credentials;
    int result = SASL_BADPROT;

    if (credentials->authcid_len > 0)
        result = sparams->canon_user(sparams->utils->conn, credentials->authcid,
            (unsigned)credentials->authcid_len, canon_flags, oparams);
    if (result != SASL_OK)
        sparams->canon_user(sparams->utils->conn, "-", 1, canon_flags, oparams);
    exchange->attempt.canon_ok = result == SASL_OK;
}

/* ---- the end ---- */

int exchange_answer(struct exchange *exchange, const sasl_server_params_t *sparams,
    enum reason reason, sasl_out_params_t *oparams)
{
    exchange->answered = true;
    credentials_wipe(&exchange->credentials);
    if (reason == REASON_ACCEPTED) {
        oparams->doneflag = 1;
        oparams->mech_ssf = 0;
        oparams->maxoutbuf = 0;
        oparams->encode_context = NULL;
        oparams->encode = NULL;
        oparams->decode_context = NULL;
        oparams->decode = NULL;
        oparams->param_version = 0;
    }
    return saslcode_for(reason, sparams->appname);
}

int exchange_check_password(struct exchange *exchange, sasl_server_params_t *sparams,
    const char *fault, sasl_out_params_t *oparams)
{
    enum reason reason;

    host_log_attach(sparams->utils);
    exchange_set_name(exchange, sparams, oparams);
    exchange->attempt.fault = fault;
    reason = auth_attempt(exchange->backend, &exchange->attempt);
    host_log_attach(NULL);
    return exchange_answer(exchange, sparams, reason, oparams);
}

int exchange_refuse(struct exchange *exchange, sasl_server_params_t *sparams, enum reason reason,
    const char *detail, sasl_out_params_t *oparams)
{
    host_log_attach(sparams->utils);
    exchange_set_name(exchange, sparams, oparams);
    reason = auth_refuse(exchange->backend, &exchange->attempt, reason, detail);
    host_log_attach(NULL);
    return exchange_answer(exchange, sparams, reason, oparams);
}

void exchange_dispose(void *context, size_t size, const sasl_utils_t *utils)
{
    struct exchange *exchange = context;

    if (exchange == NULL)
        return;
    if (!exchange->answered) {
        host_log_attach(utils);
        (void)auth_refuse(exchange->backend, &exchange->attempt, REASON_ABANDONED_EXCHANGE, NULL);
        host_log_attach(NULL);
    }
    secret_wipe(exchange, size);
    utils->free(exchange);
}
