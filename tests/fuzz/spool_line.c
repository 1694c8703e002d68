/*
 * spool_line.c: any line in the spool. What is read can be written, and is then read as the same.
 */
#include "file/spool_line.h"

#include "fuzz.h"

static const char *const names[] = {"attempt_id", "username", "detail"};

enum { NAMES = sizeof names / sizeof *names, OCTETS_EACH = 6, FRAME = 64 };

static void write_and_read(const char *const *values, size_t size)
{
    const char *again[NAMES];
    size_t cap = NAMES * size * OCTETS_EACH + FRAME;
    char *line = malloc(cap);
    size_t length;

    MUST(line != NULL);
    length = spool_line_write(line, cap, names, values, NAMES);
    MUST(length > 0 && length <= cap && line[length - 1] == '\n');
    line[length - 1] = '\0';
    MUST(spool_line_read(line, names, again, NAMES));
    for (size_t i = 0; i < NAMES; i++)
        MUST(values[i] == NULL ? again[i] == NULL : strcmp(values[i], again[i]) == 0);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *values[NAMES];
    char *line = string_of(data, size);

    if (spool_line_read(line, names, values, NAMES)) {
        for (size_t i = 0; i < NAMES; i++)
            MUST(values[i] == NULL || (values[i] > line && values[i] < line + size));
        write_and_read(values, size);
    }
    free(line);
    return 0;
}
