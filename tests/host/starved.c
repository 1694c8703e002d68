/*
 * starved.c: the module in a process where one allocation after the other fails.
 *
 * usage: starved MODULE CONNINFO USER PASSWORD
 *
 * It is a host of its own, since libsasl bears no failing malloc(3): it loads the module and calls
 * its entry point and mechanisms as libsasl does. malloc and its kin are this program's own; the
 * one that is counted down to fails, whoever of the module and its libraries asked. First in an
 * attempt with its connection, then in a whole life from init on; each time further on, until one
 * goes through untouched. Status 0: no wrong password was accepted, no right one refused for good,
 * and a login works at once after each failure.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* So that the libraries' calls come here. */
#define EXPORTED __attribute__((visibility("default")))

/* glibc's own, under the names that it keeps for those who stand before them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

enum { FAR = 20000 };

static long countdown; /* 0: nothing fails */
static int starved;

static int fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return 0;
    starved = 1;
    errno = ENOMEM;
    return 1;
}

EXPORTED void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

EXPORTED void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

EXPORTED void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

/* ---- the host ---- */

static const char *conninfo;

static int get_option(
    void *context, const char *plugin, const char *name, const char **value_r, unsigned *len_r)
{
    (void)context;
    (void)plugin;
    (void)len_r;
    *value_r = NULL;
    if (strcmp(name, "pgsasl_conninfo") == 0)
        *value_r = conninfo;
    if (strcmp(name, "pgsasl_timeout_ms") == 0)
        *value_r = "1000";
    return *value_r == NULL ? SASL_FAIL : SASL_OK;
}

static int get_callback(
    sasl_conn_t *conn, unsigned long id, sasl_callback_ft *function_r, void **context_r)
{
    (void)conn;
    (void)id;
    (void)function_r;
    (void)context_r;
    return SASL_FAIL;
}

static void write_log(sasl_conn_t *conn, int level, const char *format, ...)
{
    (void)conn;
    (void)level;
    (void)format;
}

static int take_name(
    sasl_conn_t *conn, const char *name, unsigned len, unsigned flags, sasl_out_params_t *oparams)
{
    (void)conn;
    (void)name;
    (void)len;
    (void)flags;
    (void)oparams;
    return SASL_OK;
}

static const sasl_utils_t utils = {
    .version = SASL_UTILS_VERSION,
    .getopt = get_option,
    .getcallback = get_callback,
    .malloc = malloc,
    .calloc = calloc,
    .realloc = realloc,
    .free = free,
    .log = write_log,
};

static sasl_server_params_t params = {
    .service = "smtp",
    .serverFQDN = "host.example",
    .ipremoteport = "127.0.0.1;40000",
    .iplocalport = "127.0.0.1;25",
    .utils = &utils,
    .canon_user = take_name,
};

static sasl_server_plug_init_t *entry;
static sasl_server_plug_t *plugs;
static int plug_count;

static int begin(void)
{
    int version;

    plug_count = 0;
    return entry(&utils, SASL_SERVER_PLUG_VERSION, &version, &plugs, &plug_count);
}

static void end(void)
{
    for (int i = 0; i < plug_count; i++)
        plugs[i].mech_free(plugs[i].glob_context, &utils);
    plug_count = 0;
}

static const sasl_server_plug_t *find_plug(const char *name)
{
    for (int i = 0; i < plug_count; i++)
        if (strcmp(plugs[i].mech_name, name) == 0)
            return &plugs[i];
    fprintf(stderr, "no mechanism %s\n", name);
    exit(2);
}

/* Both of these mechanisms take all of a message: PLAIN as it is, LOGIN in two steps. */
static int attempt(long number, const char *user, const char *password)
{
    const sasl_server_plug_t *plug = find_plug(number % 2 == 0 ? "PLAIN" : "LOGIN");
    int is_plain = strcmp(plug->mech_name, "PLAIN") == 0;
    sasl_out_params_t oparams;
    const char *out;
    unsigned out_len;
    void *context = NULL;
    char message[512];
    int len = snprintf(message, sizeof message, "%c%s%c%s", 0, user, 0, password);
    int code = plug->mech_new(plug->glob_context, &params, NULL, 0, &context);

    memset(&oparams, 0, sizeof oparams);
    if (code == SASL_OK && is_plain)
        code = plug->mech_step(context, &params, message, (unsigned)len, &out, &out_len, &oparams);
    if (code == SASL_OK && !is_plain) {
        plug->mech_step(context, &params, user, (unsigned)strlen(user), &out, &out_len, &oparams);
        code = plug->mech_step(
            context, &params, password, (unsigned)strlen(password), &out, &out_len, &oparams);
    }
    if (context != NULL)
        plug->mech_dispose(context, &utils);
    return code;
}

