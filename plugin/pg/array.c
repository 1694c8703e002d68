/*
 * array.c: reads the text form of PostgreSQL's arrays.
 *
 * Accepts only what the server writes. Errors are return values.
 */
#include "pg/array.h"

#include <stdbool.h>
#include <string.h>

/* Unquotes "..." at *at_io in place. Returns the element, NULL if it has no closing quote. */
static char *quoted(char **at_io)
{
    char *start = *at_io + 1;
    char *from = start;
    char *to = start;

    while (*from != '"' && *from != '\0') {
        if (*from == '\\' && from[1] != '\0')
            from++;
        *to++ = *from++;
    }
    if (*from == '\0')
        return NULL;
    *at_io = from + 1;
    *to = '\0';
    return start;
}

int array_split(char *text_io, char **elements_r, int cap)
{
    char *at = text_io;
    int count = 0;

    if (*at++ != '{')
        return -1;
    if (strcmp(at, "}") == 0)
        return 0;
    for (;;) {
        bool is_quoted = *at == '"';
        char *element = is_quoted ? quoted(&at) : at;
        char end;

        if (element == NULL)
            return -1;
        if (!is_quoted)
            at += strcspn(at, ",{}\"\\");
        end = *at;
        if ((end != ',' && end != '}') || (!is_quoted && at == element))
            return -1;
        *at++ = '\0';
        if (count < cap)
            elements_r[count++] = !is_quoted && strcmp(element, "NULL") == 0 ? NULL : element;
        if (end == '}')
            return *at == '\0' ? count : -1;
    }
}
