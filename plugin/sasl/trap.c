/*
 * trap.c: one mechanism for every name of pgsasl_trap_mechanisms.
 *
 * It says what the real mechanism would say until the client has shown its user name, and then
 * refuses. Nothing that the client sends is verified, so no step ever returns SASL_OK. A name that
 * is not in the table below is refused after its first message.
 */
#include "sasl/trap.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"
#include "sasl/exchange.h"
#include "sasl/trap_message.h"
#include "sasl/wire.h"

/* Ahead of any stock mechanism of the same name: it has every property that libsasl compares. */
static const unsigned trap_flags = SASL_SEC_NOPLAINTEXT | SASL_SEC_NOACTIVE |
                                   SASL_SEC_NODICTIONARY | SASL_SEC_FORWARD_SECRECY |
                                   SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS |
                                   SASL_SEC_MUTUAL_AUTH | SASL_SET_HASH_STRENGTH_BITS(512);

enum { CHALLENGE_MAX = 512, NONCE_HEX = 32 };

/* Writes a challenge; returns its length. nonce is random hex. */
typedef size_t make_challenge(
    char out_r[CHALLENGE_MAX], const char nonce[NONCE_HEX + 1], const char *host);

static make_challenge challenge_of_cram_md5, challenge_of_digest_md5, challenge_of_ntlm;

struct trap_kind {
    const char *name; /* one that ends in '*' stands for all that begin so */
    bool client_first;
    make_challenge *challenge; /* NULL: the first message is all that is asked for */
    trap_find_name *find_name; /* NULL: the mechanism shows none */
};

static const struct trap_kind kinds[] = {
    {"CRAM-MD5", false, challenge_of_cram_md5, trap_name_of_cram_md5},
    {"DIGEST-MD5", false, challenge_of_digest_md5, trap_name_of_digest_md5},
    {"NTLM", true, challenge_of_ntlm, trap_name_of_ntlm},
    {"XOAUTH2", true, NULL, trap_name_of_xoauth2},
    {"OAUTHBEARER", true, NULL, trap_name_of_oauthbearer},
    {"SCRAM-*", true, NULL, trap_name_of_scram},
    {"*", true, NULL, NULL},
};

/* What a plug's glob_context points at. */
struct trap {
    struct backend *backend;
    const struct trap_kind *kind;
    char name[OPTIONS_MECHANISM_MAX + 1];
};

struct trap_exchange {
    struct exchange exchange; /* first */
    const struct trap *trap;
    bool challenged;
    char challenge[CHALLENGE_MAX];
};

/* ---- the challenges ---- */

static size_t challenge_of_cram_md5(
    char out_r[CHALLENGE_MAX], const char nonce[NONCE_HEX + 1], const char *host)
{
    return (size_t)snprintf(
        out_r, CHALLENGE_MAX, "<%s.%lld@%s>", nonce, (long long)time(NULL), host);
}

static size_t challenge_of_digest_md5(
    char out_r[CHALLENGE_MAX], const char nonce[NONCE_HEX + 1], const char *host)
{
    return (size_t)snprintf(out_r, CHALLENGE_MAX,
        "nonce=\"%s\",realm=\"%s\",qop=\"auth\",charset=utf-8,algorithm=md5-sess", nonce, host);
}

/* CHALLENGE_MESSAGE of [MS-NLMP] 2.2.1.2, with no names in it: eight bytes are random. */
static size_t challenge_of_ntlm(
    char out_r[CHALLENGE_MAX], const char nonce[NONCE_HEX + 1], const char *host)
{
    enum { BYTES = 52, NONCE_AT = 24 };
    static const char message[BYTES] =
        "NTLMSSP\0\2\0\0\0"
        "\0\0\0\0\x30\0\0\0"  /* no target name */
        "\x05\x82\x88\0"      /* Unicode, NTLM, always sign, extended session, target info */
        "\0\0\0\0\0\0\0\0"    /* the challenge */
        "\0\0\0\0\0\0\0\0"    /* reserved */
        "\4\0\4\0\x30\0\0\0"; /* target info: behind this, its end mark alone */

    (void)host;
    memcpy(out_r, message, sizeof message);
    memcpy(out_r + NONCE_AT, nonce, 8);
    return sizeof message;
}

