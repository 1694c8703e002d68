/*
 * login.c: the mechanism LOGIN (draft-murchison-sasl-login): the name, then the password, each
 * asked for.
 *
 * An initial response is taken as the name. The context is wiped when the exchange ends, also in
 * the middle.
 */
#include "sasl/exchange.h"

#include <string.h>

#include "sasl/mechanisms.h"
#include "sasl/wire.h"

enum state { STATE_BEGIN, STATE_NAME, STATE_PASSWORD };

struct login_exchange {
    struct exchange exchange; /* first */
    enum state state;
};

static int login_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    (void)challenge;
    (void)challenge_len;
    return exchange_new(
        glob_context, sparams, "LOGIN", sizeof(struct login_exchange), conn_context);
}

static int ask(const char *prompt, const char **serverout, unsigned *serveroutlen)
{
    *serverout = prompt;
    *serveroutlen = (unsigned)strlen(prompt);
    return SASL_CONTINUE;
}

static int login_step(void *conn_context, sasl_server_params_t *sparams, const char *clientin,
    unsigned clientinlen, const char **serverout, unsigned *serveroutlen,
    sasl_out_params_t *oparams)
{
    struct login_exchange *login = conn_context;
    struct exchange *exchange = &login->exchange;
    const char *fault;

    *serverout = NULL;
    *serveroutlen = 0;
    if (login->state == STATE_BEGIN) {
        login->state = STATE_NAME;
        if (clientin == NULL || clientinlen == 0)
            return ask("Username:", serverout, serveroutlen);
    }
    if (exchange_is_hang_up(exchange, clientinlen))
        return exchange_refuse(exchange, sparams, REASON_ABANDONED_EXCHANGE, NULL, oparams);
    if (login->state == STATE_NAME) {
        login->state = STATE_PASSWORD;
        /* A fault comes back with the password. */
        wire_take_name(clientin, clientinlen, &exchange->credentials);
        return ask("Password:", serverout, serveroutlen);
    }
    fault = wire_take_password(clientin, clientinlen, &exchange->credentials);
    return exchange_check_password(exchange, sparams, fault, oparams);
}

static void login_dispose(void *conn_context, const sasl_utils_t *utils)
{
    exchange_dispose(conn_context, sizeof(struct login_exchange), utils);
}

const sasl_server_plug_t mech_login = {
    .mech_name = "LOGIN",
    .security_flags = PASSWORD_MECHANISM_FLAGS,
    .mech_new = login_new,
    .mech_step = login_step,
    .mech_dispose = login_dispose,
};
