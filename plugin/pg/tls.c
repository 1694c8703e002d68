/*
 * tls.c: reads what verifies the database server and identifies us to it, and applies it to each
 * connection.
 *
 * libpq has no call for certificates in memory. It gets "require" and no files. We set its SSL
 * object up as soon as PQsslStruct() returns it, before the server's first answer is read, so that
 * OpenSSL refuses a wrong certificate before it sends ours. After the handshake we verify the
 * server's certificate ourselves, whatever was set up before. PQconnectPoll() sends the start-up
 * packet only at its next call, and for a server that fails there is none.
 */
#include "pg/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { TLS_ERROR_MAX = 160 };

struct pg_tls {
    /* Trusted certificates and revocation lists; NULL: libpq verifies by itself, or nobody does. */
    X509_STORE *store;
    bool tls_only;          /* no connection without TLS */
    bool verify_name;       /* verify-full */
    STACK_OF(X509) * chain; /* ours, the first one the client's own; NULL: none */
    EVP_PKEY *key;          /* NULL: none */
    const char *host;       /* of the connection being made */
    SSL *ssl;               /* its SSL object, a reference of our own; NULL: not seen yet */
    bool proved;            /* the handshake is over and the server verified */
    bool corked;
    char error[TLS_ERROR_MAX];
};

static bool is_set(const char *param)
{
    return param != NULL && *param != '\0';
}

/* ---- a connection ---- */

static enum pg_tls_step fail(struct pg_tls *tls, const char *why)
{
    snprintf(tls->error, sizeof tls->error, "%s", why);
    return PG_TLS_FAILED;
}

static enum pg_tls_step refuse(struct pg_tls *tls, const char *why)
{
    snprintf(tls->error, sizeof tls->error, "the server's certificate is refused: %s", why);
    return PG_TLS_FAILED;
}

static bool expect_host(X509_VERIFY_PARAM *expected, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (!is_set(host))
        return false;
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(expected, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(expected, host, 0) == 1;
}

static bool show_chain(const struct pg_tls *tls, SSL *ssl)
{
    if (SSL_use_certificate(ssl, sk_X509_value(tls->chain, 0)) != 1 ||
        SSL_use_PrivateKey(ssl, tls->key) != 1)
        return false;
    for (int i = 1; i < sk_X509_num(tls->chain); i++)
        if (SSL_add1_chain_cert(ssl, sk_X509_value(tls->chain, i)) != 1)
            return false;
    return true;
}

/* Has OpenSSL refuse a wrong certificate in the handshake, and gives it ours. */
static bool set_up(const struct pg_tls *tls, SSL *ssl)
{
    if (tls->store != NULL) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
        if (SSL_set1_verify_cert_store(ssl, tls->store) != 1 ||
            (tls->verify_name && !expect_host(SSL_get0_param(ssl), tls->host)))
            return false;
    }
    return tls->chain == NULL || show_chain(tls, ssl);
}

/* X509_V_OK, or what is wrong with the certificate that the server showed. */
static int judge(const struct pg_tls *tls, const SSL *ssl)
{
    X509 *shown = SSL_get0_peer_certificate(ssl);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int verdict = X509_V_ERR_UNSPECIFIED;

    if (context != NULL && shown != NULL &&
        X509_STORE_CTX_init(context, tls->store, shown, SSL_get_peer_cert_chain(ssl)) == 1 &&
        X509_STORE_CTX_set_default(context, "ssl_server") == 1) {
        X509_VERIFY_PARAM *expected = X509_STORE_CTX_get0_param(context);

        X509_VERIFY_PARAM_set_auth_level(expected, SSL_get_security_level(ssl));
        if (!tls->verify_name || expect_host(expected, tls->host)) {
            bool verified = X509_verify_cert(context) == 1;

            if (verified || X509_STORE_CTX_get_error(context) != X509_V_OK)
                verdict = X509_STORE_CTX_get_error(context);
        }
    }
    X509_STORE_CTX_free(context);
    return verdict;
}

/* Lets go of the SSL object; what OpenSSL found against the server in a failed handshake is kept.
 */
static void release(struct pg_tls *tls)
{
    if (tls->ssl != NULL && tls->store != NULL && !tls->proved &&
        SSL_get_verify_result(tls->ssl) != X509_V_OK)
        refuse(tls, X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl)));
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    tls->proved = false;
}

/* An SSL object is seen for the first time. */
static enum pg_tls_step meet(struct pg_tls *tls, SSL *ssl)
{
    SSL_up_ref(ssl);
    tls->ssl = ssl;
    if (SSL_is_init_finished(ssl)) {
        if (tls->chain == NULL)
            return PG_TLS_GO_ON;
        fail(tls, "the handshake was over before the client's certificate could be given");
        return PG_TLS_TOO_LATE;
    }
    if (tls->store != NULL && tls->verify_name && !is_set(tls->host))
        return refuse(tls, "verify-full needs a host in the connection string");
    return set_up(tls, ssl) ? PG_TLS_GO_ON : fail(tls, "OpenSSL does not accept the certificates");
}

