/*
 * test_parameters.c: what is a parameter of a statement, and what only looks like one.
 */
#include "test.h"

#include "pg/pg.h"

static const struct {
    const char *text;
    int highest;
} statements[] = {
    {"SELECT 1", 0},
    {"SELECT pgsasl.record_failure($1)", 1},
    {"SELECT * FROM find($1, $2)", 2},
    {"SELECT $2, $14, $3", 14},
    {"SELECT $1::text||$2", 2},
    {"SELECT '$15'", 0},
    {"SELECT 'it''s $15', $1", 1},
    {"SELECT '\\', $2", 2}, /* a backslash is no escape in a standard literal */
    {"SELECT E'\\'$15', $1", 1},
    {"SELECT e'\\\\', $2", 2},
    {"SELECT name'$15'", 0},
    {"SELECT U&'$15', $1", 1},
    {"SELECT \"col$15\", \"a\"\"$16\", $1", 1},
    {"SELECT col$15, $1", 1}, /* a name may hold a dollar */
    {"SELECT \xc3\xa9$15, $1", 1},
    {"SELECT $$ $15 $$, $1", 1},
    {"SELECT $tag$ $15 $$ $tagg$ $tag$, $2", 2},
    {"SELECT $t1$ $15 $t1$, $2", 2},
    {"SELECT $1 -- $15\n, $2", 2},
    {"SELECT /* $15 /* nested */ $16 */ $1", 1},
    {"SELECT $1 - -$2 / $3", 3},
    {"SELECT '$15", 0}, /* the server refuses what is never closed */
    {"SELECT $$ $15", 0},
    {"SELECT /* $15", 0},
    {"SELECT $", 0},
    {"SELECT $65535", 65535},
    {"SELECT $99999999999999999999", 65536},
};

TEST(only_parameters_count)
{
    for (size_t i = 0; i < ROWS(statements); i++)
        if (pg_highest_parameter(statements[i].text) != statements[i].highest)
            fail_msg("%s: %d", statements[i].text, pg_highest_parameter(statements[i].text));
}

RUN_TESTS(NULL, NULL)
