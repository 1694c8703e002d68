/*
 * test_tls.c: what a database server learns over TLS, by the certificate that it shows.
 *
 * The server is a child process that goes as far as the start-up packet and then refuses, so these
 * tests need no PostgreSQL. They crashed where OpenSSL (3.2 and later) runs ex-data callbacks
 * before an SSL object is whole.
 */
#include "test.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "pg/connection.h"

enum { PATIENCE_MS = 10000, LINGER_MS = 2000, DAY_S = 86400 };

#define REACHED "the start-up packet was seen"

/* ---- certificates ---- */

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

static struct {
    struct identity ours, stranger; /* authorities */
    struct identity good, elsewhere, wildcard, expired, foreign, of_a_client;
    struct identity client;
} made;
static char directory[] = "/tmp/pgsasl-test-tls-XXXXXX";

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* A certificate; issuer NULL: an authority's own. */
static struct identity issue(
    const char *name, const struct identity *issuer, const char *alt_names, long from_s)
{
    static long serial = 1;
    struct identity new = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_NAME_new();

    assert_non_null(new.certificate);
    assert_non_null(new.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_version(new.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(new.certificate), serial++);
    X509_set_subject_name(new.certificate, subject);
    X509_set_issuer_name(
        new.certificate, issuer == NULL ? subject : X509_get_subject_name(issuer->certificate));
    X509_gmtime_adj(X509_getm_notBefore(new.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(new.certificate), from_s + 2 * DAY_S);
    X509_set_pubkey(new.certificate, new.key);
    if (issuer == NULL)
        add_extension(new.certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (alt_names != NULL)
        add_extension(new.certificate, NID_subject_alt_name, alt_names);
    if (strcmp(name, "of a client") == 0)
        add_extension(new.certificate, NID_ext_key_usage, "clientAuth");
    assert_true(
        X509_sign(new.certificate, issuer == NULL ? new.key : issuer->key, EVP_sha256()) > 0);
    X509_NAME_free(subject);
    return new;
}

static void store(const char *name, const struct identity *identity, bool key)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_int_equal(key ? PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL)
                         : PEM_write_X509(file, identity->certificate),
        1);
    fclose(file);
}

static int make_certificates(void **state)
{
    const char *here = "DNS:localhost,IP:127.0.0.1";

    (void)state;
    umask(077);
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    made.ours = issue("ours", NULL, NULL, -DAY_S);
    made.stranger = issue("stranger", NULL, NULL, -DAY_S);
    made.good = issue("good", &made.ours, here, -DAY_S);
    made.elsewhere = issue("elsewhere", &made.ours, "DNS:elsewhere.test,IP:127.0.0.2", -DAY_S);
    made.wildcard = issue("wildcard", &made.ours, "DNS:l*.test", -DAY_S);
    made.expired = issue("expired", &made.ours, here, -3 * DAY_S);
    made.foreign = issue("foreign", &made.stranger, here, -DAY_S);
    made.of_a_client = issue("of a client", &made.ours, here, -DAY_S);
    made.client = issue("relay", &made.ours, NULL, -DAY_S);
    store("ca.pem", &made.ours, false);
    store("client.pem", &made.client, false);
    store("client.key", &made.client, true);
    return 0;
}

static int remove_certificates(void **state)
{
    struct identity *all = &made.ours;
    const char *const names[] = {"ca.pem", "client.pem", "client.key"};

    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof *all; i++) {
        X509_free(all[i].certificate);
        EVP_PKEY_free(all[i].key);
    }
    for (size_t i = 0; i < ROWS(names); i++)
        unlink(names[i]);
    return rmdir(directory);
}

/* ---- the server ---- */

/* What the server was sent. */
struct seen {
    int connections;
    int client_certificates;
    int start_ups;       /* bytes of them, over TLS */
    int plain_start_ups; /* without */
};

static struct seen *seen; /* shared with the server */

struct server {
    const struct identity *shown; /* NULL: it has no TLS */
    int listener;
    int port;
    pid_t child;
};

static const char refusal[] = "\0\0\0\0SFATAL\0C28000\0M" REACHED "\0";

/* ErrorResponse, its length first filled in. */
static size_t write_refusal(char *out)
{
    out[0] = 'E';
    memcpy(out + 1, refusal, sizeof refusal);
    out[4] = sizeof refusal;
    return 1 + sizeof refusal;
}