/* The start-up packet, with the user's name, may have been sent in this state. */
static bool is_past_start(const PGconn *conn)
{
    ConnStatusType status = PQstatus(conn);

    return status != CONNECTION_NEEDED && status != CONNECTION_STARTED &&
           status != CONNECTION_MADE && status != CONNECTION_SSL_STARTUP &&
           status != CONNECTION_GSS_STARTUP && status != CONNECTION_BAD;
}

/* sslmode means TCP alone, and encryption by Kerberos goes before it, as in libpq. */
static bool must_have_tls(const struct pg_tls *tls, PGconn *conn)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;

    return tls->tls_only && !PQgssEncInUse(conn) &&
           getsockname(PQsocket(conn), (struct sockaddr *)&address, &length) == 0 &&
           address.ss_family != AF_UNIX;
}

static enum pg_tls_step prove(struct pg_tls *tls, const PGconn *conn)
{
    int verdict;

    if (is_past_start(conn))
        return fail(tls, "this libpq leaves no time to verify the server's certificate");
    verdict = tls->store == NULL ? X509_V_OK : judge(tls, tls->ssl);
    if (verdict != X509_V_OK)
        return refuse(tls, X509_verify_cert_error_string(verdict));
    tls->proved = true;
    return PG_TLS_GO_ON;
}

void pg_tls_begin(struct pg_tls *tls, const char *host)
{
    if (tls == NULL)
        return;
    tls->host = host;
    tls->error[0] = '\0';
}

