/*
 * host_log.h: the log of the host, reached through the connection that is being served.
 *
 * libsasl gives lines without a connection to syslog, not to the host's log callback. So each
 * thread says which connection it serves, and lines from init are kept until the first attempt can
 * pass them on.
 */
#ifndef PGSASL_SASL_HOST_LOG_H
#define PGSASL_SASL_HOST_LOG_H

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "base/log.h"

/* A sink that writes through utils, which must live as long as the sink is used. */
struct log_sink host_log_sink(const sasl_utils_t *utils);

/* This thread serves utils->conn from now on; NULL: none. Passes on what init had to say, once. */
void host_log_attach(const sasl_utils_t *utils);

#endif
