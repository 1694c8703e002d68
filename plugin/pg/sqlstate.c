/*
 * sqlstate.c: the one place that interprets SQLSTATEs.
 *
 * An SQLSTATE that is not in the table means that the query is wrong: an operator must fix it.
 */
#include "pg/sqlstate.h"

#include <stddef.h>
#include <string.h>

/* SQLSTATEs and their prefixes. The first match counts. */
static const struct {
    const char *prefix;
    enum run run;
} known[] = {
    {"08", RUN_LOST},              /* connection exception */
    {"57P", RUN_LOST},             /* shutdown, crash, starting up */
    {"25006", RUN_LOST},           /* read-only: a primary that became a standby */
    {"26000", RUN_LOST},           /* prepared statement gone */
    {"42P05", RUN_LOST},           /* prepared statement exists already */
    {"0A000", RUN_LOST},           /* cached plan must not change result type */
    {"57014", RUN_BUSY},           /* cancelled by the statement timeout */
    {"40", RUN_BUSY},              /* serialization, deadlock */
    {"53", RUN_BUSY},              /* memory, disk, connections */
    {"55", RUN_BUSY},              /* lock not available */
    {"58", RUN_BUSY},              /* system error */
    {"22P05", RUN_UNTRANSLATABLE}, /* untranslatable character */
    {"22", RUN_BAD_VALUES},        /* data exception */
    {"23", RUN_BAD_VALUES},        /* a constraint is violated */
};

enum run sqlstate_judge(const char *sqlstate)
{
    if (sqlstate == NULL)
        return RUN_LOST;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(sqlstate, known[i].prefix, strlen(known[i].prefix)) == 0)
            return known[i].run;
    return RUN_REFUSED;
}

bool sqlstate_is_from_pooler(const char *sqlstate)
{
    return sqlstate != NULL && (strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "42P05") == 0);
}
