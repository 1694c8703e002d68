/*
 * test_pgtext.c: arrays and timestamps as PostgreSQL writes them, and what it never writes.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "pg/pgtext.h"

enum { CAP = 4 };

static const struct {
    const char *text;
    int count;
    const char *elements[CAP];
} arrays[] = {
    {"{}", 0, {NULL}}, {"{a}", 1, {"a"}}, {"{a,b,c}", 3, {"a", "b", "c"}},
    {"{NULL,b}", 2, {NULL, "b"}}, {"{\"NULL\",null}", 2, {"NULL", "null"}},
    {"{\"\",\"a b\",\"{x,y}\"}", 3, {"", "a b", "{x,y}"}},
    {"{\"q\\\"uote\",\"back\\\\slash\"}", 2, {"q\"uote", "back\\slash"}},
    {"{$2b$10$abc/.,\"2026-01-31 12:00:00+00\"}", 2, {"$2b$10$abc/.", "2026-01-31 12:00:00+00"}},
    {"{a,b,c,d,e,f}", 4, {"a", "b", "c", "d"}}, /* more than the caller has room for */
    {"", -1, {NULL}}, {"a", -1, {NULL}}, {"{", -1, {NULL}}, {"{a", -1, {NULL}}, {"{a,", -1, {NULL}},
    {"{a,}", -1, {NULL}}, {"{,a}", -1, {NULL}}, {"{a}b", -1, {NULL}}, {"{\"a}", -1, {NULL}},
    {"{\"a\\", -1, {NULL}}, {"{\"a\"b}", -1, {NULL}},
    {"{{a},{b}}", -1, {NULL}},   /* of two dimensions */
    {"[0:1]={a,b}", -1, {NULL}}, /* with bounds */
};

TEST(arrays_are_read)
{
    for (size_t i = 0; i < ROWS(arrays); i++) {
        char text[64];
        char *elements[CAP];
        int count;

        strcpy(text, arrays[i].text);
        count = pgtext_array(text, elements, CAP);
        if (count != arrays[i].count)
            fail_msg("%s: %d elements", arrays[i].text, count);
        for (int k = 0; k < count; k++)
            if ((elements[k] == NULL) != (arrays[i].elements[k] == NULL) ||
                (elements[k] != NULL && strcmp(elements[k], arrays[i].elements[k]) != 0))
                fail_msg("%s: element %d", arrays[i].text, k);
    }
}

static const struct {
    const char *text;
    bool good;
    int64_t us;
} times[] = {
    {"1970-01-01 00:00:00+00", true, 0},
    {"2026-11-24 03:00:00+00", true, 1795489200000000},
    {"2026-11-24 04:30:00+01:30", true, 1795489200000000},
    {"2026-11-23 23:30:00-03:30", true, 1795489200000000},
    {"2026-11-24 03:19:32.25+00:19:32", true, 1795489200250000},
    {"2026-11-24 03:00:00.000001+00", true, 1795489200000001},
    {"infinity", true, INT64_MAX},
    {"-infinity", true, INT64_MIN},
    {NULL, false, 0},
    {"", false, 0},
    {"2026-11-24", false, 0},
    {"2026-11-24 03:00:00", false, 0},          /* without a zone */
    {"24/11/2026 03:00:00 UTC", false, 0},      /* DateStyle SQL */
    {"Tue 24 Nov 03:00:00 2026 UTC", false, 0}, /* DateStyle Postgres */
    {"24.11.2026 03:00:00 UTC", false, 0},      /* DateStyle German */
    {"12026-11-24 03:00:00+00", false, 0},
    {"2026-11-24 03:00:00+00 BC", false, 0},
    {"2026-11-24 03:00:00+", false, 0},
    {"2026-11-24 03:00:00+-1", false, 0},
    {"2026-11-24 03:00:00+1", false, 0},
    {"2026-11-24 03:00:00+00:+1", false, 0},
    {"2026-11-24 03:00:00+00:00:00:00", false, 0},
    {"+026-11-24 03:00:00+00", false, 0},
    {"2026- 1-24 03:00:00+00", false, 0},
};

TEST(times_are_read)
{
    for (size_t i = 0; i < ROWS(times); i++) {
        int64_t us;
        bool good = pgtext_time(times[i].text, &us);

        if (good != times[i].good || (good && us != times[i].us))
            fail_msg("%s: %lld", times[i].text == NULL ? "NULL" : times[i].text, (long long)us);
    }
}

RUN_TESTS(NULL, NULL)
