/*
 * test_array.c: arrays that PostgreSQL writes are split; anything else is refused.
 */
#include "test.h"

#include <string.h>

#include "pg/array.h"

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

TEST(arrays_are_split_as_the_server_writes_them)
{
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        char text[64];
        char *elements[CAP];
        int count;

        strcpy(text, arrays[i].text);
        count = array_split(text, elements, CAP);
        if (count != arrays[i].count)
            fail_msg("%s: %d elements", arrays[i].text, count);
        for (int k = 0; k < count; k++)
            if ((elements[k] == NULL) != (arrays[i].elements[k] == NULL) ||
                (elements[k] != NULL && strcmp(elements[k], arrays[i].elements[k]) != 0))
                fail_msg("%s: element %d", arrays[i].text, k);
    }
}

RUN_TESTS(NULL, NULL)
