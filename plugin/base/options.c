/*
 * options.c: the pgsasl_ options of the host's SASL configuration file, one table.
 *
 * The table drives reading, defaults, bounds and the accepted values that a log line names. An
 * unusable value is logged once and makes the result OPTIONS_INVALID; the default is used instead.
 * A connection string may contain a password: it is never logged, and every copy is wiped before
 * it is freed.
 */
#include "base/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"

enum option_type {
    OPTION_STRING,   /* any text; may be secret, so it is never logged */
    OPTION_OPTIONAL, /* the same; the word none or an empty value turns it off */
    OPTION_PATH,     /* an absolute path, not opened here, or the word none */
    OPTION_FILE,     /* the absolute path of a file that contains a connection string */
    OPTION_TRAPS,    /* names of SASL mechanisms, or the word none */
    OPTION_INT,
    OPTION_BOOL
};

struct option_row {
    struct option_info info;
    enum option_type type;
    size_t offset; /* of the field in struct options */
    long least, most;
    const char *unit;
};

#define FIELD(name) offsetof(struct options, name)

static const struct option_row rows[] = {
    {{"pgsasl_conninfo", ""}, OPTION_STRING, FIELD(conninfo), 0, 0, NULL},
    {{"pgsasl_conninfo_file", ""}, OPTION_FILE, FIELD(conninfo_file), 0, 0, NULL},
    {{"pgsasl_audit_conninfo", ""}, OPTION_STRING, FIELD(audit_conninfo), 0, 0, NULL},
    {{"pgsasl_audit_conninfo_file", ""}, OPTION_FILE, FIELD(audit_conninfo_file), 0, 0, NULL},
    {{"pgsasl_user_query", "SELECT * FROM pgsasl.find_user($1, $2)"}, OPTION_STRING,
        FIELD(user_query), 0, 0, NULL},
    {{"pgsasl_audit_query", "SELECT pgsasl.record_failure($1)"}, OPTION_STRING, FIELD(audit_query),
        0, 0, NULL},
    {{"pgsasl_login_query", "SELECT pgsasl.note_login($1)"}, OPTION_OPTIONAL, FIELD(login_query), 0,
        0, NULL},
    {{"pgsasl_timeout_ms", "5000"}, OPTION_INT, FIELD(timeout_ms), 100, 60000, "milliseconds"},
    {{"pgsasl_prepared_statements", "yes"}, OPTION_BOOL, FIELD(prepared_statements), 0, 0, NULL},
    {{"pgsasl_spool_file", ""}, OPTION_PATH, FIELD(spool_file), 0, 0, NULL},
    {{"pgsasl_spool_max_kb", "10240"}, OPTION_INT, FIELD(spool_max_kb), 64, 1048576, "KiB"},
    {{"pgsasl_verified_cache", "none"}, OPTION_PATH, FIELD(verified_cache), 0, 0, NULL},
    {{"pgsasl_verified_cache_ttl_s", "600"}, OPTION_INT, FIELD(verified_cache_ttl_s), 1, 86400,
        "seconds"},
    {{"pgsasl_diagnose", "yes"}, OPTION_BOOL, FIELD(diagnose), 0, 0, NULL},
    {{"pgsasl_hash_max_memory_kb", "262144"}, OPTION_INT, FIELD(hash_max_memory_kb), 1024, 1048576,
        "KiB"},
    {{"pgsasl_hash_max_ms", "2000"}, OPTION_INT, FIELD(hash_max_ms), 100, 20000, "milliseconds"},
    {{"pgsasl_require_tls", "no"}, OPTION_BOOL, FIELD(require_tls), 0, 0, NULL},
    {{"pgsasl_trap_mechanisms", "none"}, OPTION_TRAPS, FIELD(trap_mechanisms), 0, 0, NULL},
};

enum { ROWS = sizeof rows / sizeof *rows };

static const struct {
    const char *word;
    bool value;
} bool_words[] = {
    {"yes", true},
    {"true", true},
    {"on", true},
    {"1", true},
    {"no", false},
    {"false", false},
    {"off", false},
    {"0", false},
};

enum { SECRET_FILE_MAX = 64 * 1024, LOGGED_VALUE_MAX = 256 };

static const char no_memory[] = "is lost: out of memory";
static const char cannot_read[] = "cannot be read";

struct value {
    const char *at;
    size_t len;
};

struct reader {
    const struct options_source *source;
    const struct log_sink *log;
    struct options *options;
    bool invalid;
};

static struct value trimmed(const char *text, size_t len)
{
    static const char blanks[] = " \t\r\n\v\f";

