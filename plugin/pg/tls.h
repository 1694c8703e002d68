/*
 * tls.h: the certificates and the key that a conninfo names, read once and kept.
 *
 * libpq opens sslrootcert, sslcert, sslkey and sslcrl by their paths at each connect. A host that
 * has entered a chroot and given up root cannot open them. So they are read in init, and each
 * connection gets them while libpq connects: call pg_tls_begin(), then pg_tls_before_poll() and
 * pg_tls_after_poll() around each PQconnectPoll(3), then pg_tls_end().
 *
 * A server whose certificate does not satisfy sslmode gets no user name, no password, no query and,
 * as a rule, not the client's certificate.
 */
#ifndef PGSASL_PG_TLS_H
#define PGSASL_PG_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

/* The TLS parameters of a conninfo (PostgreSQL manual, 34.1.2); NULL and "": not set. Borrowed. */
struct pg_tls_params {
    const char *sslmode;
    const char *sslrootcert;
    const char *sslcert;
    const char *sslkey;
    const char *sslpassword;
    const char *sslcertmode;
    const char *sslcrl;
    const char *sslcrldir;
};

struct pg_tls;

/*
 * Reads the files. True with *tls_r NULL: none is named, or TLS is off. False: one cannot be used;
 * error_r (size cap) names it and says why. Prompts for no pass phrase.
 */
bool pg_tls_load(
    const struct pg_tls_params *params, struct pg_tls **tls_r, char *error_r, size_t cap);

/* Frees; the key is wiped. NULL is tolerated. */
void pg_tls_free(struct pg_tls *tls);

/* The sslmode that libpq gets instead of the conninfo's; fallback if it need not change. */
const char *pg_tls_mode(const struct pg_tls *tls, const char *fallback);

/* True for a keyword of conninfo whose file is read here: libpq gets PG_TLS_NO_FILE for it. */
bool pg_tls_holds(const struct pg_tls *tls, const char *keyword);

/* A path that does not exist, so that libpq does not search the home directory either. */
#define PG_TLS_NO_FILE "/nonexistent/pgsasl"

/*
 * What to do after a PQconnectPoll(). TOO_LATE: the handshake ended before it could get the
 * client's certificate, which can happen on a busy machine; drop the connection and connect once
 * more. FAILED: drop the connection; pg_tls_error() says why.
 */
enum pg_tls_step { PG_TLS_GO_ON, PG_TLS_TOO_LATE, PG_TLS_FAILED };

/*
 * Call it before a connection is made. verify-full compares host (a name or an address; borrowed
 * until pg_tls_end()). In this and the next four functions tls may be NULL: they then do nothing.
 * None of them blocks.
 */
void pg_tls_begin(struct pg_tls *tls, const char *host);

/* Has the kernel hold back the client's first message until pg_tls_after_poll() has run. */
void pg_tls_before_poll(struct pg_tls *tls, const PGconn *conn);

/*
 * Call it whatever PQconnectPoll() returned, before any other use of conn: it gives a new SSL
 * object the certificates, and verifies the server when the handshake is over.
 */
enum pg_tls_step pg_tls_after_poll(struct pg_tls *tls, PGconn *conn);

/* Call it when the connection is made or has failed, before PQfinish(). */
void pg_tls_end(struct pg_tls *tls);

/* Why the connection was refused since pg_tls_begin(); "" when it was not, or not by this side. */
const char *pg_tls_error(const struct pg_tls *tls);

#endif
