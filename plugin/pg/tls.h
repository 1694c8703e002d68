/*
 * tls.h: the certificates and the key that a conninfo names, read once and kept.
 *
 * libpq opens sslrootcert, sslcert, sslkey and sslcrl by their paths at each connect. A host that
 * has since gone into a chroot and given up root could not. So they are read in init, and each
 * connection gets them while libpq makes it: pg_tls_begin(), then pg_tls_before_poll() and
 * pg_tls_after_poll() around each PQconnectPoll(3), then pg_tls_end().
 *
 * A server whose certificate is not what sslmode asks for gets no user name, no password, no query
 * and, as a rule, not the client's certificate.
 */
#ifndef PGSASL_PG_TLS_H
#define PGSASL_PG_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

/* What a conninfo says of TLS (PostgreSQL manual, 34.1.2); NULL and "" are: nothing. Borrowed. */
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
 * Reads the files. True with *tls_r NULL: none is named, or TLS is off. False: one can't be used;
 * error_r (size cap) names it and says why. Asks nobody for a pass phrase.
 */
bool pg_tls_load(
    const struct pg_tls_params *params, struct pg_tls **tls_r, char *error_r, size_t cap);

/* Frees; the key's octets are wiped. NULL is tolerated. */
void pg_tls_free(struct pg_tls *tls);

/* What libpq gets in place of the conninfo's sslmode (fallback where nothing changes). */
const char *pg_tls_mode(const struct pg_tls *tls, const char *fallback);

/* True for a keyword of conninfo whose file is read here: libpq gets PG_TLS_NO_FILE for it. */
bool pg_tls_holds(const struct pg_tls *tls, const char *keyword);

/* A path where there is nothing, so that libpq looks in no home directory either. */
#define PG_TLS_NO_FILE "/nonexistent/pgsasl"

/*
 * What to do after a PQconnectPoll(). TOO_LATE: the handshake was over before the client's
 * certificate could be given, which a busy machine can bring about; drop the connection and make it
 * once more. FAILED: drop it; pg_tls_error() says why.
 */
enum pg_tls_step { PG_TLS_GO_ON, PG_TLS_TOO_LATE, PG_TLS_FAILED };

/*
 * A connection is to be made, for verify-full to host (a name or an address; borrowed until
 * pg_tls_end()). For this and the next four tls may be NULL: nothing is done. None of them blocks.
 */
void pg_tls_begin(struct pg_tls *tls, const char *host);

/* Has the kernel keep the client's first message back until pg_tls_after_poll() has seen to it. */
void pg_tls_before_poll(struct pg_tls *tls, const PGconn *conn);

/*
 * Call it whatever PQconnectPoll() returned, and before anything else is done with conn: it gives a
 * new SSL object the certificates, and verifies the server when the handshake is over.
 */
enum pg_tls_step pg_tls_after_poll(struct pg_tls *tls, PGconn *conn);

/* The connection is made or given up; it has not been closed by PQfinish() yet. */
void pg_tls_end(struct pg_tls *tls);

/* Why the connection was refused since pg_tls_begin(); "" when it was not, or not by this side. */
const char *pg_tls_error(const struct pg_tls *tls);

#endif
