/*
 * test_secret.c: no secret stays in memory after use, and secret.h does what it says.
 *
 * Stack: the code runs in a thread whose stack is memory of the test's, which is then searched for
 * the secret, including the frames that have returned. Heap: options.c is compiled in here with a
 * free() that searches each block first. Each search has a control that leaves a secret behind and
 * must find it, so a search that finds nothing at all fails.
 */
#include "test.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "sasl/wire.h"

/* Every free() of options.c comes through here. */
static void search_and_free(void *block);
#define free(block) search_and_free(block)
#include "base/options.c" /* instead of the library's own */
#undef free

/* Read through a pointer, so that the compiler does not put it into instructions. */
#define SECRET "zQ7-unlikely-S3cret-f0r-a-search"

static bool holds_secret(const volatile unsigned char *at, size_t len)
{
    static const char secret[] = SECRET;
    size_t same;

    for (size_t i = 0; i + sizeof secret - 1 <= len; i++) {
        for (same = 0; same < sizeof secret - 1 && at[i + same] == (unsigned char)secret[same];)
            same++;
        if (same == sizeof secret - 1)
            return true;
    }
    return false;
}

/* The stack */

enum { STACK_SIZE = 1024 * 1024, MARGIN = 128 * 1024 };

static unsigned char *stack;

struct job {
    void (*run)(void *argument);
    void *argument;
};

/* The margin keeps what a thread does at its end, much under a sanitizer, off the job's frames. */
static void *run_below_margin(void *argument)
{
    const struct job *job = argument;
    volatile unsigned char margin[MARGIN];

    margin[0] = 0;
    job->run(job->argument);
    margin[MARGIN - 1] = margin[0];
    return NULL;
}

static void on_own_stack(void (*run)(void *argument), void *argument)
{
    struct job job = {run, argument};
    pthread_attr_t attributes;
    pthread_t thread;

    memset(stack, 0, STACK_SIZE);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_below_margin, &job), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
}

/* One exchange as a mechanism has it: credentials on the stack, parsed, used, wiped or not. */
struct exchange {
    const char *proves;
    const char *plain; /* NULL: LOGIN */
    size_t plain_len;
    const char *name;
    const char *password;
    size_t password_len;
    bool fault;
    bool wipe;
    bool left_behind;
    bool fault_seen;
};

static void run_exchange(void *argument)
{
    struct exchange *exchange = argument;
    struct credentials credentials = {0};
    const char *fault;

    if (exchange->plain != NULL) {
        fault = wire_parse_plain(exchange->plain, exchange->plain_len, &credentials);
    } else {
        (void)wire_take_name(exchange->name, strlen(exchange->name), &credentials);
        fault = wire_take_password(exchange->password, exchange->password_len, &credentials);
    }
    exchange->fault_seen = fault != NULL;
    if (exchange->wipe)
        credentials_wipe(&credentials);
}

#define PLAIN(message) BYTES(message), NULL, NULL, 0
#define LOGIN(name, password) NULL, 0, name, BYTES(password)

TEST(the_stack_holds_no_password)
{
    static struct exchange cases[] = {
        {"control: PLAIN without wiping", PLAIN("\0user\0" SECRET), .left_behind = true},
        {"control: LOGIN without wiping", LOGIN("user", SECRET), .left_behind = true},
        {"PLAIN, wiped", PLAIN("\0user\0" SECRET), .wipe = true},
        {"LOGIN, wiped", LOGIN("user", SECRET), .wipe = true},
        /* Here the test does not wipe the credentials: the parser itself must leave nothing. */
        {"no NUL", PLAIN(SECRET), .fault = true},
        {"one NUL, at the front", PLAIN("\0" SECRET), .fault = true},
        {"one NUL, between", PLAIN("user\0" SECRET), .fault = true},
        {"password in second place", PLAIN("user\0" SECRET "\0"), .fault = true},
        {"three NULs", PLAIN("\0user\0" SECRET "\0"), .fault = true},
        {"empty name", PLAIN("\0\0" SECRET), .fault = true},
        {"name is not UTF-8", PLAIN("\0\xff\0" SECRET), .fault = true},
        {"authzid is not UTF-8", PLAIN("\xff\0user\0" SECRET), .fault = true},
        {"password is not UTF-8", PLAIN("\0user\0" SECRET "\xff"), .fault = true},
        {"LOGIN, bad name", LOGIN("\xff", SECRET), .fault = true},
        {"LOGIN, no name", LOGIN("", SECRET), .fault = true},
        {"LOGIN, password is not UTF-8", LOGIN("user", SECRET "\xff"), .fault = true},
        {"LOGIN, password holds a NUL", LOGIN("user", SECRET "\0"), .fault = true},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        on_own_stack(run_exchange, &cases[i]);
        if (holds_secret(stack, STACK_SIZE) != cases[i].left_behind ||
            cases[i].fault_seen != cases[i].fault)
            fail_msg("%s", cases[i].proves);
    }
}

