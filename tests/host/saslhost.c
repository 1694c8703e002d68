/*
 * saslhost.c: a small SASL server program, for running the module without a mail server.
 *
 * usage: saslhost CONFIG-DIRECTORY APP COUNT USER PASSWORD
 *
 * Loads the plugins of $SASL_PATH, makes COUNT attempts with PLAIN and COUNT with LOGIN (every
 * tenth LOGIN is left in the middle), and prints how often each SASL code came. Exit status 0 when
 * every finished attempt got the same code.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sasl/sasl.h>

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

static sasl_conn_t *connection(void)
{
    sasl_conn_t *conn = NULL;

    if (sasl_server_new("smtp", "host.example", NULL, "127.0.0.1;25", "127.0.0.1;40000", NULL, 0,
            &conn) != SASL_OK)
        return NULL;
    return conn;
}

static int plain(const char *user, const char *password)
{
    sasl_conn_t *conn = connection();
    const char *out;
    unsigned out_len;
    char message[512];
    int len = snprintf(message, sizeof message, "%c%s%c%s", 0, user, 0, password);
    int code = SASL_FAIL;

    if (conn != NULL)
        code = sasl_server_start(conn, "PLAIN", message, (unsigned)len, &out, &out_len);
    sasl_dispose(&conn);
    return code;
}

static int login(const char *user, const char *password, int leave)
{
    sasl_conn_t *conn = connection();
    const char *out;
    unsigned out_len;
    int code = SASL_FAIL;

    if (conn != NULL)
        code = sasl_server_start(conn, "LOGIN", NULL, 0, &out, &out_len);
    if (code == SASL_CONTINUE)
        code = sasl_server_step(conn, user, (unsigned)strlen(user), &out, &out_len);
    if (code == SASL_CONTINUE && !leave)
        code = sasl_server_step(conn, password, (unsigned)strlen(password), &out, &out_len);
    sasl_dispose(&conn);
    return code;
}

int main(int argc, char **argv)
{
    int first;
    int other = 0;

    if (argc != 6) {
        fprintf(stderr, "usage: saslhost CONFIG-DIRECTORY APP COUNT USER PASSWORD\n");
        return 2;
    }
    sasl_set_path(SASL_PATH_TYPE_CONFIG, argv[1]);
    if (sasl_server_init(callbacks, argv[2]) != SASL_OK)
        return 2;
    first = plain(argv[4], argv[5]);
    for (int i = 1; i < atoi(argv[3]); i++)
        other += plain(argv[4], argv[5]) != first;
    for (int i = 0; i < atoi(argv[3]); i++) {
        int leave = i % 10 == 9;

        other += login(argv[4], argv[5], leave) != (leave ? SASL_CONTINUE : first);
    }
    sasl_done();
    printf("code %d, other %d\n", first, other);
    return other != 0;
}
