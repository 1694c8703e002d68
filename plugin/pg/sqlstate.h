/*
 * sqlstate.h: whether an error of the server is due to the connection, the server's state, the
 * values or the query (PostgreSQL manual, appendix A).
 */
#ifndef PGSASL_PG_SQLSTATE_H
#define PGSASL_PG_SQLSTATE_H

#include <stdbool.h>

/* How one run of a query on one connection ended. */
enum run {
    RUN_LOST = 0,       /* the connection cannot be used any more; a new one may work */
    RUN_BUSY,           /* the server cannot run it now */
    RUN_REFUSED,        /* the query is wrong */
    RUN_BAD_VALUES,     /* the values are wrong: they will never be accepted */
    RUN_UNTRANSLATABLE, /* a value has characters that the database's encoding cannot represent */
    RUN_DONE
};

/* What the error means. NULL, which libpq returns for its own errors, is RUN_LOST. */
enum run sqlstate_judge(const char *sqlstate);

/* True for an error that a pooler causes by switching us to another server connection. */
bool sqlstate_is_from_pooler(const char *sqlstate);

#endif
