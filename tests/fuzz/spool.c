/*
 * spool.c: any bytes instead of the spool's file, or of its lines. A file that is not a spool is not
 * changed; only rows are drained, in their order; and draining always ends.
 *
 * The first byte chooses what the rest is: the lines after a good first line; the whole file; the
 * same two with the rest repeated a hundred times.
 */
#include "file/spool.h"

#include <string.h>

#include "file.h"

enum { HEADER_BYTES = 64, TIMES = 100, SIZE_MOST = 1200 };

static const char header[] =
    "{\"pgsasl_spool\":\"1\",\"drained\":\"00000000000000000064\"          }\n";

_Static_assert(sizeof header == HEADER_BYTES + 1, "the first line has 64 bytes");

/* The contents after the first line, and the end of the last row that was found in them. */
struct text {
    const char *at, *end;
    size_t rows;
};

/* Each row is a line of its own, after the last one. */
static void find_row(struct text *text, const struct spool_line *line)
{
    for (;;) {
        const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
        size_t length;

        MUST(newline != NULL);
        length = (size_t)(newline - text->at);
        text->at = newline + 1;
        if (length == line->len && memcmp(newline - length, line->text, length) == 0)
            return;
    }
}

static size_t take(void *context, const struct spool_line *lines, size_t count)
{
    struct text *text = context;

    MUST(count > 0 && count <= SPOOL_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        MUST(lines[i].len >= 2 && lines[i].len < SPOOL_LINE_MAX);
        MUST(strlen(lines[i].text) == lines[i].len);
        MUST(lines[i].text[0] == '{' && lines[i].text[lines[i].len - 1] == '}');
        find_row(text, &lines[i]);
        text->rows++;
    }
    return count;
}

static void report(void *context, const char *line)
{
    (void)context;
    MUST(strlen(line) < SPOOL_REPORT_MAX);
    for (; *line != '\0'; line++)
        MUST(*line >= ' ' && *line <= '~');
}

/* The number of rows from at on, counted in another way than in the spool. */
static size_t count_rows(const char *at, const char *end)
{
    size_t count = 0;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline == NULL ? end : newline) - at);
        int is_row =
            length >= 2 && length < SPOOL_LINE_MAX && at[0] == '{' && at[length - 1] == '}';

        for (size_t i = 0; i < length; i++)
            is_row &= at[i] >= ' ' && at[i] <= '~';
        count += (size_t)is_row;
        at += length + 1;
    }
    return count;
}

static void drain(struct spool *spool, const char *bytes, size_t size, size_t rows)
{
    struct text text = {bytes, bytes + size, 0};
    const struct spool_taker taker = {take, report, &text};

    MUST(spool_drain(spool, deadline_in(60000), &taker) == text.rows);
    MUST(text.rows == rows);
    MUST(spool_waiting(spool) == 0);
    MUST(spool_append(spool, "{}", 2, deadline_in(1000)) == NULL);
}

static void check(int fd, char *bytes, size_t size, int is_good)
{
    char error[256];
    struct spool *spool = spool_open(file_path(0), 1024, error, sizeof error);

    if (spool == NULL) {
        MUST(!is_good && file_is(fd, bytes, size));
    } else if (is_good) {
        /* Opening ends the last line. */
        bytes[size] = '\n';
        drain(spool, bytes + HEADER_BYTES, size + 1 - HEADER_BYTES,
            count_rows(bytes + HEADER_BYTES, bytes + size));
    }
    spool_close(spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char bytes[HEADER_BYTES + TIMES * SIZE_MOST + 1];
    size_t used = 0;
    int fd;

    if (size < 1 || size > SIZE_MOST)
        return 0;
    if (data[0] % 2 == 0) {
        memcpy(bytes, header, HEADER_BYTES);
        used = HEADER_BYTES;
    }
    for (int i = 0; i < (data[0] % 4 < 2 ? 1 : TIMES); i++) {
        memcpy(bytes + used, data + 1, size - 1);
        used += size - 1;
    }
    fd = file_make(0);
    file_put(fd, bytes, used, 0);
    check(fd, bytes, used, data[0] % 2 == 0);
    close(fd);
    return 0;
}
