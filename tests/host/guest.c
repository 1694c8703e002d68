/*
 * guest.c: what a guest must bear in the process of another: threads, fork, many lives.
 *
 * usage: guest MODE CONFIG-DIRECTORY APP USER PASSWORD COUNT
 *
 * Each mode prints what it found, one line, and ends with status 0 when that was as it should be.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

enum { THREADS = 8, CHILDREN = 12, WARM_UP = 5 };

struct guest {
    const char *config;
    const char *app;
    const char *user;
    const char *password;
    int count;
};

static int attempt(int number, const char *user, const char *password)
{
    return number % 2 == 0 ? host_plain(user, password) : host_login(user, password, false);
}

/* ---- threads ---- */

static atomic_int wrong_codes;
static atomic_bool over;

static void *log_in_and_fail(void *argument)
{
    const struct guest *guest = argument;

    for (int i = 0; i < guest->count; i++) {
        bool right = i % 3 != 0;
        int code = attempt(i, guest->user, right ? guest->password : "wrong");

        if (code != (right ? SASL_OK : SASL_BADAUTH))
            wrong_codes++;
    }
    return NULL;
}

static bool in_threads(const struct guest *guest)
{
    pthread_t threads[THREADS];
    struct guest shared = *guest;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_in_and_fail, &shared);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%d attempts, %d wrong codes\n", THREADS * guest->count, wrong_codes);
    return wrong_codes == 0;
}

/* ---- fork ---- */

static void *log_in_on_and_on(void *argument)
{
    const struct guest *guest = argument;

    for (int i = 0; !over; i++)
        if (attempt(i, guest->user, guest->password) != SASL_OK)
            wrong_codes++;
    return NULL;
}

/* In the child: users named after it, so that the server can tell whose connection it was. */
static int live_as_child(const struct guest *guest, int number)
{
    char name[64];
    int wrong = 0;

    snprintf(name, sizeof name, "%s-child-%d", guest->user, number);
    for (int i = 0; i < 2; i++)
        wrong += attempt(i, name, "wrong") != SASL_BADAUTH;
    wrong += attempt(number, guest->user, guest->password) != SASL_OK;
    sasl_done();
    return wrong;
}

/* Children are born while another thread is in the middle of a call. */
static bool across_fork(const struct guest *guest)
{
    struct guest shared = *guest;
    pthread_t thread;
    int status;
    int failed = 0;

    if (attempt(0, guest->user, guest->password) != SASL_OK)
        return false;
    pthread_create(&thread, NULL, log_in_on_and_on, &shared);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();

        if (child == 0)
            _exit(live_as_child(guest, i));
        if (waitpid(child, &status, 0) != child || status != 0)
            failed++;
    }
    over = true;
    pthread_join(thread, NULL);
    printf("%d children failed, %d wrong codes in the parent\n", failed, wrong_codes);
    return failed == 0 && wrong_codes == 0 && attempt(1, guest->user, guest->password) == SASL_OK;
}

/* ---- many lives ---- */

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static bool many_lives(const struct guest *guest)
{
    size_t used = 0;
    int descriptors = 0;
    int failed = 0;
    long grown;

    for (int i = 0; i < guest->count + WARM_UP; i++) {
        sasl_done();
        if (i == WARM_UP) {
            used = mallinfo2().uordblks;
            descriptors = open_descriptors();
        }
        if (host_begin(guest->config, guest->app) != SASL_OK ||
            attempt(i, guest->user, guest->password) != SASL_OK ||
            attempt(i, guest->user, "wrong") != SASL_BADAUTH)
            failed++;
    }
    sasl_done();
    grown = (long)(mallinfo2().uordblks - used);
    printf("%d lives failed, %ld octets and %d descriptors more\n", failed, grown,
        open_descriptors() - descriptors);
    return failed == 0 && open_descriptors() == descriptors && grown < 100L * guest->count;
}

/* ---- left in the middle ---- */

/* Begins an exchange and leaves it; the code of its first step. */
static int begin(const char *mechanism, const char *message)
{
    sasl_conn_t *conn = NULL;
    const char *out;
    unsigned out_len;
    int code = sasl_server_new("smtp", "host.example", NULL, NULL, NULL, NULL, 0, &conn);

    if (code == SASL_OK)
        code = sasl_server_start(conn, mechanism, message,
            message == NULL ? 0 : (unsigned)strlen(message), &out, &out_len);
    sasl_dispose(&conn);
    return code;
}

static bool abandoned(const struct guest *guest)
{
    char scram[128];
    int wrong = 0;

    snprintf(scram, sizeof scram, "n,,n=%s,r=abcdefgh", guest->user);
    for (int i = 0; i < guest->count; i++) {
        wrong += host_login(guest->user, guest->password, true) != SASL_CONTINUE;
        wrong += begin("PLAIN", NULL) != SASL_CONTINUE;
        wrong += begin("SCRAM-SHA-256", NULL) != SASL_CONTINUE;
        wrong += begin("SCRAM-SHA-256", scram) != SASL_CONTINUE;
        wrong += begin("CRAM-MD5", NULL) != SASL_CONTINUE;
        wrong += begin("XOAUTH2", "user=x\1auth=Bearer y\1\1") != SASL_BADAUTH;
    }
    wrong += attempt(0, guest->user, guest->password) != SASL_OK;
    printf("%d wrong codes\n", wrong);
    return wrong == 0;
}

/* ---- the state of the process ---- */

struct state {
    void (*handlers[NSIG])(int);
    int flags[NSIG];
    unsigned long blocked;
    char locale[256];
    char directory[256];
    mode_t umask;
    int streams[3];
    size_t environment;
};

