/*
 * pgtext.c: reads PostgreSQL's text forms of arrays and timestamps.
 *
 * Takes what the server writes and nothing else: a text in another style (DateStyle) is refused,
 * never guessed at.
 */
#include "pg/pgtext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- arrays ---- */

/* Unquotes "..." at *at_io in place; the element, or NULL where it has no end. */
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

int pgtext_array(char *text_io, char **elements_r, int cap)
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

/* ---- timestamps ---- */

/* ".5" is 500,000. Moves *at_io past it. */
static int64_t fraction(const char **at_io)
{
    int64_t value = 0;
    int64_t unit = 100000;

    if (**at_io != '.')
        return 0;
    for (++*at_io; **at_io >= '0' && **at_io <= '9'; ++*at_io, unit /= 10)
        value += (**at_io - '0') * unit;
    return value;
}

/* Whether text begins like the first length octets of shape, where a 0 is any digit. */
static bool is_like(const char *text, const char *shape, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return false;
    return true;
}

/* "+01", "-03:30", "+00:19:32": seconds east of UTC. */
static bool zone(const char *text, int64_t *seconds_r)
{
    size_t length = strlen(text);
    int part[3] = {0};

    if ((length != 3 && length != 6 && length != 9) || (*text != '+' && *text != '-') ||
        !is_like(text + 1, "00:00:00", length - 1))
        return false;
    sscanf(text + 1, "%2d:%2d:%2d", &part[0], &part[1], &part[2]);
    *seconds_r = (part[0] * 60 + part[1]) * 60 + part[2];
    if (*text == '-')
        *seconds_r = -*seconds_r;
    return true;
}

bool pgtext_time(const char *text, int64_t *us_r)
{
    static const char shape[] = "0000-00-00 00:00:00";
    struct tm tm = {0};
    int64_t us, east;

    *us_r = INT64_MIN;
    if (text == NULL)
        return false;
    if (strcmp(text, "infinity") == 0)
        *us_r = INT64_MAX;
    if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0)
        return true;
    if (!is_like(text, shape, sizeof shape - 1))
        return false;
    sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
        &tm.tm_min, &tm.tm_sec);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    text += sizeof shape - 1;
    us = fraction(&text);
    if (!zone(text, &east))
        return false;
    *us_r = ((int64_t)timegm(&tm) - east) * 1000000 + us;
    return true;
}