/* A host name as it may stand in quotes. */
static const char *host_name(const struct exchange *exchange)
{
    const char *name = exchange->server_host;

    return *name == '\0' || strpbrk(name, "\"\\<>@ ") != NULL ? "localhost" : name;
}

/* Where there are no random bytes the challenge is a constant: it protects nothing. */
static void make_nonce(char nonce_r[NONCE_HEX + 1])
{
    unsigned char bytes[NONCE_HEX / 2] = {0};

    (void)secret_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(nonce_r + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- the mechanism ---- */

static int trap_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    const struct trap *trap = glob_context;
    int code = exchange_new(
        trap->backend, sparams, trap->name, sizeof(struct trap_exchange), conn_context);

    (void)challenge;
    (void)challenge_len;
    if (code == SASL_OK)
        ((struct trap_exchange *)*conn_context)->trap = trap;
    return code;
}

/* True where it is our turn: not yet challenged, and the client has not gone ahead of us. */
static bool is_due_to_challenge(const struct trap_exchange *exchange, size_t response_len)
{
    const struct trap_kind *kind = exchange->trap->kind;

    return kind->challenge != NULL && !exchange->challenged &&
           (kind->client_first || response_len == 0);
}

static int challenge(struct trap_exchange *exchange, const char **serverout, unsigned *len_r)
{
    char nonce[NONCE_HEX + 1];

    make_nonce(nonce);
    exchange->challenged = true;
    *len_r = (unsigned)exchange->trap->kind->challenge(
        exchange->challenge, nonce, host_name(&exchange->exchange));
    *serverout = exchange->challenge;
    return SASL_CONTINUE;
}

static int trap_step(void *conn_context, sasl_server_params_t *sparams, const char *clientin,
    unsigned clientinlen, const char **serverout, unsigned *serveroutlen,
    sasl_out_params_t *oparams)
{
    struct trap_exchange *exchange = conn_context;
    trap_find_name *find_name = exchange->trap->kind->find_name;
    char name[TRAP_NAME_MAX];
    size_t len;

    *serverout = NULL;
    *serveroutlen = 0;
    if (is_due_to_challenge(exchange, clientinlen))
        return challenge(exchange, serverout, serveroutlen);
    if (exchange_is_hang_up(&exchange->exchange, clientinlen))
        return exchange_refuse(
            &exchange->exchange, sparams, REASON_ABANDONED_EXCHANGE, NULL, oparams);
    if (find_name != NULL && find_name(clientin, clientinlen, name, &len))
        (void)wire_take_name(name, len, &exchange->exchange.credentials);
    return exchange_refuse(
        &exchange->exchange, sparams, REASON_MECHANISM_NOT_OFFERED, NULL, oparams);
}

static void trap_dispose(void *conn_context, const sasl_utils_t *utils)
{
    exchange_dispose(conn_context, sizeof(struct trap_exchange), utils);
}

/* ---- the plugs ---- */

static const struct trap_kind *kind_of(const char *name)
{
    const struct trap_kind *kind = kinds;

    for (;; kind++) {
        const size_t len = strcspn(kind->name, "*");

        if (strncmp(name, kind->name, len) == 0 && (kind->name[len] == '*' || name[len] == '\0'))
            return kind;
    }
}

static void set_plug(sasl_server_plug_t *plug_r, struct trap *trap)
{
    memset(plug_r, 0, sizeof *plug_r);
    plug_r->mech_name = trap->name;
    plug_r->security_flags = trap_flags;
    plug_r->features = trap->kind->client_first ? SASL_FEAT_WANT_CLIENT_FIRST : 0;
    plug_r->glob_context = trap;
    plug_r->mech_new = trap_new;
    plug_r->mech_step = trap_step;
    plug_r->mech_dispose = trap_dispose;
}

size_t trap_plugs(struct backend *backend, sasl_server_plug_t plugs_r[TRAPS_MAX])
{
    static struct trap traps[TRAPS_MAX];
    const char *list = backend->options.trap_mechanisms;
    size_t count = 0;

    while (list != NULL && *list != '\0' && count < TRAPS_MAX) {
        struct trap *trap = &traps[count];
        const size_t len = strcspn(list, " ");

        snprintf(trap->name, sizeof trap->name, "%.*s", (int)len, list);
        trap->backend = backend;
        trap->kind = kind_of(trap->name);
        set_plug(&plugs_r[count++], trap);
        list += len + (list[len] == ' ');
    }
    return count;
}