/* SCRAM with a proof that nobody's password makes. */
static int attempt_scram(const char *user)
{
    static const char proof[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const sasl_server_plug_t *plug = find_plug("SCRAM-SHA-256");
    sasl_out_params_t oparams;
    const char *out = NULL;
    unsigned out_len = 0;
    void *context = NULL;
    char message[512];
    int len = snprintf(message, sizeof message, "n,,n=%s,r=abcdefgh", user);
    int code = plug->mech_new(plug->glob_context, &params, NULL, 0, &context);

    memset(&oparams, 0, sizeof oparams);
    if (code == SASL_OK)
        code = plug->mech_step(context, &params, message, (unsigned)len, &out, &out_len, &oparams);
    if (code == SASL_CONTINUE) {
        const char *end = memchr(out, ',', out_len);

        len = snprintf(message, sizeof message, "c=biws,%.*s,p=%s", (int)(end - out), out, proof);
        code = plug->mech_step(context, &params, message, (unsigned)len, &out, &out_len, &oparams);
    }
    if (context != NULL)
        plug->mech_dispose(context, &utils);
    return code;
}

/* ---- what fails ---- */

static long positions;
static int faults;

static void expect(int right, int code, int starving, const char *where)
{
    int good = right ? code == SASL_OK : code == SASL_BADAUTH;

    if (good || (starving && code == SASL_UNAVAIL))
        return;
    faults++;
    fprintf(stderr, "%s, allocation %ld: a %s password is answered %d%s\n", where, positions,
        right ? "right" : "wrong", code, starving ? "" : " afterwards");
}

/* fresh: each one of a new life, and so with a new connection. */
static void in_attempts(const char *user, const char *password, int right, int fresh)
{
    starved = 1;
    for (positions = 1; starved && positions < FAR; positions++) {
        int code;

        if (fresh) {
            end();
            begin();
        }
        starved = 0;
        countdown = positions;
        code = attempt(positions, user, right ? password : "wrong");
        countdown = 0;
        expect(right, code, starved, fresh ? "first attempt" : "attempt");
        expect(1, attempt(positions, user, password), 0, "attempt");
    }
}

static void in_scram(const char *user, const char *password)
{
    starved = 1;
    for (positions = 1; starved && positions < FAR; positions++) {
        int code;

        starved = 0;
        countdown = positions;
        code = attempt_scram(user);
        countdown = 0;
        expect(0, code, starved, "SCRAM");
        expect(1, attempt(positions, user, password), 0, "SCRAM");
    }
}

static void in_lives(const char *user, const char *password)
{
    starved = 1;
    for (positions = 1; starved && positions < FAR; positions++) {
        end();
        starved = 0;
        countdown = positions;
        begin();
        countdown = 0;
        if (plug_count > 0) {
            expect(1, attempt(positions, user, password), starved, "after init");
            expect(0, attempt(positions, user, "wrong"), starved, "after init");
        }
    }
}

int main(int argc, char **argv)
{
    void *module = argc == 5 ? dlopen(argv[1], RTLD_NOW) : NULL;
    long counted[4];

    if (module == NULL) {
        fprintf(stderr, "usage: starved MODULE CONNINFO USER PASSWORD\n");
        return 2;
    }
    *(void **)&entry = dlsym(module, "sasl_server_plug_init");
    conninfo = argv[2];
    if (entry == NULL || begin() != SASL_OK || attempt(0, argv[3], argv[4]) != SASL_OK)
        return 2;
    for (int kind = 0; kind < 3; kind++) {
        in_attempts(argv[3], argv[4], kind != 1, kind == 2);
        counted[kind] = positions - 1;
    }
    in_scram(argv[3], argv[4]);
    in_lives(argv[3], argv[4]);
    counted[3] = positions - 1;
    end();
    dlclose(module);
    printf("allocations: %ld in a right attempt, %ld in a wrong one, %ld in the first one, %ld in "
           "init; %d faults\n",
        counted[0], counted[1], counted[2], counted[3], faults);
    return faults != 0;
}