/* A password that was already stored is wiped when a later message is malformed. */
TEST(a_later_fault_wipes_the_password)
{
    struct credentials credentials = {0};

    assert_null(wire_take_name(BYTES("user"), &credentials));
    assert_null(wire_take_password(BYTES(SECRET), &credentials));
    assert_true(holds_secret((unsigned char *)&credentials, sizeof credentials));
    assert_non_null(wire_take_password(BYTES("\xff"), &credentials));
    assert_false(holds_secret((unsigned char *)&credentials, sizeof credentials));
}

TEST(credentials_wipe_clears_the_whole_capacity)
{
    static const struct credentials zero;
    struct credentials credentials;

    memset(&credentials, 'X', sizeof credentials);
    credentials_wipe(&credentials);
    assert_memory_equal(&credentials, &zero, sizeof zero);
    credentials_wipe(NULL);
}

/* The heap */

static struct {
    unsigned blocks;
    unsigned with_secret;
} freed;

static void search_and_free(void *block)
{
    if (block != NULL) {
        freed.blocks++;
        if (holds_secret(block, malloc_usable_size(block)))
            freed.with_secret++;
    }
    free(block);
}

static char directory[] = "/tmp/test_secret.XXXXXX";
static char path[sizeof directory + 16];

struct setting {
    const char *name, *value;
};

static const char *get_setting(void *context, const char *name)
{
    for (const struct setting *setting = context; setting->name != NULL; setting++) {
        if (strcmp(setting->name, name) == 0)
            return setting->value;
    }
    return NULL;
}

static void search_line(void *context, enum log_level level, const char *line)
{
    unsigned *lines = context;

    (void)level;
    assert_false(holds_secret((const unsigned char *)line, strlen(line)));
    ++*lines;
}

struct reading {
    struct setting settings[4];
    enum options_result result;
    unsigned lines;
};

static void read_and_free(void *argument)
{
    struct reading *reading = argument;
    const struct options_source source = {get_setting, reading->settings};
    const struct log_sink log = {search_line, &reading->lines};
    struct options options;

    reading->result = options_read(&source, &log, &options);
    options_free(&options);
}

