/*
 * sqlstate.h: what an error of the server speaks against: the connection, the moment, the values or
 * the query (PostgreSQL manual, appendix A).
 */
#ifndef PGSASL_PG_SQLSTATE_H
#define PGSASL_PG_SQLSTATE_H

#include <stdbool.h>

/* How one run of a query on one connection ended. */
enum run {
    RUN_LOST = 0,       /* the connection cannot be used any more; another one may do */
    RUN_BUSY,           /* the server cannot do it now */
    RUN_REFUSED,        /* the query is at fault */
    RUN_BAD_VALUES,     /* the values are: they will never be accepted */
    RUN_UNTRANSLATABLE, /* a value has characters that the database's encoding lacks */
    RUN_DONE
};

/* What the error means. NULL, which libpq gives for errors of its own, is RUN_LOST. */
enum run sqlstate_judge(const char *sqlstate);

/* True for an error that a pooler causes by giving us another server connection. */
bool sqlstate_is_of_a_pooler(const char *sqlstate);

#endif
