/*
 * trap.h: mechanisms that never let anybody in: they answer, so that a client that insists on one
 * of them becomes a row with its user name.
 */
#ifndef PGSASL_SASL_TRAP_H
#define PGSASL_SASL_TRAP_H

#include <stddef.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "auth/backend.h"

enum { TRAPS_MAX = OPTIONS_TRAPS_MAX };

/*
 * Writes a plug for each mechanism of pgsasl_trap_mechanisms to plugs_r. Returns how many. The
 * plugs are good until the next call; their glob_context is not the backend, and mech_free is left
 * NULL.
 */
size_t trap_plugs(struct backend *backend, sasl_server_plug_t plugs_r[TRAPS_MAX]);

#endif