static void serve_tls(const struct identity *shown, int connection)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    char bytes[1024];
    SSL *ssl;
    int n;

    X509_STORE_add_cert(store, made.ours.certificate);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_use_certificate(context, shown->certificate);
    SSL_CTX_use_PrivateKey(context, shown->key);
    ssl = SSL_new(context);
    SSL_set_fd(ssl, connection);
    if (SSL_accept(ssl) == 1) {
        seen->client_certificates += SSL_get0_peer_certificate(ssl) != NULL;
        n = SSL_read(ssl, bytes, sizeof bytes);
        if (n > 0) {
            seen->start_ups += n;
            SSL_write(ssl, bytes, (int)write_refusal(bytes));
        }
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void serve(const struct server *server, int connection)
{
    char bytes[1024];
    ssize_t n = read(connection, bytes, sizeof bytes);

    if (n == 8 && memcmp(bytes + 4, (const char[]){0x04, (char)0xd2, 0x16, 0x2f}, 4) == 0) {
        if (write(connection, server->shown == NULL ? "N" : "S", 1) == 1 && server->shown != NULL) {
            serve_tls(server->shown, connection);
            return;
        }
        n = read(connection, bytes, sizeof bytes);
    }
    if (n <= 0)
        return;
    seen->plain_start_ups += (int)n;
    n = (ssize_t)write_refusal(bytes);
    assert_int_equal(write(connection, bytes, (size_t)n), n);
}

static void start_server(struct server *server, const struct identity *shown)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    memset(seen, 0, sizeof *seen);
    server->shown = shown;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    server->child = fork();
    if (server->child != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails or crashes leaves nothing running */
    signal(SIGPIPE, SIG_IGN);
    for (int connection; (connection = accept(server->listener, NULL, NULL)) >= 0;) {
        seen->connections++;
        serve(server, connection);
        close(connection);
    }
    _exit(0);
}

/* Afterwards all that was sent has been seen. */
static void stop_server(const struct server *server)
{
    int status;

    shutdown(server->listener, SHUT_RDWR);
    close(server->listener);
    assert_int_equal(waitpid(server->child, &status, 0), server->child);
}

/* ---- the plugin's side ---- */

static int linger_ms;

/* What libpq calls as recv(): a machine so busy that the server's answer is always there already.
 * The headers define a recv() of their own where they are fortified. */
__attribute__((visibility("default"))) ssize_t recv_late(
    int fd, void *buffer, size_t size, int flags) __asm__("recv");

ssize_t recv_late(int fd, void *buffer, size_t size, int flags)
{
    struct pollfd pollfd = {fd, POLLIN, 0};

    if (linger_ms > 0)
        poll(&pollfd, 1, linger_ms);
    return recvfrom(fd, buffer, size, flags, NULL, NULL);
}

#define TRUST " sslrootcert=ca.pem"
#define IDENTITY " sslcert=client.pem sslkey=client.key"

/* Tries to connect to a server that shows this, and copies why it did not work: it never does. */
static void try_server(const struct identity *shown, const char *words, char *error_r, size_t cap)
{
    char conninfo[512];
    struct server server;
    bool connected = false;
    struct pg *pg;

    start_server(&server, shown);
    snprintf(conninfo, sizeof conninfo, "hostaddr=127.0.0.1 port=%d user=relay dbname=mail %s",
        server.port, words);
    pg = pg_new(conninfo, true, PATIENCE_MS, error_r, cap);
    if (pg != NULL) {
        connected = pg_connect(pg, deadline_in(PATIENCE_MS));
        snprintf(error_r, cap, "%s", pg_error(pg));
    }
    pg_free(pg);
    stop_server(&server);
    assert_false(connected);
}

static void assert_contains(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL)
        fail_msg("\"%s\" has no \"%s\"", text, wanted);
}

#define VERIFY_FULL "host=localhost sslmode=verify-full" TRUST

TEST(a_server_with_the_right_certificate_gets_the_start_up_packet_and_ours)
{
    const char *const words[] = {
        VERIFY_FULL IDENTITY,
        "host=127.0.0.1 sslmode=verify-full" TRUST IDENTITY,
        "sslmode=verify-ca" TRUST IDENTITY,
        "sslmode=require" TRUST IDENTITY,
        "sslmode=require" IDENTITY,
        "sslmode=prefer" TRUST IDENTITY,
        TRUST IDENTITY,
    };
    char error[PG_ERROR_MAX];

    for (size_t i = 0; i < ROWS(words); i++) {
        try_server(&made.good, words[i], error, sizeof error);
        assert_contains(error, REACHED);
        assert_true(seen->start_ups > 0);
        assert_int_equal(seen->client_certificates, 1);
    }
}

static const struct {
    const struct identity *shown;
    const char *words;
    const char *why;
} wrong[] = {
    {&made.elsewhere, VERIFY_FULL, "ostname mismatch"},
    {&made.elsewhere, "host=127.0.0.1 sslmode=verify-full" TRUST, "IP address mismatch"},
    {&made.wildcard, "host=local.test sslmode=verify-full" TRUST, "ostname mismatch"},
    {&made.expired, VERIFY_FULL, "certificate has expired"},
    {&made.expired, "sslmode=verify-ca" TRUST, "certificate has expired"},
    {&made.foreign, VERIFY_FULL, "unable to get local issuer certificate"},
    {&made.foreign, "sslmode=verify-ca" TRUST, "unable to get local issuer certificate"},
    {&made.foreign, "sslmode=require" TRUST, "unable to get local issuer certificate"},
    {&made.of_a_client, VERIFY_FULL, "certificate purpose"},
};