static void look(struct state *state_r)
{
    struct sigaction action;
    sigset_t mask;

    memset(state_r, 0, sizeof *state_r);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int i = 1; i < NSIG; i++) {
        if (sigaction(i, NULL, &action) != 0)
            continue;
        state_r->handlers[i] = action.sa_handler;
        state_r->flags[i] = action.sa_flags;
        state_r->blocked = state_r->blocked * 2 + (sigismember(&mask, i) == 1);
    }
    snprintf(state_r->locale, sizeof state_r->locale, "%s", setlocale(LC_ALL, NULL));
    if (getcwd(state_r->directory, sizeof state_r->directory) == NULL)
        state_r->directory[0] = '\0';
    state_r->umask = umask(0);
    umask(state_r->umask);
    for (int i = 0; i < 3; i++)
        state_r->streams[i] = fcntl(i, F_GETFL);
    for (char **variable = environ; *variable != NULL; variable++)
        for (const char *at = *variable; *at != '\0'; at++)
            state_r->environment = state_r->environment * 31 + (unsigned char)*at;
}

/* Descriptors above the standard ones that a program run by the host would inherit. */
static int inheritable(void)
{
    int count = 0;

    for (int fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);

        count += flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}

/* Says so after each round and waits for a line, for the caller to do something to the server. */
static bool next_round(void)
{
    char line[8];

    printf("attempted\n");
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL;
}

static bool state_untouched(const struct guest *guest)
{
    struct state before, after;
    int wrong = 0;
    int inherited, untouched;

    sasl_done();
    setlocale(LC_ALL, "C.UTF-8");
    signal(SIGPIPE, SIG_DFL);
    look(&before);
    inherited = -inheritable();
    wrong += host_begin(guest->config, guest->app) != SASL_OK;
    for (int i = 0; i < guest->count; i++) {
        wrong += attempt(i, guest->user, guest->password) != SASL_OK;
        wrong += attempt(i, guest->user, "wrong") != SASL_BADAUTH;
        wrong += !next_round();
    }
    inherited += inheritable();
    look(&after);
    sasl_done();
    untouched = memcmp(&before, &after, sizeof before) == 0;
    printf("%d wrong codes, state %s, %d descriptors to inherit\n", wrong,
        untouched ? "untouched" : "changed", inherited);
    return wrong == 0 && untouched && inherited == 0;
}

/* ---- without standard streams ---- */

static atomic_int intruders;

/* What a host's own writes would get into: a socket, or a file that only its owner may read. Those
 * that all may read are libsasl's: modules and configuration. */
static bool is_ours(const struct stat *status)
{
    return S_ISSOCK(status->st_mode) ||
           (S_ISREG(status->st_mode) && (status->st_mode & (S_IRWXG | S_IRWXO)) == 0);
}

static void *watch_streams(void *unused)
{
    struct stat status;

    (void)unused;
#if defined(__SANITIZE_THREAD__)
    return NULL; /* it looks at descriptors while others open them: that is its work, and a race */
#endif
    while (!over)
        for (int fd = 0; fd < 3; fd++)
            if (fstat(fd, &status) == 0 && is_ours(&status))
                intruders++;
    return NULL;
}

/* How many of them are open, or can be written to. */
static int open_streams(void)
{
    int count = 0;

    for (int fd = 0; fd < 3; fd++)
        count += fcntl(fd, F_GETFD) >= 0 || write(fd, "x", 1) >= 0 || errno != EBADF;
    return count;
}

/* A daemon that has closed its standard streams, and started anew after that. */
static bool without_streams(const struct guest *guest)
{
    int out = fcntl(1, F_DUPFD_CLOEXEC, 10);
    pthread_t watcher;
    int wrong = 0;
    int later = 0;
    int opened = 0;

    sasl_done();
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    pthread_create(&watcher, NULL, watch_streams, NULL);
    for (int i = 0; i < guest->count; i++) {
        host_begin(guest->config, guest->app);
        opened += open_streams();
        for (int k = 0; k < 4; k++) {
            bool right = k % 3 != 0;
            int code = attempt(k, guest->user, right ? guest->password : "wrong");

            later += code == SASL_UNAVAIL;
            wrong += code != SASL_UNAVAIL && code != (right ? SASL_OK : SASL_BADAUTH);
            opened += open_streams();
        }
        sasl_done();
    }
    over = true;
    pthread_join(watcher, NULL);
    dprintf(out, "%d wrong codes, %d for now, %d streams open, %d intruders\n", wrong, later,
        opened, intruders);
    return wrong == 0 && opened == 0 && intruders == 0;
}

static const struct {
    const char *name;
    bool (*run)(const struct guest *guest);
} modes[] = {
    {"threads", in_threads},
    {"fork", across_fork},
    {"lives", many_lives},
    {"abandoned", abandoned},
    {"state", state_untouched},
    {"streams", without_streams},
};

int main(int argc, char **argv)
{
    struct guest guest;
    bool good = false;

    if (argc != 7) {
        fprintf(stderr, "usage: guest MODE CONFIG-DIRECTORY APP USER PASSWORD COUNT\n");
        return 2;
    }
    guest = (struct guest){argv[2], argv[3], argv[4], argv[5], atoi(argv[6])};
    if (host_begin(guest.config, guest.app) != SASL_OK)
        return 2;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, argv[1]) == 0)
            good = modes[i].run(&guest);
    sasl_done();
    return good ? 0 : 1;
}
