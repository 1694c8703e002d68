/*
 * host.c: a SASL server program's calls of libsasl, for saslhost and guest.
 */
#include "host.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__)
/* TSan of gcc 12 sees no lock in this call; it does in the one that goes by the other clock. */
__attribute__((visibility("default"))) int pthread_mutex_clocklock(
    pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    struct timespec here, there;

    clock_gettime(clock, &here);
    clock_gettime(CLOCK_REALTIME, &there);
    there.tv_sec += until->tv_sec - here.tv_sec + 1;
    return pthread_mutex_timedlock(mutex, &there);
}
#endif

static int on_log(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s\n", message);
    return SASL_OK;
}

static const sasl_callback_t callbacks[] = {
    {SASL_CB_LOG, (int (*)(void))(void (*)(void))on_log, NULL},
    {SASL_CB_LIST_END, NULL, NULL},
};

int host_begin(const char *config, const char *app)
{
    char path[256]; /* libsasl takes no const */

    snprintf(path, sizeof path, "%s", config);
    sasl_set_path(SASL_PATH_TYPE_CONFIG, path);
    return sasl_server_init(callbacks, app);
}

static sasl_conn_t *connection(void)
{
    sasl_conn_t *conn = NULL;

    if (sasl_server_new("smtp", "host.example", NULL, "127.0.0.1;25", "127.0.0.1;40000", NULL, 0,
            &conn) != SASL_OK)
        return NULL;
    return conn;
}

int host_plain(const char *user, const char *password)
{
    sasl_conn_t *conn = connection();
    const char *out;
    unsigned out_len;
    char message[512];
    int len = snprintf(message, sizeof message, "%c%s%c%s", 0, user, 0, password);
    int code = SASL_NOMEM;

    if (conn != NULL)
        code = sasl_server_start(conn, "PLAIN", message, (unsigned)len, &out, &out_len);
    sasl_dispose(&conn);
    return code;
}

int host_login(const char *user, const char *password, bool leave)
{
    sasl_conn_t *conn = connection();
    const char *out;
    unsigned out_len;
    int code = SASL_NOMEM;

    if (conn != NULL)
        code = sasl_server_start(conn, "LOGIN", NULL, 0, &out, &out_len);
    if (code == SASL_CONTINUE)
        code = sasl_server_step(conn, user, (unsigned)strlen(user), &out, &out_len);
    if (code == SASL_CONTINUE && !leave)
        code = sasl_server_step(conn, password, (unsigned)strlen(password), &out, &out_len);
    sasl_dispose(&conn);
    return code;
}
