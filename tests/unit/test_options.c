/*
 * test_options.c: the table of options, the values that are accepted, and the one log line for each
 * value that is not.
 *
 * The host is an array of names and values; log lines are collected. Files are created in a
 * temporary directory.
 */
#include "test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"

#define SECRET "password=s3cret-in-c0nninfo"

struct setting {
    const char *name, *value;
};

static char directory[] = "/tmp/test_options.XXXXXX";
static char path[sizeof directory + 16];

static struct {
    unsigned lines;
    char last[LOG_LINE_MAX + 1];
    char all[8 * LOG_LINE_MAX];
} logged;

static void collect(void *context, enum log_level level, const char *line)
{
    (void)context;
    assert_int_equal(level, LOG_PROBLEM);
    assert_int_equal(strncmp(line, "pgsasl: ", 8), 0);
    logged.lines++;
    snprintf(logged.last, sizeof logged.last, "%s", line);
    snprintf(logged.all + strlen(logged.all), sizeof logged.all - strlen(logged.all), "%s\n", line);
}

/* The settings end with one without a name. */
static const char *get(void *context, const char *name)
{
    for (const struct setting *setting = context; setting->name != NULL; setting++) {
        if (strcmp(setting->name, name) == 0)
            return setting->value;
    }
    return NULL;
}

static enum options_result read_settings(struct setting *settings, struct options *options_r)
{
    const struct options_source source = {get, settings};
    const struct log_sink log = {collect, NULL};

    memset(&logged, 0, sizeof logged);
    memset(options_r, 'X', sizeof *options_r);
    return options_read(&source, &log, options_r);
}

/* A conninfo and one more setting. */
static enum options_result read_one(const char *name, const char *value, struct options *options_r)
{
    struct setting settings[] = {{"pgsasl_conninfo", SECRET}, {name, value}, {NULL, NULL}};

    return read_settings(settings, options_r);
}

