/*
 * options.c: any values of the options, and any text of a file with a connection string. Accepted
 * values are within their bounds, and no log line is longer than it may be.
 *
 * The input is lines of the form "name: value". A file option's value is what its file holds.
 */
#include "base/options.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "pg/pg.h"

static char path[64];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    MUST(file != NULL);
    fputs(text, file);
    MUST(fclose(file) == 0);
}

/* The input with its newlines made NULs. */
struct input {
    const char *at, *end;
};

static const char *get(void *context, const char *name)
{
    const struct input *input = context;

    for (const char *line = input->at; line < input->end; line += strlen(line) + 1) {
        size_t length = strcspn(line, ":");

        if (length != strlen(name) || strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        if (strstr(name, "_file") == NULL || strcmp(name, "pgsasl_spool_file") == 0)
            return line + length + 1;
        write_file(line + length + 1);
        return path;
    }
    return NULL;
}

static void check_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    MUST(level == LOG_PROBLEM && strlen(line) <= LOG_LINE_MAX);
    for (; *line != '\0'; line++)
        MUST(*line >= ' ' && *line <= '~');
}

static void remove_file(void)
{
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);
    struct input input = {text, text + size};
    const struct options_source source = {get, &input};
    const struct log_sink log = {check_line, NULL};
    struct options options;
    enum options_result result;

    if (path[0] == '\0') {
        snprintf(path, sizeof path, "/tmp/pgsasl-fuzz-options.%ld", (long)getpid());
        write_file("");
        MUST(chmod(path, 0600) == 0);
        atexit(remove_file);
    }
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n')
            text[i] = '\0';
    result = options_read(&source, &log, &options);
    if (result != OPTIONS_NOT_CONFIGURED) {
        MUST(options.timeout_ms >= 100 && options.timeout_ms <= 60000);
        MUST(options.spool_max_kb >= 64 && options.spool_max_kb <= 1048576);
        MUST(options.verified_cache_ttl_s >= 1 && options.verified_cache_ttl_s <= 86400);
        MUST(options.spool_file == NULL || options.spool_file[0] == '/');
        MUST(pg_highest_parameter(options.user_query) <= 65536);
    }
    MUST(result != OPTIONS_OK || options.conninfo != NULL);
    options_free(&options);
    free(text);
    return 0;
}