static void cork(struct pg_tls *tls, const PGconn *conn, int on)
{
    setsockopt(PQsocket(conn), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    tls->corked = on != 0;
}

void pg_tls_before_poll(struct pg_tls *tls, const PGconn *conn)
{
    if (tls != NULL && tls->ssl == NULL && PQstatus(conn) == CONNECTION_SSL_STARTUP)
        cork(tls, conn, 1);
}

static enum pg_tls_step look_at(struct pg_tls *tls, PGconn *conn)
{
    SSL *ssl = PQsslStruct(conn, "OpenSSL");
    enum pg_tls_step step = PG_TLS_GO_ON;

    if (ssl != tls->ssl) {
        release(tls);
        if (ssl != NULL)
            step = meet(tls, ssl);
    }
    if (step == PG_TLS_GO_ON && ssl != NULL && !tls->proved && SSL_is_init_finished(ssl))
        step = prove(tls, conn);
    if (step == PG_TLS_GO_ON && ssl == NULL && PQsslInUse(conn))
        step = fail(tls, "this libpq does not use OpenSSL");
    if (step == PG_TLS_GO_ON && !tls->proved && is_past_start(conn) && must_have_tls(tls, conn))
        step = fail(tls, "sslmode asks for TLS, and the connection has none");
    return step;
}

enum pg_tls_step pg_tls_after_poll(struct pg_tls *tls, PGconn *conn)
{
    enum pg_tls_step step;

    if (tls == NULL)
        return PG_TLS_GO_ON;
    ERR_set_mark();
    step = look_at(tls, conn);
    ERR_pop_to_mark();
    if (tls->corked)
        cork(tls, conn, 0);
    return step;
}

void pg_tls_end(struct pg_tls *tls)
{
    if (tls != NULL)
        release(tls);
}

const char *pg_tls_error(const struct pg_tls *tls)
{
    return tls == NULL ? "" : tls->error;
}

const char *pg_tls_mode(const struct pg_tls *tls, const char *fallback)
{
    return tls != NULL && tls->store != NULL && fallback != NULL &&
                   strncmp(fallback, "verify-", 7) == 0
               ? "require"
               : fallback;
}

bool pg_tls_holds(const struct pg_tls *tls, const char *keyword)
{
    if (tls == NULL)
        return false;
    if (strcmp(keyword, "sslrootcert") == 0 || strcmp(keyword, "sslcrl") == 0)
        return tls->store != NULL;
    return tls->chain != NULL &&
           (strcmp(keyword, "sslcert") == 0 || strcmp(keyword, "sslkey") == 0);
}

/* ---- the files ---- */

static bool complain(char *error_r, size_t cap, const char *keyword, const char *path)
{
    const char *why = access(path, R_OK) != 0 ? strerrordesc_np(errno)
                                              : ERR_reason_error_string(ERR_peek_last_error());

    snprintf(error_r, cap, "%s %.120s cannot be used: %s", keyword, path,
        why == NULL ? "it holds nothing of the kind" : why);
    return false;
}

/* Reading a FIFO or a device would wait without an end, in the host's start. */
static bool are_files(const struct pg_tls_params *params, char *error_r, size_t cap)
{
    const struct {
        const char *keyword, *path;
    } files[] = {{"sslrootcert", params->sslrootcert}, {"sslcrl", params->sslcrl},
        {"sslcert", params->sslcert}, {"sslkey", params->sslkey}};
    struct stat status;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (is_set(files[i].path) && stat(files[i].path, &status) == 0 &&
            !S_ISREG(status.st_mode)) {
            snprintf(error_r, cap, "%s %.120s cannot be used: it is no regular file",
                files[i].keyword, files[i].path);
            return false;
        }
    return true;
}

static bool load_trust(
    struct pg_tls *tls, const struct pg_tls_params *params, char *error_r, size_t cap)
{
    if (is_set(params->sslcrldir)) {
        snprintf(error_r, cap, "sslcrldir %.120s cannot be used: name a file by sslcrl",
            params->sslcrldir);
        return false;
    }
    if (strcmp(params->sslrootcert, "system") == 0) {
        snprintf(error_r, cap,
            "sslrootcert system cannot be used: name a file, such as "
            "/etc/ssl/certs/ca-certificates.crt");
        return false;
    }
    tls->store = X509_STORE_new();
    if (tls->store == NULL || X509_STORE_load_file(tls->store, params->sslrootcert) != 1)
        return complain(error_r, cap, "sslrootcert", params->sslrootcert);
    if (!is_set(params->sslcrl))
        return true;
    if (X509_STORE_load_file(tls->store, params->sslcrl) != 1)
        return complain(error_r, cap, "sslcrl", params->sslcrl);
    return X509_STORE_set_flags(tls->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

static bool load_chain(struct pg_tls *tls, const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate;

    tls->chain = sk_X509_new_null();
    while (file != NULL && tls->chain != NULL &&
           (certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(tls->chain, certificate) == 0)
            X509_free(certificate);
    BIO_free(file);
    return tls->chain != NULL && sk_X509_num(tls->chain) > 0;
}

/* libpq's rule: nobody but the owner, who is this user, or root and one group, may read a key. */
static bool is_private(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && (status.st_uid == 0 || status.st_uid == geteuid()) &&
           (status.st_mode & (status.st_uid == 0 ? 0027 : 0077)) == 0;
}

/* OpenSSL would ask the terminal without it. */
static int give_password(char *out, int cap, int writing, void *context)
{
    const char *password = context;
    size_t length = is_set(password) ? strlen(password) : 0;

    (void)writing;
    if (length == 0 || length > (size_t)cap)
        return -1;
    memcpy(out, password, length);
    return (int)length;
}

static bool load_key(struct pg_tls *tls, const struct pg_tls_params *params)
{
    BIO *file = BIO_new_file(params->sslkey, "r");
    union {
        const char *password;
        void *context;
    } borrowed = {.password = params->sslpassword};

    if (file != NULL)
        tls->key = PEM_read_bio_PrivateKey(file, NULL, give_password, borrowed.context);
    BIO_free(file);
    return tls->key != NULL;
}

static bool load_identity(
    struct pg_tls *tls, const struct pg_tls_params *params, char *error_r, size_t cap)
{
    if (!is_set(params->sslkey)) {
        snprintf(error_r, cap, "sslcert is given without sslkey");
        return false;
    }
    if (!load_chain(tls, params->sslcert))
        return complain(error_r, cap, "sslcert", params->sslcert);
    if (!is_private(params->sslkey)) {
        snprintf(error_r, cap,
            "sslkey %.120s must be a file of root, or of the user that reads it, that others "
            "cannot read",
            params->sslkey);
        return false;
    }
    if (!load_key(tls, params))
        return complain(error_r, cap, "sslkey", params->sslkey);
    if (X509_check_private_key(sk_X509_value(tls->chain, 0), tls->key) == 1)
        return true;
    snprintf(error_r, cap, "sslkey %.120s is not the key of sslcert", params->sslkey);
    return false;
}

static bool shows_certificate(const struct pg_tls_params *params)
{
    return is_set(params->sslcert) &&
           (params->sslcertmode == NULL || strcmp(params->sslcertmode, "disable") != 0);
}

static bool load_all(
    struct pg_tls *tls, const struct pg_tls_params *params, char *error_r, size_t cap)
{
    const char *mode = is_set(params->sslmode) ? params->sslmode : "prefer";

    tls->tls_only = strcmp(mode, "require") == 0 || strncmp(mode, "verify-", 7) == 0;
    tls->verify_name = strcmp(mode, "verify-full") == 0;
    return are_files(params, error_r, cap) &&
           (!is_set(params->sslrootcert) || load_trust(tls, params, error_r, cap)) &&
           (!shows_certificate(params) || load_identity(tls, params, error_r, cap));
}

bool pg_tls_load(
    const struct pg_tls_params *params, struct pg_tls **tls_r, char *error_r, size_t cap)
{
    struct pg_tls *tls;

    *tls_r = NULL;
    if ((is_set(params->sslmode) && strcmp(params->sslmode, "disable") == 0) ||
        (!is_set(params->sslrootcert) && !shows_certificate(params)))
        return true;
    snprintf(error_r, cap, "out of memory");
    tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return false;
    ERR_set_mark();
    if (load_all(tls, params, error_r, cap)) {
        *tls_r = tls;
    } else {
        pg_tls_free(tls);
    }
    ERR_pop_to_mark();
    return *tls_r != NULL;
}

void pg_tls_free(struct pg_tls *tls)
{
    if (tls == NULL)
        return;
    X509_STORE_free(tls->store);
    sk_X509_pop_free(tls->chain, X509_free);
    EVP_PKEY_free(tls->key);
    SSL_free(tls->ssl);
    free(tls);
}