static void write_file(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    setbuf(file, NULL);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

TEST(the_heap_search_finds_a_secret)
{
    char *block = strdup(SECRET);

    assert_non_null(block);
    memset(&freed, 0, sizeof freed);
    search_and_free(block);
    assert_int_equal(freed.blocks, 1);
    assert_int_equal(freed.with_secret, 1);
}

/* Not on the heap, not on the stack, not in a log line; whether the options are valid or not. */
TEST(options_leave_no_conninfo)
{
    static struct {
        const char *proves;
        struct setting settings[4];
        const char *file;
        size_t file_len;
        enum options_result want;
        unsigned lines;
        unsigned least_freed;
    } cases[] = {
        {"from options", {{"pgsasl_conninfo", SECRET}, {"pgsasl_audit_conninfo", SECRET}},
            BYTES(""), OPTIONS_OK, 0, 4},
        {"secrets in queries", {{"pgsasl_conninfo", SECRET}, {"pgsasl_user_query", SECRET}},
            BYTES(""), OPTIONS_OK, 0, 3},
        {"from a file", {{"pgsasl_conninfo_file", path}}, BYTES(SECRET "\n"), OPTIONS_OK, 0, 5},
        {"a file at fault", {{"pgsasl_conninfo_file", path}}, BYTES(SECRET "\0x"), OPTIONS_INVALID,
            1, 4},
        {"both set", {{"pgsasl_conninfo", SECRET}, {"pgsasl_conninfo_file", path}}, BYTES(SECRET),
            OPTIONS_INVALID, 1, 4},
        {"another option at fault", {{"pgsasl_conninfo", SECRET}, {"pgsasl_diagnose", "perhaps"}},
            BYTES(""), OPTIONS_INVALID, 1, 3},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct reading reading = {.lines = 0};

        memcpy(reading.settings, cases[i].settings, sizeof reading.settings);
        write_file(cases[i].file, cases[i].file_len);
        memset(&freed, 0, sizeof freed);
        on_own_stack(read_and_free, &reading);
        if (reading.result != cases[i].want || reading.lines != cases[i].lines)
            fail_msg(
                "%s: result %d, %u lines", cases[i].proves, (int)reading.result, reading.lines);
        if (freed.blocks < cases[i].least_freed || freed.with_secret > 0)
            fail_msg("%s: %u of %u freed blocks hold it", cases[i].proves, freed.with_secret,
                freed.blocks);
        if (holds_secret(stack, STACK_SIZE))
            fail_msg("%s: the stack holds it", cases[i].proves);
    }
}

/* secret.h itself */

TEST(wipe_clears_exactly_its_capacity)
{
    unsigned char bytes[34];

    memset(bytes, 'X', sizeof bytes);
    secret_wipe(bytes + 1, 32);
    assert_int_equal(bytes[0], 'X');
    assert_int_equal(bytes[33], 'X');
    for (size_t i = 1; i <= 32; i++)
        assert_int_equal(bytes[i], 0);
    secret_wipe(NULL, 32);
}

TEST(wipe_string_stops_at_its_end)
{
    char bytes[] = SECRET "\0after";

    secret_wipe_string(bytes);
    for (size_t i = 0; i < sizeof SECRET; i++)
        assert_int_equal(bytes[i], 0);
    assert_string_equal(bytes + sizeof SECRET, "after");
    secret_wipe_string(NULL);
}

TEST(equal_compares_all_bytes)
{
    static const struct {
        const char *proves, *a, *b;
        size_t n;
        bool want;
    } cases[] = {
        {"nothing", "a", "b", 0, true},
        {"the same", "secret", "secret", 6, true},
        {"first differs", "secret", "Secret", 6, false},
        {"last differs", "secret", "secreT", 6, false},
        {"past n does not count", "secret", "secreT", 5, true},
        {"NUL does not end it", "a\0b", "a\0c", 3, false},
        {"one bit", "\x80", "\x00", 1, false},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        if (secret_equal(cases[i].a, cases[i].b, cases[i].n) != cases[i].want)
            fail_msg("%s", cases[i].proves);
    }
}

TEST(random_bytes_differ)
{
    unsigned char first[34] = {0};
    unsigned char second[34] = {0};

    assert_true(secret_random(first + 1, 32));
    assert_true(secret_random(second + 1, 32));
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(first[0] | first[33] | second[0] | second[33], 0);
    assert_true(secret_random(first, 0));
}

/* What the double of getrandom(2) does next. */
static int interruptions;
static bool getrandom_fails;

ssize_t getrandom(void *out, size_t n, unsigned flags)
{
    if (getrandom_fails || interruptions-- > 0) {
        errno = getrandom_fails ? EAGAIN : EINTR;
        return -1;
    }
    return syscall(SYS_getrandom, out, n > 5 ? 5 : n, flags);
}

TEST(random_bytes_come_in_pieces)
{
    unsigned char bytes[64] = {0};
    size_t zeros = 0;

    interruptions = 3;
    assert_true(secret_random(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        zeros += bytes[i] == 0;
    assert_true(zeros <= 16);
}

TEST(a_failed_getrandom_leaves_zeros)
{
    unsigned char bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const unsigned char nothing[8] = {0};

    getrandom_fails = true;
    assert_false(secret_random(bytes, sizeof bytes));
    getrandom_fails = false;
    assert_memory_equal(bytes, nothing, sizeof bytes);
}

static int set_up(void **state)
{
    (void)state;
    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/conninfo", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)munmap(stack, STACK_SIZE);
    (void)unlink(path);
    return rmdir(directory);
}

RUN_TESTS(set_up, tear_down)
