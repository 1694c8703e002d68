/*
 * test_log.c: one event is one log line, whatever its text; and the arithmetic of deadlines.
 */
#include "test.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/deadline.h"
#include "base/log.h"

struct seen {
    unsigned lines;
    enum log_level level;
    char last[2 * LOG_LINE_MAX];
};

static void collect(void *context, enum log_level level, const char *line)
{
    struct seen *seen = context;

    seen->lines++;
    seen->level = level;
    assert_true(strlen(line) <= LOG_LINE_MAX);
    strcpy(seen->last, line);
}

TEST(a_line_is_prefixed_and_masked)
{
    static const struct {
        const char *proves, *text, *want;
    } cases[] = {
        {"plain text", "rejected", "pgsasl: rejected"},
        {"nothing", "", "pgsasl: "},
        {"a forged second line", "a\r\npgsasl: b", "pgsasl: a??pgsasl: b"},
        {"tab, escape, DEL", "a\tb\x1b[2J\x7f", "pgsasl: a?b?[2J?"},
        {"UTF-8 of the server's own messages", "f\xc3\xbcr", "pgsasl: f\xc3\xbcr"},
        {"a percent sign is text", "100%s", "pgsasl: 100%s"},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct seen seen = {0};
        const struct log_sink sink = {collect, &seen};

        log_line(&sink, LOG_FAILURE, "%s", cases[i].text);
        if (seen.lines != 1 || seen.level != LOG_FAILURE || strcmp(seen.last, cases[i].want) != 0)
            fail_msg("%s: \"%s\"", cases[i].proves, seen.last);
    }
}

TEST(a_long_line_is_cut_with_dots)
{
    static const char prefix[] = "pgsasl: ";
    static const struct {
        size_t text, line;
    } cases[] = {
        {LOG_LINE_MAX - (sizeof prefix - 1), LOG_LINE_MAX},
        {LOG_LINE_MAX - (sizeof prefix - 1) + 1, LOG_LINE_MAX},
        {3 * LOG_LINE_MAX, LOG_LINE_MAX},
    };
    static char text[3 * LOG_LINE_MAX + 1];

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct seen seen = {0};
        const struct log_sink sink = {collect, &seen};

        memset(text, 'a', cases[i].text);
        text[cases[i].text] = '\0';
        log_line(&sink, LOG_PROBLEM, "%s", text);
        assert_int_equal(strlen(seen.last), cases[i].line);
        assert_string_equal(seen.last + cases[i].line - 4, i == 0 ? "aaaa" : "a...");
    }
}

TEST(no_sink_drops_the_line)
{
    const struct log_sink none = {NULL, NULL};

    log_line(&none, LOG_PROBLEM, "%s", "dropped");
    log_line(NULL, LOG_PROBLEM, "%s", "dropped");
}

TEST(a_deadline_saturates)
{
    static const struct {
        const char *proves;
        int64_t timeout_ms;
        int least, most;
    } cases[] = {
        {"a minute", 60000, 1, 60000},
        {"now", 0, 0, 0},
        {"past", -5, 0, 0},
        {"long past", INT64_MIN, 0, 0},
        {"more than poll(2) takes", (int64_t)INT_MAX + 3600000, INT_MAX, INT_MAX},
        {"for ever", INT64_MAX, INT_MAX, INT_MAX},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        int left = deadline_left_ms(deadline_in(cases[i].timeout_ms));

        if (left < cases[i].least || left > cases[i].most)
            fail_msg("%s: %d ms left", cases[i].proves, left);
    }
    assert_int_equal(deadline_left_ms((struct deadline){INT64_MIN}), 0);
}

TEST(within_returns_the_earlier_deadline)
{
    struct deadline near = deadline_in(0);
    struct deadline far = deadline_in(3600000);

    assert_true(deadline_within(near, 3600000).at_ms == near.at_ms);
    assert_true(deadline_within(far, INT64_MAX).at_ms == far.at_ms);
    assert_true(deadline_within(far, 60000).at_ms < far.at_ms);
    assert_true(deadline_left_ms(deadline_within(far, 60000)) <= 60000);
}

RUN_TESTS(NULL, NULL)
