/*
 * rows.c: reads and wipes the rows that a query returned.
 *
 * struct pg_rows is never defined: it is libpq's result under our name.
 */
#include "pg/pg.h"

#include <libpq-fe.h>

#include "base/secret.h"

static const PGresult *result_of(const struct pg_rows *rows)
{
    return (const PGresult *)rows;
}

int pg_rows_count(const struct pg_rows *rows)
{
    return PQntuples(result_of(rows));
}

int pg_rows_column(const struct pg_rows *rows, const char *name)
{
    return PQfnumber(result_of(rows), name);
}

const char *pg_rows_value(const struct pg_rows *rows, int row, int column)
{
    if (column < 0 || PQgetisnull(result_of(rows), row, column))
        return NULL;
    return PQgetvalue(result_of(rows), row, column);
}

void pg_rows_free(struct pg_rows *rows)
{
    PGresult *result = (PGresult *)rows;

    for (int row = 0; row < PQntuples(result); row++)
        for (int column = 0; column < PQnfields(result); column++)
            if (!PQgetisnull(result, row, column))
                secret_wipe(
                    PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
    PQclear(result);
}