    while (len > 0 && memchr(blanks, text[len - 1], sizeof blanks - 1) != NULL)
        len--;
    while (len > 0 && memchr(blanks, *text, sizeof blanks - 1) != NULL) {
        text++;
        len--;
    }
    return (struct value){text, len};
}

/* The host's value of an option. Empty: length 0. Not set: length 0, and at is NULL. */
static struct value host_value(const struct options_source *source, const char *name)
{
    const char *text = source->get(source->context, name);

    return text != NULL ? trimmed(text, strlen(text)) : (struct value){NULL, 0};
}

/* Compares without regard to ASCII case, whatever the locale. word is lower case. */
static bool is_word(struct value value, const char *word)
{
    size_t i;

    for (i = 0; i < value.len && word[i] != '\0'; i++) {
        char letter = value.at[i];

        if (letter >= 'A' && letter <= 'Z')
            letter = (char)(letter - 'A' + 'a');
        if (letter != word[i])
            return false;
    }
    return i == value.len && word[i] == '\0';
}

static char **string_field(const struct option_row *row, struct options *options)
{
    return (char **)((char *)options + row->offset);
}

/* Each put_ function sets the row's field. Returns NULL, or what is wrong with the value. */

static const char *put_string(
    const struct option_row *row, struct value value, struct options *options)
{
    char *copy = strndup(value.at, value.len);

    if (copy == NULL)
        return no_memory;
    *string_field(row, options) = copy;
    return NULL;
}

static const char *put_path(
    const struct option_row *row, struct value value, struct options *options)
{
    if (row->type == OPTION_PATH && is_word(value, "none"))
        return NULL;
    if (value.at[0] != '/')
        return "is not an absolute path";
    return put_string(row, value, options);
}

static const char *put_int(
    const struct option_row *row, struct value value, struct options *options)
{
    long number = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return "is not a whole number";
        /* Past the upper bound no more digits are added, so the number cannot overflow. */
        if (number <= row->most)
            number = number * 10 + (value.at[i] - '0');
    }
    if (number < row->least || number > row->most)
        return "is out of range";
    *(long *)((char *)options + row->offset) = number;
    return NULL;
}

static const char *put_bool(
    const struct option_row *row, struct value value, struct options *options)
{
    for (size_t i = 0; i < sizeof bool_words / sizeof *bool_words; i++) {
        if (is_word(value, bool_words[i].word)) {
            *(bool *)((char *)options + row->offset) = bool_words[i].value;
            return NULL;
        }
    }
    return "is neither yes nor no";
}

/* A mechanism that accepts logins cannot be a trap. */
static const char *const mechanisms_of_ours[] = {"plain", "login", "scram-sha-256"};

/*
 * RFC 4422, section 3.1, in either case. Nothing reaches a mechanism as NAME-PLUS: libsasl takes
 * that off.
 */
static const char *mechanism_fault(struct value name)
{
    static const char plus[] = "-plus";

    if (name.len > OPTIONS_MECHANISM_MAX)
        return "has a name of more than 20 characters";
    for (size_t i = 0; i < name.len; i++)
        if (memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", name.at[i],
                64) == NULL)
            return "has a name with a character that no mechanism has";
    for (size_t i = 0; i < sizeof mechanisms_of_ours / sizeof *mechanisms_of_ours; i++)
        if (is_word(name, mechanisms_of_ours[i]))
            return "names a mechanism that pgsasl offers";
    if (name.len >= strlen(plus) &&
        is_word((struct value){name.at + name.len - strlen(plus), strlen(plus)}, plus))
        return "has a name that ends in -PLUS";
    return NULL;
}

/* Returns the text before the next blank or comma, and removes it and these from *list_io. */
static struct value next_name(struct value *list_io)
{
    static const char between[] = " \t\r\n\v\f,";
    struct value name = {list_io->at, 0};

    while (
        name.len < list_io->len && memchr(between, name.at[name.len], sizeof between - 1) == NULL)
        name.len++;
    list_io->at += name.len;
    list_io->len -= name.len;
    while (list_io->len > 0 && memchr(between, *list_io->at, sizeof between - 1) != NULL) {
        list_io->at++;
        list_io->len--;
    }
    return name;
}

static bool is_in_list(const char *list, struct value name)
{
    for (; list != NULL; list = strchr(list, ' ')) {
        list += *list == ' ';
        if (strncmp(list, name.at, name.len) == 0 &&
            (list[name.len] == ' ' || list[name.len] == '\0'))
            return true;
    }
    return false;
}

