/*
 * fake_host.c: calls a mechanism in the order that libsasl 2.1.28 does.
 */
#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sasl_server_params_t fake_sparams;
bool fake_refuses_names;
bool fake_has_no_memory;
char fake_canonical[512];

static void *allocate(size_t size)
{
    return fake_has_no_memory ? NULL : malloc(size);
}

static void write_log(sasl_conn_t *conn, int level, const char *format, ...)
{
    (void)conn;
    (void)level;
    (void)format;
}

static int get_callback(
    sasl_conn_t *conn, unsigned long id, sasl_callback_ft *function_r, void **context_r)
{
    (void)conn;
    (void)id;
    (void)function_r;
    (void)context_r;
    return SASL_FAIL;
}

static int canonicalize(
    sasl_conn_t *conn, const char *name, unsigned len, unsigned flags, sasl_out_params_t *oparams)
{
    (void)conn;
    (void)flags;
    (void)oparams;
    if (fake_refuses_names && strcmp(name, "-") != 0)
        return SASL_FAIL;
    snprintf(fake_canonical, sizeof fake_canonical, "%.*s", (int)len, name);
    return SASL_OK;
}

static const sasl_utils_t utils = {
    .version = SASL_UTILS_VERSION,
    .malloc = allocate,
    .free = free,
    .getcallback = get_callback,
    .log = write_log,
};

void fake_host_reset(const char *appname)
{
    memset(&fake_sparams, 0, sizeof fake_sparams);
    fake_sparams.appname = appname;
    fake_sparams.service = "smtp";
    fake_sparams.serverFQDN = "mail.example";
    fake_sparams.ipremoteport = "192.0.2.1;40000";
    fake_sparams.iplocalport = "192.0.2.2;25";
    fake_sparams.utils = &utils;
    fake_sparams.canon_user = canonicalize;
    fake_refuses_names = false;
    fake_has_no_memory = false;
    fake_canonical[0] = '\0';
}

static void dispose(struct fake_exchange *exchange)
{
    if (exchange->context != NULL)
        exchange->plug->mech_dispose(exchange->context, &utils);
    exchange->context = NULL;
}

struct fake_exchange fake_begin(const sasl_server_plug_t *plug, void *glob_context)
{
    struct fake_exchange exchange = {.plug = plug};

    exchange.code = plug->mech_new(glob_context, &fake_sparams, NULL, 0, &exchange.context);
    if (exchange.code != SASL_OK)
        dispose(&exchange);
    return exchange;
}

int fake_step(struct fake_exchange *exchange, const char *in, size_t len)
{
    exchange->out = NULL;
    exchange->out_len = 0;
    exchange->code = exchange->plug->mech_step(exchange->context, &fake_sparams, in, (unsigned)len,
        &exchange->out, &exchange->out_len, &exchange->oparams);
    if (exchange->code != SASL_OK && exchange->code != SASL_CONTINUE)
        dispose(exchange);
    return exchange->code;
}

int fake_say(struct fake_exchange *exchange, const char *in)
{
    return fake_step(exchange, in, strlen(in));
}

void fake_end(struct fake_exchange *exchange)
{
    dispose(exchange);
    exchange->plug->mech_dispose(NULL, &utils); /* libsasl does so where there is no context */
}
