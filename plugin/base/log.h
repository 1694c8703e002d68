/*
 * log.h: writes one log line per event through the host's callback.
 *
 * Lines begin with "pgsasl: ". They contain client bytes only as text_escape() renders them, and
 * never a password or a hash.
 */
#ifndef PGSASL_BASE_LOG_H
#define PGSASL_BASE_LOG_H

enum log_level {
    LOG_PROBLEM, /* the operator can do something about it */
    LOG_FAILURE  /* an attempt was not accepted */
};

enum { LOG_LINE_MAX = 4096 }; /* bytes of one line, cut past that */

/* Where lines go. emit must not keep the pointer to the line. A NULL emit drops lines. */
struct log_sink {
    void (*emit)(void *context, enum log_level level, const char *line);
    void *context;
};

/* Formats and emits one line. Does not allocate or block, unless the host's emit does. */
void log_line(const struct log_sink *sink, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
