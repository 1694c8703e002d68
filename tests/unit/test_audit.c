/*
 * test_audit.c: the rows of a spool reach a database that is slow, refuses some of them, or is down
 * for a while. Each is stored once, and the spool is empty at the end.
 *
 * The spool is a file; the database is a double, which counts how often it stored each row.
 */
#include "test.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/audit.h"
#include "file/spool.h"
#include "pg/pg.h"

enum { ROWS_MAX = 1200 };

/* ---- the database ---- */

static struct {
    int stored[ROWS_MAX]; /* how often each row was committed */
    bool poison[ROWS_MAX];
    bool at_commit; /* a poisonous row is refused only when its transaction commits */
    bool down;
    int row_ms, commit_ms;
    int batches, rows_sent;
    size_t largest;
} database;

static void pass_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

enum pg_answer pg_execute_all(struct pg *pg, const struct pg_query *query,
    const char *const *values, size_t count, struct deadline deadline, size_t *accepted_r)
{
    int ms = (int)count * database.row_ms + database.commit_ms;

    (void)pg;
    (void)query;
    database.batches++;
    database.rows_sent += (int)count;
    if (count > database.largest)
        database.largest = count;
    *accepted_r = 0;
    if (ms > deadline_left_ms(deadline) || database.down) {
        pass_ms(database.down ? 0 : deadline_left_ms(deadline));
        return PG_UNAVAILABLE;
    }
    pass_ms(ms);
    for (size_t i = 0; i < count; i++)
        if (database.poison[atoi(values[i] + 2)]) {
            *accepted_r = database.at_commit ? count : i;
            return PG_BAD_VALUES;
        }
    for (size_t i = 0; i < count; i++)
        database.stored[atoi(values[i] + 2)]++;
    return PG_OK;
}

enum pg_answer pg_execute(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline, struct pg_rows **rows_r)
{
    size_t accepted;

    *rows_r = NULL;
    return pg_execute_all(pg, query, values, 1, deadline, &accepted);
}

bool pg_send(struct pg *pg, const struct pg_query *query, const char *const *values,
    struct deadline deadline)
{
    (void)pg;
    (void)query;
    (void)values;
    (void)deadline;
    return true;
}

bool pg_enter(struct pg *pg, struct deadline deadline)
{
    (void)pg;
    (void)deadline;
    return true;
}

void pg_leave(struct pg *pg)
{
    (void)pg;
}

void pg_free(struct pg *pg)
{
    (void)pg;
}

void pg_forked(struct pg *pg)
{
    (void)pg;
}

const char *pg_error(const struct pg *pg)
{
    (void)pg;
    return "refused";
}

const char *pg_sent_error(const struct pg *pg)
{
    (void)pg;
    return "";
}

void pg_rows_free(struct pg_rows *rows)
{
    (void)rows;
}

/* ---- the spool and the log ---- */

static char path[64];
static int skipped;
static int rows;

static void count_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    (void)level;
    skipped += strstr(line, "spooled line skipped, refused: {") != NULL;
}

/* An audit whose spool contains count rows, {"0}, {"1} and so on. Free it with end(). */
static struct audit *audit_with(int count)
{
    static char pg; /* only its address is used */
    struct audit_parts parts = {
        .pg = (struct pg *)(void *)&pg, .failure_query = "SELECT $1", .log = {count_line, NULL}};
    const char *fault = NULL;
    char error[256];
    FILE *file;

    memset(&database, 0, sizeof database);
    skipped = 0;
    rows = count;
    strcpy(path, "/tmp/pgsasl-audit.XXXXXX");
    close(mkstemp(path));
    parts.spool = spool_open(path, 1024, error, sizeof error);
    assert_non_null(parts.spool);
    file = fopen(path, "a");
    assert_non_null(file);
    for (int i = 0; i < count; i++)
        fprintf(file, "{\"%d}\n", i);
    assert_int_equal(fclose(file), 0);
    return audit_new(&parts, &fault);
}

static bool all_are_stored(void)
{
    for (int i = 0; i < rows; i++)
        if (database.stored[i] != (database.poison[i] ? 0 : 1))
            return false;
    return true;
}

/* Drains until all rows are stored; returns how many calls that took, most + 1 if still too few. */
static int drain(struct audit *audit, int most)
{
    int attempts = 0;

    while (!all_are_stored() && attempts++ < most)
        audit_drain(audit, deadline_in(5000));
    return attempts;
}

static void end(struct audit *audit)
{
    int before = database.batches;

    audit_drain(audit, deadline_in(5000));
    assert_int_equal(database.batches, before); /* the spool is empty */
    audit_free(audit);
    unlink(path);
}

/* ---- tests ---- */

TEST(rows_are_moved_in_large_batches)
{
    struct audit *audit = audit_with(1000);

    assert_int_equal(drain(audit, 3), 1);
    assert_int_equal(database.largest, SPOOL_BATCH_MAX);
    assert_true(database.batches < 12);
    end(audit);
}

TEST(a_refused_row_loses_no_other)
{
    static const int places[][4] = {
        {0, 0, 0, 0}, {299, 299, 299, 299}, {100, 100, 100, 100}, {7, 8, 9, 10}, {0, 1, 255, 299}};

    for (size_t i = 0; i < 2 * ROWS(places); i++) {
        struct audit *audit = audit_with(300);
        int poisonous = 0;

        database.at_commit = i % 2 == 1;
        for (size_t k = 0; k < 4; k++)
            database.poison[places[i / 2][k]] = true;
        for (int k = 0; k < rows; k++)
            poisonous += database.poison[k];
        if (drain(audit, 5) > 5)
            fail_msg("case %zu", i);
        assert_int_equal(skipped, poisonous);
        end(audit);
    }
}

TEST(a_spool_of_refused_rows_is_emptied)
{
    struct audit *audit = audit_with(300);

    for (int i = 0; i < rows; i++)
        database.poison[i] = true;
    audit_drain(audit, deadline_in(5000));
    assert_int_equal(skipped, 300);
    end(audit);
}

/* 4 ms a row: a batch of 256 rows would take a second, which is longer than draining may take. */
TEST(a_slow_database_gets_small_batches)
{
    struct audit *audit = audit_with(150);
    int logins;

    database.row_ms = 4;
    logins = drain(audit, 20);
    assert_true(3 <= logins && logins <= 20);
    assert_int_equal(database.rows_sent, 150); /* no batch timed out */
    end(audit);
}

/* Batches get smaller, down to one row. */
TEST(a_batch_that_timed_out_is_followed_by_smaller_ones)
{
    struct audit *audit = audit_with(6);
    int logins;

    database.row_ms = 200; /* the first batch takes 1.2 s and has 450 ms */
    logins = drain(audit, 10);
    assert_true(3 <= logins && logins <= 10);
    assert_true(database.rows_sent > 6);
    end(audit);
}

/* It gets a pause of one second. */
TEST(a_database_that_is_down_is_not_queried_again_at_once)
{
    struct audit *audit = audit_with(10);

    database.down = true;
    audit_drain(audit, deadline_in(5000));
    assert_int_equal(database.batches, 1);
    audit_drain(audit, deadline_in(5000));
    assert_int_equal(database.batches, 1);
    database.down = false;
    pass_ms(1100);
    assert_int_equal(drain(audit, 1), 1);
    end(audit);
}

RUN_TESTS(NULL, NULL)