static void write_file(const char *bytes, size_t len, mode_t mode)
{
    FILE *file;

    (void)unlink(path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

TEST(the_table_has_the_documented_options)
{
    static const struct option_info want[] = {
        {"pgsasl_conninfo", ""},
        {"pgsasl_conninfo_file", ""},
        {"pgsasl_audit_conninfo", ""},
        {"pgsasl_audit_conninfo_file", ""},
        {"pgsasl_user_query", "SELECT * FROM pgsasl.find_user($1, $2)"},
        {"pgsasl_audit_query", "SELECT pgsasl.record_failure($1)"},
        {"pgsasl_login_query", "SELECT pgsasl.note_login($1)"},
        {"pgsasl_timeout_ms", "5000"},
        {"pgsasl_prepared_statements", "yes"},
        {"pgsasl_spool_file", ""},
        {"pgsasl_spool_max_kb", "10240"},
        {"pgsasl_verified_cache", "none"},
        {"pgsasl_verified_cache_ttl_s", "600"},
        {"pgsasl_diagnose", "yes"},
        {"pgsasl_hash_max_memory_kb", "262144"},
        {"pgsasl_hash_max_ms", "2000"},
        {"pgsasl_require_tls", "no"},
        {"pgsasl_trap_mechanisms", "none"},
    };

    for (size_t i = 0; i < ROWS(want); i++) {
        assert_non_null(options_describe(i));
        assert_string_equal(options_describe(i)->name, want[i].name);
        assert_string_equal(options_describe(i)->fallback, want[i].fallback);
    }
    assert_null(options_describe(ROWS(want)));
    assert_null(options_describe(SIZE_MAX));
}

TEST(trap_mechanisms_are_names_of_other_mechanisms)
{
    static const struct {
        const char *value;
        const char *list; /* NULL: none */
    } right[] = {
        {"none", NULL},
        {" None ", NULL},
        {"CRAM-MD5", "CRAM-MD5"},
        {"cram-md5, ntlm", "CRAM-MD5 NTLM"},
        {"CRAM-MD5 DIGEST-MD5\tNTLM ,XOAUTH2,", "CRAM-MD5 DIGEST-MD5 NTLM XOAUTH2"},
        {"NTLM ntlm CRAM-MD5 NTLM", "NTLM CRAM-MD5"},
        {"NTLM NTLM-2 NTLM", "NTLM NTLM-2"},
        {"A2345678901234567890", "A2345678901234567890"},
        {"A B C D E F G H I J K L M N O P", "A B C D E F G H I J K L M N O P"},
    };
    static const char *const wrong[] = {"PLAIN", "NTLM login", "scram-sha-256",
        "SCRAM-SHA-256-PLUS", "X-PLUS", "CRAM MD5;", "CRAM_MD5\xc3\xab", "CRAM/MD5",
        "A23456789012345678901", "A B C D E F G H I J K L M N O P Q", ",NTLM", "NTLM none?"};
    struct options options;

    for (size_t i = 0; i < ROWS(right); i++) {
        assert_int_equal(read_one("pgsasl_trap_mechanisms", right[i].value, &options), OPTIONS_OK);
        assert_int_equal(logged.lines, 0);
        if (right[i].list == NULL)
            assert_null(options.trap_mechanisms);
        else
            assert_string_equal(options.trap_mechanisms, right[i].list);
        options_free(&options);
    }
    for (size_t i = 0; i < ROWS(wrong); i++) {
        if (read_one("pgsasl_trap_mechanisms", wrong[i], &options) != OPTIONS_INVALID)
            fail_msg("%s is taken", wrong[i]);
        assert_int_equal(logged.lines, 1);
        assert_non_null(strstr(logged.last, "pgsasl_trap_mechanisms: \""));
        assert_null(options.trap_mechanisms);
        options_free(&options);
    }
}

TEST(without_conninfo_nothing_is_logged)
{
    struct setting cases[][3] = {
        {{NULL, NULL}},
        {{"pgsasl_conninfo", ""}, {NULL, NULL}},
        {{"pgsasl_conninfo", " \t"}, {"pgsasl_timeout_ms", "wrong"}, {NULL, NULL}},
        {{"pgsasl_audit_conninfo", SECRET}, {NULL, NULL}},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct options got;

        assert_int_equal(read_settings(cases[i], &got), OPTIONS_NOT_CONFIGURED);
        assert_int_equal(logged.lines, 0);
        assert_null(got.conninfo);
        options_free(&got);
    }
}

static void assert_defaults(const struct options *got)
{
    assert_string_equal(got->user_query, "SELECT * FROM pgsasl.find_user($1, $2)");
    assert_non_null(strstr(got->audit_query, "pgsasl.record_failure($1"));
    assert_null(got->audit_conninfo);
    assert_null(got->spool_file);
    assert_null(got->verified_cache);
    assert_int_equal(got->timeout_ms, 5000);
    assert_int_equal(got->spool_max_kb, 10240);
    assert_int_equal(got->verified_cache_ttl_s, 600);
    assert_int_equal(got->hash_max_memory_kb, 262144);
    assert_int_equal(got->hash_max_ms, 2000);
    assert_true(got->prepared_statements);
    assert_true(got->diagnose);
    assert_false(got->require_tls);
}

TEST(defaults_apply)
{
    struct options got;

    assert_int_equal(read_one("pgsasl_timeout_ms", " ", &got), OPTIONS_OK);
    assert_int_equal(logged.lines, 0);
    assert_string_equal(got.conninfo, SECRET);
    assert_defaults(&got);
    options_free(&got);
}

TEST(strings_and_paths_are_trimmed)
{
    struct setting settings[] = {
        {"pgsasl_conninfo", "\t host=db dbname='a b' \r"},
        {"pgsasl_audit_conninfo", "host=primary"},
        {"pgsasl_user_query", "SELECT 1 "},
        {"pgsasl_audit_query", " SELECT 2"},
        {"pgsasl_spool_file", " /var/spool/pgsasl "},
        {"pgsasl_verified_cache", "/run/cache"},
        {NULL, NULL},
    };
    struct options got;

    assert_int_equal(read_settings(settings, &got), OPTIONS_OK);
    assert_int_equal(logged.lines, 0);
    assert_string_equal(got.conninfo, "host=db dbname='a b'");
    assert_string_equal(got.audit_conninfo, "host=primary");
    assert_string_equal(got.user_query, "SELECT 1");
    assert_string_equal(got.audit_query, "SELECT 2");
    assert_string_equal(got.spool_file, "/var/spool/pgsasl");
    assert_string_equal(got.verified_cache, "/run/cache");
    options_free(&got);
    assert_null(got.conninfo);
    options_free(&got);
}

TEST(numbers_are_within_bounds)
{
    static const struct {
        const char *name, *value;
        size_t offset;
        long want;
    } cases[] = {
        {"pgsasl_timeout_ms", "100", offsetof(struct options, timeout_ms), 100},
        {"pgsasl_timeout_ms", " 60000 ", offsetof(struct options, timeout_ms), 60000},
        {"pgsasl_timeout_ms", "0000250", offsetof(struct options, timeout_ms), 250},
        {"pgsasl_spool_max_kb", "64", offsetof(struct options, spool_max_kb), 64},
        {"pgsasl_spool_max_kb", "1048576", offsetof(struct options, spool_max_kb), 1048576},
        {"pgsasl_verified_cache_ttl_s", "1", offsetof(struct options, verified_cache_ttl_s), 1},
        {"pgsasl_verified_cache_ttl_s", "86400", offsetof(struct options, verified_cache_ttl_s),
            86400},
        {"pgsasl_hash_max_memory_kb", "1024", offsetof(struct options, hash_max_memory_kb), 1024},
        {"pgsasl_hash_max_memory_kb", "1048576", offsetof(struct options, hash_max_memory_kb),
            1048576},
        {"pgsasl_hash_max_ms", "100", offsetof(struct options, hash_max_ms), 100},
        {"pgsasl_hash_max_ms", "20000", offsetof(struct options, hash_max_ms), 20000},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct options got;
        long number;

        assert_int_equal(read_one(cases[i].name, cases[i].value, &got), OPTIONS_OK);
        memcpy(&number, (char *)&got + cases[i].offset, sizeof number);
        if (number != cases[i].want || logged.lines > 0)
            fail_msg("%s %s: %ld", cases[i].name, cases[i].value, number);
        options_free(&got);
    }
}

TEST(yes_and_no_have_several_words)
{
    static const struct {
        const char *word;
        bool want;
    } cases[] = {
        {"yes", true},
        {"true", true},
        {"on", true},
        {"1", true},
        {"YES", true},
        {" On ", true},
        {"no", false},
        {"false", false},
        {"off", false},
        {"0", false},
        {"No", false},
        {"FALSE", false},
    };
    static const char *const names[] = {
        "pgsasl_prepared_statements", "pgsasl_diagnose", "pgsasl_require_tls"};

    for (size_t i = 0; i < ROWS(cases) * ROWS(names); i++) {
        const char *name = names[i % ROWS(names)];
        bool want = cases[i / ROWS(names)].want;
        struct options got;

        assert_int_equal(read_one(name, cases[i / ROWS(names)].word, &got), OPTIONS_OK);
        assert_int_equal(logged.lines, 0);
        assert_int_equal(got.prepared_statements, name == names[0] ? want : true);
        assert_int_equal(got.diagnose, name == names[1] ? want : true);
        assert_int_equal(got.require_tls, name == names[2] ? want : false);
        options_free(&got);
    }
}

/* The line names the option, the value and what is accepted; the default applies. */
TEST(a_bad_value_is_logged_in_one_clear_line)
{
    static const struct {
        const char *name, *value, *line;
    } cases[] = {
        {"pgsasl_timeout_ms", "5s",
            "pgsasl: pgsasl_timeout_ms: \"5s\" is not a whole number; accepted: 100 to 60000 "
            "milliseconds"},
        {"pgsasl_timeout_ms", "-1", "is not a whole number"},
        {"pgsasl_timeout_ms", "+500", "is not a whole number"},
        {"pgsasl_timeout_ms", "1 000", "is not a whole number"},
        {"pgsasl_timeout_ms", "99", "\"99\" is out of range; accepted: 100 to 60000"},
        {"pgsasl_timeout_ms", "60001", "\"60001\" is out of range"},
        {"pgsasl_timeout_ms", "18446744073709551716", "is out of range"},
        {"pgsasl_spool_max_kb", "63", "accepted: 64 to 1048576 KiB"},
        {"pgsasl_spool_max_kb", "1048577", "is out of range"},
        {"pgsasl_verified_cache_ttl_s", "0", "accepted: 1 to 86400 seconds"},
        {"pgsasl_verified_cache_ttl_s", "86401", "is out of range"},
        {"pgsasl_hash_max_memory_kb", "1023", "accepted: 1024 to 1048576 KiB"},
        {"pgsasl_hash_max_memory_kb", "1048577", "is out of range"},
        {"pgsasl_hash_max_ms", "99", "accepted: 100 to 20000 milliseconds"},
        {"pgsasl_hash_max_ms", "20001", "is out of range"},
        {"pgsasl_diagnose", "maybe",
            "pgsasl: pgsasl_diagnose: \"maybe\" is neither yes nor no; accepted: yes, true, on, "
            "1, no, false, off, 0"},
        {"pgsasl_diagnose", "ye", "is neither yes nor no"},
        {"pgsasl_require_tls", "yess", "is neither yes nor no"},
        {"pgsasl_prepared_statements", "2", "is neither yes nor no"},
        {"pgsasl_spool_file", "spool",
            "pgsasl: pgsasl_spool_file: \"spool\" is not an absolute path; accepted: an absolute "
            "path, or none"},
        {"pgsasl_verified_cache", "./cache", "is not an absolute path"},
        {"pgsasl_spool_file", "a\"b\nc", "\"a\\\"b\\x0ac\" is not an absolute path"},
        {"pgsasl_audit_conninfo_file", "none", "is not an absolute path"},
        {"pgsasl_audit_conninfo_file", "/nonexistent/audit",
            "pgsasl: pgsasl_audit_conninfo_file: the file \"/nonexistent/audit\" cannot be read: "
            "No such file or directory"},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct options got;
        enum options_result result = read_one(cases[i].name, cases[i].value, &got);

        if (result != OPTIONS_INVALID || logged.lines != 1 ||
            strstr(logged.last, cases[i].line) == NULL ||
            strstr(logged.last, cases[i].name) == NULL)
            fail_msg(
                "%s %s: %u lines, %s", cases[i].name, cases[i].value, logged.lines, logged.last);
        assert_string_equal(got.conninfo, SECRET);
        assert_defaults(&got);
        options_free(&got);
    }
}

TEST(each_fault_is_logged)
{
    struct setting settings[] = {
        {"pgsasl_conninfo", SECRET},
        {"pgsasl_conninfo_file", "/nonexistent/conninfo"},
        {"pgsasl_audit_conninfo", SECRET " host=audit"},
        {"pgsasl_audit_conninfo_file", "/nonexistent/audit"},
        {"pgsasl_timeout_ms", "1"},
        {"pgsasl_diagnose", "perhaps"},
        {NULL, NULL},
    };
    struct options got;

    assert_int_equal(read_settings(settings, &got), OPTIONS_INVALID);
    assert_int_equal(logged.lines, 4);
    assert_non_null(strstr(logged.all, "pgsasl_conninfo and pgsasl_conninfo_file are both set"));
    assert_non_null(
        strstr(logged.all, "pgsasl_audit_conninfo and pgsasl_audit_conninfo_file are both set"));
    assert_null(strstr(logged.all, "s3cret"));
    assert_null(got.conninfo);
    assert_null(got.audit_conninfo);
    assert_defaults(&got);
    options_free(&got);
}

TEST(a_conninfo_file_is_read)
{
    static char big[64 * 1024 + 1];
    static const struct {
        const char *proves;
        const char *bytes;
        size_t len;
        mode_t mode;
        const char *conninfo; /* NULL: refused */
        const char *line;
    } cases[] = {
        {"root only", SECRET "\n", sizeof SECRET, 0600, SECRET, NULL},
        {"readable by Exim's group", SECRET, sizeof SECRET - 1, 0640, SECRET, NULL},
        {"read only", SECRET, sizeof SECRET - 1, 0400, SECRET, NULL},
        {"line ends of another system", SECRET "\r\n\n", sizeof SECRET + 2, 0600, SECRET, NULL},
        {"several lines", "host=a\nuser=b\n", 14, 0600, "host=a\nuser=b", NULL},
        {"as large as may be", big, sizeof big - 1, 0600, big, NULL},
        {"too large", big, sizeof big, 0600, NULL, "is larger than 64 KiB"},
        {"readable by all", SECRET, sizeof SECRET - 1, 0604, NULL, "by all users"},
        {"writable by all", SECRET, sizeof SECRET - 1, 0602, NULL, "by all users"},
        {"writable by its group", SECRET, sizeof SECRET - 1, 0660, NULL, "by its group"},
        {"empty", "", 0, 0600, NULL, "is empty"},
        {"blank", " \n\t\n", 4, 0600, NULL, "is empty"},
        {"holds a NUL", SECRET "\0x", sizeof SECRET + 1, 0600, NULL, "holds a NUL"},
    };

    memset(big, 'b', sizeof big);
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct setting settings[] = {{"pgsasl_conninfo_file", path}, {NULL, NULL}};
        size_t want_len = cases[i].conninfo == big    ? sizeof big - 1
                          : cases[i].conninfo != NULL ? strlen(cases[i].conninfo)
                                                      : 0;
        struct options got;
        enum options_result result;

        write_file(cases[i].bytes, cases[i].len, cases[i].mode);
        result = read_settings(settings, &got);
        if (cases[i].conninfo != NULL) {
            if (result != OPTIONS_OK || logged.lines > 0 || strlen(got.conninfo) != want_len ||
                memcmp(got.conninfo, cases[i].conninfo, want_len) != 0)
                fail_msg("%s: %s", cases[i].proves, logged.last);
        } else if (result != OPTIONS_INVALID || logged.lines != 1 || got.conninfo != NULL ||
                   strstr(logged.last, cases[i].line) == NULL ||
                   strstr(logged.last, path) == NULL ||
                   strstr(logged.last, "pgsasl_conninfo_file") == NULL ||
                   strstr(logged.last, "s3cret") != NULL) {
            fail_msg("%s: %s", cases[i].proves, logged.last);
        }
        assert_defaults(&got);
        options_free(&got);
    }
}

/* The owner can change the file and so send all passwords to a database of their own. */
TEST(a_conninfo_file_of_another_user_is_refused)
{
    struct setting settings[] = {{"pgsasl_conninfo_file", path}, {NULL, NULL}};
    struct options got;

    if (geteuid() != 0)
        skip();
    write_file(BYTES(SECRET), 0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(read_settings(settings, &got), OPTIONS_INVALID);
    assert_int_equal(logged.lines, 1);
    assert_non_null(strstr(logged.last, "belongs to another user"));
    assert_null(got.conninfo);
    options_free(&got);

    /* Exim's user may use root's file and its own file, but no other user's. */
    assert_int_equal(seteuid(12345), 0);
    assert_int_equal(read_settings(settings, &got), OPTIONS_INVALID); /* the directory is root's */
    options_free(&got);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(seteuid(12345), 0);
    assert_int_equal(read_settings(settings, &got), OPTIONS_OK);
    options_free(&got);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chown(path, 0, 12345), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(setegid(12345), 0);
    assert_int_equal(seteuid(12345), 0);
    assert_int_equal(read_settings(settings, &got), OPTIONS_OK);
    options_free(&got);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
}

/* A FIFO without a writer must not block the host's start; alarm(2) ends the test if it does. */
TEST(only_a_regular_file_is_read)
{
    struct setting fifo[] = {{"pgsasl_conninfo_file", path}, {NULL, NULL}};
    struct setting folder[] = {{"pgsasl_conninfo_file", directory}, {NULL, NULL}};
    struct options got;

    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10);
    assert_int_equal(read_settings(fifo, &got), OPTIONS_INVALID);
    alarm(0);
    assert_non_null(strstr(logged.last, "is not a regular file"));
    options_free(&got);
    assert_int_equal(read_settings(folder, &got), OPTIONS_INVALID);
    assert_non_null(strstr(logged.last, "is not a regular file"));
    options_free(&got);
}

TEST(the_audit_file_is_read)
{
    struct options got;

    write_file("host=audit\n", 11, 0600);
    assert_int_equal(read_one("pgsasl_audit_conninfo_file", path, &got), OPTIONS_OK);
    assert_string_equal(got.conninfo, SECRET);
    assert_string_equal(got.audit_conninfo, "host=audit");
    options_free(&got);
}

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/conninfo", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

RUN_TESTS(make_directory, remove_directory)