/* Adds a name in upper case to the end of list, unless it is there. */
static void add_name(char *list, struct value name)
{
    char upper[OPTIONS_MECHANISM_MAX + 1] = "";

    for (size_t i = 0; i < name.len; i++)
        upper[i] =
            (char)(name.at[i] >= 'a' && name.at[i] <= 'z' ? name.at[i] - 'a' + 'A' : name.at[i]);
    if (*list != '\0' && is_in_list(list, (struct value){upper, name.len}))
        return;
    if (*list != '\0')
        strcat(list, " ");
    strcat(list, upper);
}

static const char *put_traps(
    const struct option_row *row, struct value value, struct options *options)
{
    char list[OPTIONS_TRAPS_MAX * (OPTIONS_MECHANISM_MAX + 1)] = "";

    if (is_word(value, "none"))
        return NULL;
    for (int count = 0; value.len > 0; count++) {
        const struct value name = next_name(&value);
        const char *fault = mechanism_fault(name);

        if (name.len == 0)
            return "begins with a comma";
        if (fault != NULL)
            return fault;
        if (count == OPTIONS_TRAPS_MAX)
            return "has more than 16 names";
        add_name(list, name);
    }
    return put_string(row, (struct value){list, strlen(list)}, options);
}

/* value is not empty. */
static const char *put(const struct option_row *row, struct value value, struct options *options)
{
    switch (row->type) {
    case OPTION_STRING:
        return put_string(row, value, options);
    case OPTION_OPTIONAL:
        return is_word(value, "none") ? NULL : put_string(row, value, options);
    case OPTION_PATH:
    case OPTION_FILE:
        return put_path(row, value, options);
    case OPTION_TRAPS:
        return put_traps(row, value, options);
    case OPTION_INT:
        return put_int(row, value, options);
    case OPTION_BOOL:
        return put_bool(row, value, options);
    }
    return "is of no known type";
}

/* Logs the option, its value unless it may be secret, what is wrong, and what is accepted. */
static void log_bad_value(
    struct reader *reader, const struct option_row *row, struct value value, const char *problem)
{
    char shown[LOGGED_VALUE_MAX];

    reader->invalid = true;
    (void)text_escape(shown, sizeof shown, value.at, value.len);
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_OPTIONAL:
        log_line(reader->log, LOG_PROBLEM, "%s: its value %s", row->info.name, problem);
        return;
    case OPTION_PATH:
        log_line(reader->log, LOG_PROBLEM, "%s: \"%s\" %s; accepted: an absolute path, or none",
            row->info.name, shown, problem);
        return;
    case OPTION_FILE:
        log_line(reader->log, LOG_PROBLEM, "%s: \"%s\" %s; accepted: an absolute path",
            row->info.name, shown, problem);
        return;
    case OPTION_TRAPS:
        log_line(reader->log, LOG_PROBLEM,
            "%s: \"%s\" %s; accepted: names of SASL mechanisms that pgsasl does not offer, with "
            "blanks or commas between them, or none",
            row->info.name, shown, problem);
        return;
    case OPTION_INT:
        log_line(reader->log, LOG_PROBLEM, "%s: \"%s\" %s; accepted: %ld to %ld %s", row->info.name,
            shown, problem, row->least, row->most, row->unit);
        return;
    case OPTION_BOOL:
        log_line(reader->log, LOG_PROBLEM,
            "%s: \"%s\" %s; accepted: yes, true, on, 1, no, false, off, 0", row->info.name, shown,
            problem);
        return;
    }
}

static void read_row(struct reader *reader, const struct option_row *row)
{
    struct value fallback = {row->info.fallback, strlen(row->info.fallback)};
    struct value value = host_value(reader->source, row->info.name);
    const char *problem = NULL;

    if (row->type == OPTION_OPTIONAL && value.at != NULL && value.len == 0)
        return;
    if (value.len > 0) {
        problem = put(row, value, reader->options);
        if (problem == NULL)
            return;
        log_bad_value(reader, row, value, problem);
    }
    if (fallback.len > 0 && put(row, fallback, reader->options) != NULL && problem == NULL)
        log_bad_value(reader, row, fallback, no_memory);
}

/* NULL: the file is safe to read a secret from; else what is wrong with it. */
static const char *file_fault(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return "is not a regular file";
    if (status->st_uid != 0 && status->st_uid != geteuid())
        return "belongs to another user; make it root's";
    if ((status->st_mode & (S_IROTH | S_IWOTH)) != 0)
        return "can be read or written by all users; make it mode 0600, or 0640 for Exim's group";
    if ((status->st_mode & S_IWGRP) != 0)
        return "can be written by its group; make it mode 0600, or 0640 for Exim's group";
    return NULL;
}

