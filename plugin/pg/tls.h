/*
 * tls.h: the certificates and the key that a conninfo names, read once and kept.
 *
 * libpq opens sslrootcert, sslcert, sslkey and sslcrl by their paths at each connect. A host that
 * has since gone into a chroot and given up root could not. So they are read in init, and each TLS
 * connection that libpq makes between pg_tls_begin() and pg_tls_end() is given them.
 */
#ifndef PGSASL_PG_TLS_H
#define PGSASL_PG_TLS_H

#include <stdbool.h>
#include <stddef.h>

/* What a conninfo says of TLS (PostgreSQL manual, 34.1.2); NULL and "" are: nothing. Borrowed. */
struct pg_tls_params {
    const char *sslmode;
    const char *sslrootcert;
    const char *sslcert;
    const char *sslkey;
    const char *sslpassword;
    const char *sslcrl;
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
 * Between the two, TLS connections made by this thread are set up from tls and, for verify-full,
 * must be to host (a name or an address). tls NULL: nothing is done. Nothing blocks.
 */
void pg_tls_begin(struct pg_tls *tls, const char *host);
void pg_tls_end(void);

/* Why the server's certificate was refused since pg_tls_begin(); "" when it was not. */
const char *pg_tls_error(const struct pg_tls *tls);

#endif
