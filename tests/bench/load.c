/*
 * load.c: many SMTP clients in one process; each opens a connection, logs in, quits, and begins
 * anew.
 *
 * usage: load PORT CLIENTS SECONDS MECHANISM PREFIX USERS PASSWORD SEED [RATE]
 *
 * With RATE at most so many sessions begin a second, evenly; CLIENTS is then the most at once.
 * Names are PREFIX and a number below USERS, in seven digits, drawn at random. For each AUTH one
 * line goes to standard output: when it ended and how long it took, in microseconds, and the code
 * of the answer. After SECONDS nothing new begins; what is under way is waited for, so that slow
 * answers are not left out. The last line is "cpu" and the microseconds of CPU used by this
 * program, to judge whether it is the bottleneck itself. Any surprise ends it with status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 1024, LINE = 2048, SOURCES = 250, PATIENCE_MS = 120000 };

/* What a client waits for. */
enum state { IDLE, BANNER, EHLO, NAME_PROMPT, PASSWORD_PROMPT, ANSWER, GOODBYE };

struct client {
    int fd;
    enum state state;
    int64_t began_us;
    char name[128];
    char in[LINE];
    size_t got;
};

static struct {
    struct sockaddr_in server;
    int clients;
    int64_t end_us;
    bool login;
    const char *prefix;
    unsigned long users;
    const char *password;
    int64_t pause_us; /* between two beginnings; 0: as fast as they come */
} plan;

static struct client clients[CLIENTS_MAX];
static int64_t start_us;
static int64_t next_us; /* when the next session may begin */
static uint64_t seed;
static int epoll;
static int busy;

static _Noreturn void stop(const char *what, const char *text)
{
    fprintf(stderr, "load: %s: %s\n", what, text);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* xorshift64 */
static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void encode(const char *in, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < length; i += 3) {
        uint32_t three = (uint32_t)(uint8_t)in[i] << 16;

        if (i + 1 < length)
            three |= (uint32_t)(uint8_t)in[i + 1] << 8;
        if (i + 2 < length)
            three |= (uint8_t)in[i + 2];
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = i + 1 < length ? digits[three >> 6 & 63] : '=';
        *out++ = i + 2 < length ? digits[three & 63] : '=';
    }
    *out = '\0';
}

static void say(const struct client *client, const char *line)
{
    size_t length = strlen(line);

    if (send(client->fd, line, length, MSG_NOSIGNAL) != (ssize_t)length)
        stop("send", strerror(errno));
}

static void say_encoded(const struct client *client, const char *verb, const char *in, size_t len)
{
    char encoded[LINE / 2];
    char line[LINE];

    encode(in, len, encoded);
    snprintf(line, sizeof line, "%s%s\r\n", verb, encoded);
    say(client, line);
}

/* From one of many addresses, so that the ports of those just closed are not missed. */
static void begin(struct client *client)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    int one = 1;

    source.sin_addr.s_addr = htonl(0x7f000101 + (uint32_t)(draw() % SOURCES));
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) != 0 ||
        bind(client->fd, (struct sockaddr *)&source, sizeof source) != 0 ||
        connect(client->fd, (struct sockaddr *)&plan.server, sizeof plan.server) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        stop("connect", strerror(errno));
    snprintf(client->name, sizeof client->name, "%s%07llu", plan.prefix,
        (unsigned long long)(draw() % plan.users));
    client->state = BANNER;
    client->got = 0;
    busy++;
}

static void finish(struct client *client)
{
    close(client->fd);
    client->state = IDLE;
    busy--;
    if (plan.pause_us == 0 && now_us() < plan.end_us)
        begin(client);
}

/* Begins what is due. Returns for how long to wait for the next one at most, in milliseconds. */
static int begin_due(void)
{
    int64_t now = now_us();

    if (plan.pause_us == 0 || now >= plan.end_us)
        return PATIENCE_MS;
    for (int i = 0; i < plan.clients && now >= next_us; i++)
        if (clients[i].state == IDLE) {
            begin(&clients[i]);
            next_us += plan.pause_us;
        }
    return next_us > now ? (int)((next_us - now) / 1000) + 1 : 1;
}

