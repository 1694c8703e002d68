/*
 * log.c: writes one log line per event through the host's callback.
 *
 * The line is built on the stack, prefixed and cut. Callers escape what comes from clients. As a
 * last defence control characters are masked here, so one event can never look like two.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void mask_controls(char *line)
{
    for (; *line != '\0'; line++) {
        if ((unsigned char)*line < 0x20 || *line == 0x7f)
            *line = '?';
    }
}

void log_line(const struct log_sink *sink, enum log_level level, const char *format, ...)
{
    static const char prefix[] = "pgsasl: ";
    static const char dots[] = "...";
    char line[LOG_LINE_MAX + 1];
    const size_t room = sizeof line - (sizeof prefix - 1);
    char *text = line + sizeof prefix - 1;
    va_list arguments;
    int len;

    if (sink == NULL || sink->emit == NULL)
        return;
    memcpy(line, prefix, sizeof prefix);
    va_start(arguments, format);
    len = vsnprintf(text, room, format, arguments);
    va_end(arguments);
    if (len < 0)
        strcpy(text, "a line that could not be formatted");
    else if ((size_t)len >= room)
        memcpy(line + sizeof line - sizeof dots, dots, sizeof dots);
    mask_controls(line);
    sink->emit(sink->context, level, line);
}
