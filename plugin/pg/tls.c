/*
 * tls.c: reads what verifies the database server and names us to it, and hands it to OpenSSL.
 *
 * libpq has no call for certificates in memory. OpenSSL tells whoever asked for "ex data" of a new
 * SSL object (CRYPTO_get_ex_new_index(3)), so libpq's is met there and set up before its handshake:
 * by this thread's pg_tls_begin() only, which leaves the host's own TLS alone. libpq is told
 * "require" and no files; the chain and the host name are verified by OpenSSL on our word, which
 * fails closed: whatever can't be set up refuses the certificate.
 */
#include "pg/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { TLS_ERROR_MAX = 160 };

struct pg_tls {
    /* Trusted certificates and revocation lists; NULL: the server's is not verified. */
    X509_STORE *store;
    bool verify_name;       /* verify-full */
    STACK_OF(X509) * chain; /* ours, the first one the client's own; NULL: none */
    EVP_PKEY *key;          /* NULL: none */
    const char *host;       /* of the connection being made */
    const char *fault;      /* why it could not be set up; NULL: it could */
    char error[TLS_ERROR_MAX];
};

/* The connection that this thread is making. */
static _Thread_local struct pg_tls *current;

/* One for all, taken by the first and given back by the last: the host may unload us. */
static int hook = -1;
static int hook_users;

static bool is_set(const char *param)
{
    return param != NULL && *param != '\0';
}

/* ---- a connection ---- */

static int note_refusal(int ok, X509_STORE_CTX *context)
{
    struct pg_tls *tls = current;

    if (tls == NULL || tls->fault != NULL)
        ok = 0;
    if (!ok && tls != NULL)
        snprintf(tls->error, sizeof tls->error, "the server's certificate is refused: %s",
            tls->fault != NULL ? tls->fault
                               : X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    return ok;
}

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1;
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

/* NULL, or a constant of what is in the way. */
static const char *set_up(const struct pg_tls *tls, SSL *ssl)
{
    if (tls->store != NULL) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, note_refusal);
        if (SSL_set1_verify_cert_store(ssl, tls->store) != 1)
            return "out of memory";
    }
    if (tls->store != NULL && tls->verify_name) {
        if (!is_set(tls->host))
            return "verify-full needs a host in the connection string";
        if (!expect_host(ssl, tls->host))
            return "the host of the connection string is no host name";
    }
    return tls->chain == NULL || show_chain(tls, ssl) ? NULL : "out of memory";
}

/* OpenSSL's word that somebody makes an SSL object. */
static void on_new_ssl(
    void *parent, void *unused, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)unused;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    if (current == NULL)
        return;
    current->fault = set_up(current, parent);
    if (current->fault != NULL)
        SSL_set_verify(parent, SSL_VERIFY_PEER, note_refusal);
}

void pg_tls_begin(struct pg_tls *tls, const char *host)
{
    current = tls;
    if (tls == NULL)
        return;
    tls->host = host;
    tls->fault = NULL;
    tls->error[0] = '\0';
}

void pg_tls_end(void)
{
    current = NULL;
}

const char *pg_tls_error(const struct pg_tls *tls)
{
    return tls == NULL ? "" : tls->error;
}

const char *pg_tls_mode(const struct pg_tls *tls, const char *fallback)
{
    return tls != NULL && fallback != NULL && strncmp(fallback, "verify-", 7) == 0 ? "require"
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

static bool load_trust(
    struct pg_tls *tls, const struct pg_tls_params *params, char *error_r, size_t cap)
{
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

/* libpq's rule: nobody but the owner, or root and one group, may read a key. */
static bool is_private(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
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
        snprintf(
            error_r, cap, "sslkey %.120s must be a file that others cannot read", params->sslkey);
        return false;
    }
    if (!load_key(tls, params))
        return complain(error_r, cap, "sslkey", params->sslkey);
    if (X509_check_private_key(sk_X509_value(tls->chain, 0), tls->key) == 1)
        return true;
    snprintf(error_r, cap, "sslkey %.120s is not the key of sslcert", params->sslkey);
    return false;
}

static bool load_all(
    struct pg_tls *tls, const struct pg_tls_params *params, char *error_r, size_t cap)
{
    if (hook_users++ == 0)
        hook = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, on_new_ssl, NULL, NULL);
    tls->verify_name = is_set(params->sslmode) && strcmp(params->sslmode, "verify-full") == 0;
    return hook >= 0 && (!is_set(params->sslrootcert) || load_trust(tls, params, error_r, cap)) &&
           (!is_set(params->sslcert) || load_identity(tls, params, error_r, cap));
}

bool pg_tls_load(
    const struct pg_tls_params *params, struct pg_tls **tls_r, char *error_r, size_t cap)
{
    struct pg_tls *tls;

    *tls_r = NULL;
    if ((is_set(params->sslmode) && strcmp(params->sslmode, "disable") == 0) ||
        (!is_set(params->sslrootcert) && !is_set(params->sslcert)))
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
    free(tls);
    if (--hook_users == 0 && hook >= 0) {
        CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, hook);
        hook = -1;
    }
}