static void try_wrong_ones(const char *identity)
{
    char words[256];
    char error[PG_ERROR_MAX];

    for (size_t i = 0; i < ROWS(wrong); i++) {
        snprintf(words, sizeof words, "%s%s", wrong[i].words, identity);
        try_server(wrong[i].shown, words, error, sizeof error);
        assert_contains(error, "server's certificate is refused: ");
        assert_contains(error, wrong[i].why);
        assert_int_equal(seen->start_ups + seen->plain_start_ups, 0);
        assert_int_equal(seen->client_certificates, 0);
    }
}

/* Not even our certificate, which has the user's name in it. */
TEST(a_server_with_a_wrong_certificate_learns_nothing)
{
    try_wrong_ones("");
    try_wrong_ones(IDENTITY);
}

TEST(verify_full_needs_a_host)
{
    char error[PG_ERROR_MAX];

    try_server(&made.good, "sslmode=verify-full" TRUST IDENTITY, error, sizeof error);
    assert_contains(error, "verify-full needs a host");
    assert_int_equal(seen->start_ups + seen->client_certificates, 0);
}

/* Then it is too late for our certificate. */
TEST(a_handshake_that_ends_at_once_is_made_again_and_shows_no_start_up_packet)
{
    char error[PG_ERROR_MAX];

    linger_ms = LINGER_MS;
    try_server(&made.good, VERIFY_FULL IDENTITY, error, sizeof error);
    linger_ms = 0;
    assert_contains(error, "handshake was over");
    assert_int_equal(seen->connections, 2);
    assert_int_equal(seen->start_ups + seen->plain_start_ups, 0);
}

TEST(a_handshake_that_ends_at_once_is_verified_all_the_same)
{
    char error[PG_ERROR_MAX];

    linger_ms = LINGER_MS;
    try_wrong_ones("");
    try_server(&made.good, "sslmode=verify-ca" TRUST, error, sizeof error);
    linger_ms = 0;
    assert_contains(error, REACHED);
}

/* As libpq has it. */
TEST(prefer_goes_on_without_tls_where_the_certificate_is_wrong)
{
    char error[PG_ERROR_MAX];

    try_server(&made.foreign, "sslmode=prefer" TRUST IDENTITY, error, sizeof error);
    assert_int_equal(seen->start_ups, 0);
    assert_true(seen->plain_start_ups > 0);
}

TEST(a_server_without_tls_learns_nothing_where_tls_is_asked_for)
{
    const char *const words[] = {
        "sslmode=require" TRUST IDENTITY,
        "sslmode=verify-ca" TRUST IDENTITY,
        VERIFY_FULL IDENTITY,
    };
    char error[PG_ERROR_MAX];

    for (size_t i = 0; i < ROWS(words); i++) {
        try_server(NULL, words[i], error, sizeof error);
        assert_contains(error, "does not support SSL");
        assert_int_equal(seen->plain_start_ups, 0);
    }
}

/* It used to count as "require": libpq must go on to look for the authority by itself. */
TEST(verify_needs_an_authority)
{
    char error[PG_ERROR_MAX];

    setenv("HOME", "/nonexistent", 1);
    try_server(&made.foreign, "host=localhost sslmode=verify-full" IDENTITY, error, sizeof error);
    assert_int_equal(seen->start_ups, 0);
    assert_int_equal(seen->client_certificates, 0);
}

/* They would be read at each connect. */
TEST(what_libpq_reads_from_a_directory_is_refused)
{
    char error[PG_ERROR_MAX];

    try_server(&made.good, VERIFY_FULL IDENTITY " sslcrldir=.", error, sizeof error);
    assert_contains(error, "sslcrldir . cannot be used");
    try_server(&made.good, "sslmode=verify-full sslrootcert=system", error, sizeof error);
    assert_contains(error, "sslrootcert system cannot be used");
    assert_int_equal(seen->connections, 0);
}

TEST(no_certificate_is_shown_where_sslcertmode_forbids_it)
{
    char error[PG_ERROR_MAX];

    try_server(&made.good, VERIFY_FULL IDENTITY " sslcertmode=disable", error, sizeof error);
    if (strstr(error, "no libpq connection string") != NULL)
        skip(); /* before libpq 16 */
    assert_contains(error, REACHED);
    assert_int_equal(seen->client_certificates, 0);
    try_server(&made.good, VERIFY_FULL IDENTITY " sslcertmode=require", error, sizeof error);
    assert_contains(error, REACHED);
    assert_int_equal(seen->client_certificates, 1);
}

static int set_up(void **state)
{
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    return make_certificates(state);
}

static int tear_down(void **state)
{
    munmap(seen, sizeof *seen);
    return remove_certificates(state);
}

RUN_TESTS(set_up, tear_down)
