/*
 * login.c: the mechanism LOGIN (draft-murchison-sasl-login): the name, then the password, each
 * asked for.
 *
 * An initial response is taken as the name. The context is wiped when the exchange ends, also in
 * the middle.
 */
#include "sasl/mech.h"

#include <string.h>

#include "base/secret.h"
#include "sasl/mechanisms.h"

enum state { STATE_BEGIN, STATE_NAME, STATE_PASSWORD };

struct login {
    struct backend *backend;
    enum state state;
    struct credentials credentials;
};

static int login_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    struct login *login = sparams->utils->malloc(sizeof *login);

    (void)challenge;
    (void)challenge_len;
    if (login == NULL)
        return SASL_UNAVAIL;
    memset(login, 0, sizeof *login);
    login->backend = glob_context;
    *conn_context = login;
    return SASL_OK;
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
    struct login *login = conn_context;
    const char *fault;

    *serverout = NULL;
    *serveroutlen = 0;
    if (login->state == STATE_BEGIN) {
        login->state = STATE_NAME;
        if (clientin == NULL || clientinlen == 0)
            return ask("Username:", serverout, serveroutlen);
    }
    if (login->state == STATE_NAME) {
        login->state = STATE_PASSWORD;
        wire_take_name(
            clientin, clientinlen, &login->credentials); /* a fault comes back with the password */
        return ask("Password:", serverout, serveroutlen);
    }
    fault = wire_take_password(clientin, clientinlen, &login->credentials);
    return mech_answer(login->backend, sparams, &login->credentials, fault, "LOGIN", oparams);
}

static void login_dispose(void *conn_context, const sasl_utils_t *utils)
{
    secret_wipe(conn_context, sizeof(struct login));
    utils->free(conn_context);
}

const sasl_server_plug_t mech_login = {
    .mech_name = "LOGIN",
    .security_flags = MECH_SECURITY_FLAGS,
    .mech_new = login_new,
    .mech_step = login_step,
    .mech_dispose = login_dispose,
};