/* Reads up to cap bytes. Returns how many, or -1 with errno. */
static ssize_t read_all(int fd, char *out, size_t cap)
{
    size_t used = 0;
    ssize_t got = 1;

    while (used < cap && got != 0) {
        got = read(fd, out + used, cap - used);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0)
            used += (size_t)got;
    }
    return (ssize_t)used;
}

/* Copies the connection string from a file's first len bytes. NULL, or what is wrong with them. */
static const char *copy_text(const char *bytes, size_t len, char **text_r)
{
    struct value value = trimmed(bytes, len);

    if (len > SECRET_FILE_MAX)
        return "is larger than 64 KiB";
    if (value.len == 0)
        return "is empty";
    if (memchr(value.at, '\0', value.len) != NULL)
        return "holds a NUL";
    *text_r = strndup(value.at, value.len);
    return *text_r == NULL ? no_memory : NULL;
}

/* Reads an open file's text. NULL, or what is wrong; then *error_r is the errno, 0 if none fits. */
static const char *load_from(int fd, char **text_r, int *error_r)
{
    struct stat status;
    const char *fault = cannot_read;
    char *buffer;
    ssize_t len;

    if (fstat(fd, &status) < 0) {
        *error_r = errno;
        return fault;
    }
    fault = file_fault(&status);
    if (fault != NULL)
        return fault;
    buffer = malloc(SECRET_FILE_MAX + 1);
    if (buffer == NULL)
        return no_memory;
    len = read_all(fd, buffer, SECRET_FILE_MAX + 1);
    if (len < 0) {
        *error_r = errno;
        fault = cannot_read;
    } else {
        fault = copy_text(buffer, (size_t)len, text_r);
    }
    secret_wipe(buffer, SECRET_FILE_MAX + 1);
    free(buffer);
    return fault;
}

/* Reads the file that the option name names into *text_r, or logs why that failed. */
static void load(struct reader *reader, const char *name, const char *path, char **text_r)
{
    /* O_NONBLOCK: opening a FIFO without a writer would block the host's start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = fd < 0 ? errno : 0;
    const char *fault = fd < 0 ? cannot_read : load_from(fd, text_r, &error);
    char shown[LOGGED_VALUE_MAX];

    if (fd >= 0)
        (void)close(fd);
    if (fault == NULL)
        return;
    reader->invalid = true;
    (void)text_escape(shown, sizeof shown, path, strlen(path));
    log_line(reader->log, LOG_PROBLEM, "%s: the file \"%s\" %s%s%s", name, shown, fault,
        error != 0 ? ": " : "", error != 0 ? strerrordesc_np(error) : "");
}

static void wipe_and_free(char **string)
{
    secret_wipe_string(*string);
    free(*string);
    *string = NULL;
}

/* Reads a connection string from its file, if the option NAME_file is set. Both set: an error. */
static void resolve_conninfo(struct reader *reader, const char *name, char **text, const char *path)
{
    char file_name[64];

    if (path == NULL)
        return;
    (void)snprintf(file_name, sizeof file_name, "%s_file", name);
    if (*text != NULL) {
        log_line(reader->log, LOG_PROBLEM, "%s and %s are both set; accepted: one of them", name,
            file_name);
        reader->invalid = true;
        wipe_and_free(text);
        return;
    }
    load(reader, file_name, path, text);
}

enum options_result options_read(
    const struct options_source *source, const struct log_sink *log, struct options *options_r)
{
    struct reader reader = {source, log, options_r, false};

    memset(options_r, 0, sizeof *options_r);
    if (host_value(source, "pgsasl_conninfo").len == 0 &&
        host_value(source, "pgsasl_conninfo_file").len == 0)
        return OPTIONS_NOT_CONFIGURED;
    for (size_t i = 0; i < ROWS; i++)
        read_row(&reader, &rows[i]);
    resolve_conninfo(&reader, "pgsasl_conninfo", &options_r->conninfo, options_r->conninfo_file);
    resolve_conninfo(&reader, "pgsasl_audit_conninfo", &options_r->audit_conninfo,
        options_r->audit_conninfo_file);
    return reader.invalid ? OPTIONS_INVALID : OPTIONS_OK;
}

void options_free(struct options *options)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].type == OPTION_INT || rows[i].type == OPTION_BOOL)
            continue;
        wipe_and_free(string_field(&rows[i], options));
    }
}

const struct option_info *options_describe(size_t index)
{
    return index < ROWS ? &rows[index].info : NULL;
}
