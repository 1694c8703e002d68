/*
 * host_log.c: passes lines to the host's log callback.
 *
 * Lines written while no connection is served go to syslog, as libsasl does it, and once more to
 * the callback of the first connection, where the host has set one: Exim sets none, and all goes to
 * syslog. More such lines than fit are dropped from the second way, never from the first.
 */
#include "sasl/host_log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What a sink's context points at. */
struct log_host {
    const sasl_utils_t *utils;
};

enum { HELD_LINES = 8, HELD_OCTETS = 512 };

static _Thread_local const sasl_utils_t *serving;
static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static char held[HELD_LINES][HELD_OCTETS];
static int held_count;

/*
 * Neither of those who take the mutex waits for it: a fork may have left it taken in a child for
 * good. It is only ever about the second way of a line.
 */
static bool begin_holding(void)
{
    return pthread_mutex_trylock(&held_mutex) == 0;
}

/* libsasl drops levels above its log_level, which is SASL_LOG_ERR unless configured. */
static void write_line(const sasl_utils_t *utils, sasl_conn_t *conn, const char *line)
{
    utils->log(conn, SASL_LOG_ERR, "%s", line);
}

/* libsasl puts syslog in the place of a callback that the host did not set. */
static bool has_log_of_its_own(const sasl_utils_t *utils)
{
    sasl_callback_ft of_host = NULL;
    sasl_callback_ft of_libsasl = NULL;
    void *context;

    return utils->getcallback(utils->conn, SASL_CB_LOG, &of_host, &context) != SASL_OK ||
           utils->getcallback(NULL, SASL_CB_LOG, &of_libsasl, &context) != SASL_OK ||
           of_host != of_libsasl;
}

static void hold_line(const char *line)
{
    if (!begin_holding())
        return;
    if (held_count < HELD_LINES)
        snprintf(held[held_count++], HELD_OCTETS, "%s", line);
    pthread_mutex_unlock(&held_mutex);
}

static void emit(void *context, enum log_level level, const char *line)
{
    const sasl_utils_t *utils = ((const struct log_host *)context)->utils;

    (void)level; /* Postfix shows the operator both alike */
    if (serving != NULL) {
        write_line(serving, serving->conn, line);
        return;
    }
    write_line(utils, NULL, line);
    hold_line(line);
}

struct log_sink host_log_sink(const sasl_utils_t *utils)
{
    static struct log_host host;

    host.utils = utils;
    held_count = 0;
    return (struct log_sink){emit, &host};
}

void host_log_attach(const sasl_utils_t *utils)
{
    serving = utils;
    if (utils == NULL || !begin_holding())
        return;
    if (held_count > 0 && !has_log_of_its_own(utils))
        held_count = 0;
    for (int i = 0; i < held_count; i++)
        write_line(utils, utils->conn, held[i]);
    held_count = 0;
    pthread_mutex_unlock(&held_mutex);
}
