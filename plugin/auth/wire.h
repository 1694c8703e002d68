/*
 * wire.h: the client's bytes of PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login) into
 * credentials.
 *
 * The bytes are judged as they came, before any canonicalisation by the host.
 */
#ifndef PGSASL_AUTH_WIRE_H
#define PGSASL_AUTH_WIRE_H

#include <stddef.h>

enum {
    WIRE_NAME_MAX = 255,      /* octets; what RFC 4616 asks a server to take */
    WIRE_PASSWORD_MAX = 1024, /* octets */
    WIRE_SHOWN_MAX = 1100,    /* octets of `shown`: a name with every byte escaped fits */
};

/*
 * Holds a password in clear: whoever declares one calls wire_wipe() on every way out. All strings
 * are NUL-terminated. When a parser reports a fault, authzid, authcid and password are empty;
 * `shown` is set as far as a name could be seen.
 */
struct credentials {
    char authzid[WIRE_NAME_MAX + 1];
    size_t authzid_len;
    char authcid[WIRE_NAME_MAX + 1];
    size_t authcid_len;
    char password[WIRE_PASSWORD_MAX + 1];
    size_t password_len;
    char shown[WIRE_SHOWN_MAX]; /* the user name for the audit row: as sent when it is UTF-8 of at
                                   most WIRE_NAME_MAX octets, escaped and cut otherwise
                                   (text_escape); never bytes that may be a password */
    const char *fault;          /* what the parser last returned; a constant, NULL: nothing */
};

/*
 * Parses [authzid] NUL authcid NUL passwd. Returns NULL when message is as the RFC says, else a
 * constant sentence of what is wrong with it, for the audit row's detail. message may be NULL when
 * len is 0. Overwrites *credentials_r.
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

/* Wipes all of *credentials by its capacity. NULL is tolerated. */
void wire_wipe(struct credentials *credentials);

#endif
