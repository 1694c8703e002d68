/*
 * parameters.c: finds the parameters of a statement that an operator wrote.
 *
 * Follows PostgreSQL's lexical rules (manual, 4.1) as far as they distinguish a parameter from the
 * same characters in a literal, a quoted name or a comment. A literal or comment that is never
 * closed extends to the end; the server reports that error.
 */
#include "pg/pg.h"

#include <string.h>

enum { PARAMETER_MAX = 65535 };

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Returns the position after the closing quote. A doubled quote is read as two quoted parts. */
static const char *skip_quoted(const char *at, bool backslashes)
{
    char quote = *at++;

    for (; *at != '\0'; at++) {
        if (*at == '\\' && backslashes && at[1] != '\0')
            at++;
        else if (*at == quote)
            return at + 1;
    }
    return at;
}

/* Returns the position after the comment. Comments nest. */
static const char *skip_comment(const char *at)
{
    int depth = 0;

    for (; *at != '\0'; at++) {
        if (at[0] == '/' && at[1] == '*') {
            depth++;
            at++;
        } else if (at[0] == '*' && at[1] == '/') {
            at++;
            if (--depth == 0)
                return at + 1;
        }
    }
    return at;
}

/* Returns the position after a name or keyword. E'...' is a literal with backslashes. */
static const char *skip_word(const char *at)
{
    const char *start = at;

    while (is_letter(*at) || is_digit(*at) || *at == '$')
        at++;
    if (*at == '\'' && at == start + 1 && (*start == 'e' || *start == 'E'))
        return skip_quoted(at, true);
    return at;
}

/* Returns the position after $tag$...$tag$, or after the '$' where no such literal begins. */
static const char *skip_dollar_quoted(const char *at)
{
    const char *end = at + 1;
    size_t tag;

    while (is_letter(*end) || (is_digit(*end) && end > at + 1))
        end++;
    if (*end != '$')
        return at + 1;
    tag = (size_t)(end + 1 - at);
    for (end++; *end != '\0'; end++)
        if (strncmp(end, at, tag) == 0)
            return end + tag;
    return end;
}

/* Reads the digits at *at_io and moves it past them. */
static int read_number(const char **at_io)
{
    int number = 0;

    for (; is_digit(**at_io); ++*at_io)
        if (number <= PARAMETER_MAX)
            number = number * 10 + (**at_io - '0');
    return number <= PARAMETER_MAX ? number : PARAMETER_MAX + 1;
}

int pg_highest_parameter(const char *text)
{
    int highest = 0;

    while (*text != '\0') {
        if (*text == '$' && is_digit(text[1])) {
            int number;

            text++;
            number = read_number(&text);
            highest = number > highest ? number : highest;
        } else if (*text == '$') {
            text = skip_dollar_quoted(text);
        } else if (*text == '\'' || *text == '"') {
            text = skip_quoted(text, false);
        } else if (text[0] == '-' && text[1] == '-') {
            text += strcspn(text, "\n");
        } else if (text[0] == '/' && text[1] == '*') {
            text = skip_comment(text);
        } else {
            text = is_letter(*text) ? skip_word(text) : text + 1;
        }
    }
    return highest;
}
