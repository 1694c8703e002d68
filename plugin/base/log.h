/*
 * log.h: one line an event, through whatever the host gave us for it.
 *
 * Lines begin "pgsasl: " and hold no client byte that text_escape() has not seen, no password and
 * no hash.
 */
#ifndef PGSASL_BASE_LOG_H
#define PGSASL_BASE_LOG_H

enum log_level {
    LOG_PROBLEM, /* the operator can do something about it */
    LOG_FAILURE  /* an attempt was not accepted */
};

enum { LOG_LINE_MAX = 4096 }; /* bytes of one line, cut past that */

/* Where lines go. emit must not keep line. A NULL emit drops them. */
struct log_sink {
    void (*emit)(void *context, enum log_level level, const char *line);
    void *context;
};

/* Formats and emits one line. Does not allocate or block, beyond what the host's emit does. */
void log_line(const struct log_sink *sink, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
