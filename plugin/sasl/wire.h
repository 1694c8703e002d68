/*
 * wire.h: the client's bytes of PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login) into
 * credentials.
 *
 * The bytes are judged as they came, before any canonicalisation by the host.
 */
#ifndef PGSASL_SASL_WIRE_H
#define PGSASL_SASL_WIRE_H

#include <stddef.h>

#include "auth/credentials.h"

/*
 * Bytes of a message that a host can have got: Postfix passes 9,216 at most, Exim 12,288. A greater
 * length is the host's mistake, and nothing is read at all: there may be no such bytes.
 */
enum { WIRE_MESSAGE_MAX = 16384 };

/*
 * Parses [authzid] NUL authcid NUL passwd. Returns NULL when message is as the RFC says, else a
 * constant sentence of what is wrong with it, for the audit row's detail. A message that is NULL is
 * read as an empty one, whatever its len. Overwrites *credentials_r.
 */
const char *wire_parse_plain(const char *message, size_t len, struct credentials *credentials_r);

/*
 * LOGIN's two answers, each into the credentials of one exchange, which the caller has zeroed
 * before the first. Return as wire_parse_plain() does. A fault in the name is also returned by the
 * later wire_take_password().
 */
const char *wire_take_name(const char *name, size_t len, struct credentials *credentials_io);
const char *wire_take_password(
    const char *password, size_t len, struct credentials *credentials_io);

#endif
