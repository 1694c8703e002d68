/*
 * nothing.c: a SASL plugin whose PLAIN and LOGIN do nothing, the physical limit for compare.
 *
 * It queries no database and computes no hash: the password of the option bench_nothing_password is
 * accepted, any other is refused. Without the option it offers no mechanism. Never installed.
 */
#include <string.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

sasl_server_plug_init_t sasl_server_plug_init __attribute__((visibility("default")));

static const char *password;

static int answer(sasl_server_params_t *sparams, const char *name, unsigned name_len,
    const char *given, unsigned given_len, sasl_out_params_t *oparams)
{
    int result = sparams->canon_user(sparams->utils->conn, name, name_len,
        SASL_CU_AUTHID | SASL_CU_AUTHZID | SASL_CU_EXTERNALLY_VERIFIED, oparams);

    if (result != SASL_OK)
        return result;
    if (given_len != strlen(password) || memcmp(given, password, given_len) != 0)
        return SASL_BADAUTH;
    oparams->doneflag = 1;
    return SASL_OK;
}

static int plain_step(void *conn_context, sasl_server_params_t *sparams, const char *in,
    unsigned in_len, const char **out, unsigned *out_len, sasl_out_params_t *oparams)
{
    const char *name = in_len > 0 ? memchr(in, '\0', in_len) : NULL;
    const char *given;

    (void)conn_context;
    *out = NULL;
    *out_len = 0;
    if (name++ == NULL)
        return in_len == 0 ? SASL_CONTINUE : SASL_BADPROT;
    given = memchr(name, '\0', in_len - (unsigned)(name - in));
    if (given++ == NULL)
        return SASL_BADPROT;
    return answer(sparams, name, (unsigned)(given - 1 - name), given,
        in_len - (unsigned)(given - in), oparams);
}

/* What LOGIN stores between its two messages. */
struct login_exchange {
    unsigned name_len;
    char name[256];
};

static int login_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    (void)glob_context;
    (void)challenge;
    (void)challenge_len;
    *conn_context = sparams->utils->malloc(sizeof(struct login_exchange));
    if (*conn_context == NULL)
        return SASL_NOMEM;
    memset(*conn_context, 0, sizeof(struct login_exchange));
    return SASL_OK;
}

static int login_step(void *conn_context, sasl_server_params_t *sparams, const char *in,
    unsigned in_len, const char **out, unsigned *out_len, sasl_out_params_t *oparams)
{
    struct login_exchange *login = conn_context;

    *out = NULL;
    *out_len = 0;
    if (login->name_len > 0)
        return answer(sparams, login->name, login->name_len, in, in_len, oparams);
    *out = in_len == 0 ? "Username:" : "Password:";
    *out_len = 9;
    if (in_len == 0)
        return SASL_CONTINUE;
    if (in_len > sizeof login->name)
        return SASL_BADPROT;
    memcpy(login->name, in, in_len);
    login->name_len = in_len;
    return SASL_CONTINUE;
}

static int plain_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    (void)glob_context;
    (void)sparams;
    (void)challenge;
    (void)challenge_len;
    *conn_context = NULL;
    return SASL_OK;
}

static void dispose(void *conn_context, const sasl_utils_t *utils)
{
    if (conn_context != NULL)
        utils->free(conn_context);
}

static sasl_server_plug_t mechanisms[] = {
    {.mech_name = "PLAIN",
        .security_flags = SASL_SEC_NOANONYMOUS,
        .features = SASL_FEAT_WANT_CLIENT_FIRST,
        .mech_new = plain_new,
        .mech_step = plain_step,
        .mech_dispose = dispose},
    {.mech_name = "LOGIN",
        .security_flags = SASL_SEC_NOANONYMOUS,
        .mech_new = login_new,
        .mech_step = login_step,
        .mech_dispose = dispose},
};

int sasl_server_plug_init(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_server_plug_t **pluglist, int *plugcount)
{
    if (max_version < SASL_SERVER_PLUG_VERSION)
        return SASL_BADVERS;
    if (utils->getopt(utils->getopt_context, NULL, "bench_nothing_password", &password, NULL) !=
            SASL_OK ||
        password == NULL)
        return SASL_NOMECH;
    *out_version = SASL_SERVER_PLUG_VERSION;
    *pluglist = mechanisms;
    *plugcount = sizeof mechanisms / sizeof *mechanisms;
    return SASL_OK;
}