static void authenticate(struct client *client)
{
    char message[LINE / 4];
    int length = snprintf(message, sizeof message, "%c%s%c%s", 0, client->name, 0, plan.password);

    client->began_us = now_us();
    if (plan.login) {
        say(client, "AUTH LOGIN\r\n");
        client->state = NAME_PROMPT;
    } else {
        say_encoded(client, "AUTH PLAIN ", message, (size_t)length);
        client->state = ANSWER;
    }
}

static void expect(const char *line, const char *code)
{
    if (strncmp(line, code, 3) != 0)
        stop("unexpected answer", line);
}

/* line is the last line of an answer. */
static void hear(struct client *client, const char *line)
{
    int64_t now = now_us();

    switch (client->state) {
    case IDLE:
        break;
    case BANNER:
        expect(line, "220");
        say(client, "EHLO client.test\r\n");
        client->state = EHLO;
        break;
    case EHLO:
        expect(line, "250");
        authenticate(client);
        break;
    case NAME_PROMPT:
        expect(line, "334");
        say_encoded(client, "", client->name, strlen(client->name));
        client->state = PASSWORD_PROMPT;
        break;
    case PASSWORD_PROMPT:
        expect(line, "334");
        say_encoded(client, "", plan.password, strlen(plan.password));
        client->state = ANSWER;
        break;
    case ANSWER:
        printf("%lld %lld %.3s\n", (long long)(now - start_us), (long long)(now - client->began_us),
            line);
        say(client, "QUIT\r\n");
        client->state = GOODBYE;
        break;
    case GOODBYE:
        finish(client);
        break;
    }
}

static void receive(struct client *client)
{
    char *end;
    ssize_t got =
        recv(client->fd, client->in + client->got, sizeof client->in - 1 - client->got, 0);

    if (got <= 0)
        stop("the server hung up", got < 0 ? strerror(errno) : client->in);
    client->got += (size_t)got;
    client->in[client->got] = '\0';
    while ((end = strstr(client->in, "\r\n")) != NULL) {
        size_t length = (size_t)(end - client->in) + 2;
        char line[LINE];

        memcpy(line, client->in, length);
        line[length - 2] = '\0';
        client->got -= length;
        memmove(client->in, client->in + length, client->got + 1);
        if (line[0] != '\0' && line[3] != '-') {
            hear(client, line);
            return; /* one answer to one command; the client may be another session now */
        }
    }
}

static void run(void)
{
    struct epoll_event events[64];

    start_us = now_us();
    next_us = start_us;
    plan.end_us += start_us;
    for (int i = 0; i < plan.clients && plan.pause_us == 0; i++)
        begin(&clients[i]);
    while (busy > 0 || (plan.pause_us > 0 && now_us() < plan.end_us)) {
        int wait_ms = begin_due();
        int ready = epoll_wait(epoll, events, 64, wait_ms);

        if (ready == 0 && wait_ms < PATIENCE_MS)
            continue;
        if (ready <= 0 && errno != EINTR)
            stop("waiting", ready == 0 ? "nothing came for two minutes" : strerror(errno));
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    struct rusage usage;

    if (argc != 9 && argc != 10)
        stop("usage", "load PORT CLIENTS SECONDS MECHANISM PREFIX USERS PASSWORD SEED [RATE]");
    plan.server = (struct sockaddr_in){.sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    plan.clients = atoi(argv[2]);
    plan.end_us = (int64_t)(atof(argv[3]) * 1e6);
    plan.login = strcmp(argv[4], "LOGIN") == 0;
    plan.prefix = argv[5];
    plan.users = strtoul(argv[6], NULL, 10);
    plan.password = argv[7];
    seed = strtoull(argv[8], NULL, 10) * 2 + 1;
    if (argc == 10 && atof(argv[9]) > 0)
        plan.pause_us = (int64_t)(1e6 / atof(argv[9]));
    if (plan.clients < 1 || plan.clients > CLIENTS_MAX || plan.users == 0 ||
        strlen(plan.prefix) > 64 || strlen(plan.password) > 128)
        stop("arguments", "a value is out of range");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    run();
    getrusage(RUSAGE_SELF, &usage);
    printf("cpu %lld 0\n", (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
                               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return 0;
}
