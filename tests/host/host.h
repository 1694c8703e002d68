/*
 * host.h: what a small SASL server program does: start, one exchange, end.
 */
#ifndef PGSASL_TESTS_HOST_H
#define PGSASL_TESTS_HOST_H

#include <stdbool.h>

#include <sasl/sasl.h>

/* Loads the plugins of $SASL_PATH for the program app, whose options stand in config/app.conf.
 * Lines of the log go to standard error. A SASL code. */
int host_begin(const char *config, const char *app);

/* One attempt on a connection of its own; the SASL code of its last step. A LOGIN may be left in
 * the middle. */
int host_plain(const char *user, const char *password);
int host_login(const char *user, const char *password, bool leave);

#endif
