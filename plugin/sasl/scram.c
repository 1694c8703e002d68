/*
 * scram.c: the mechanism SCRAM-SHA-256 (RFC 5802, RFC 7677) for users whose stored hash is a
 * verifier.
 *
 * Three steps: the name brings a challenge, the proof the server's signature, and an empty response
 * to that the verdict. The signature is a challenge of its own even where the protocol could send
 * it along with the verdict, so that a client that goes away before it is recorded as any other.
 * With SASL_SUCCESS_DATA, where clients may count on that, it goes along.
 *
 * Channel bindings are verified where the host gives libsasl one; neither Postfix nor Exim does.
 */
#include "sasl/exchange.h"

#include <stdio.h>
#include <string.h>

#include "auth/scram_attempt.h"
#include "base/base64.h"
#include "base/secret.h"
#include "sasl/host_log.h"
#include "sasl/mechanisms.h"
#include "sasl/scram_message.h"

enum state { STATE_FIRST, STATE_PROOF, STATE_VERDICT };

enum {
    NONCE_BYTES = 18,
    HEADER_MAX = SCRAM_MESSAGE_MAX,
    CHALLENGE_MAX = SCRAM_NONCE_MAX + BASE64_CHARS(NONCE_BYTES) + BASE64_CHARS(HASH_SALT_MAX) + 32,
    AUTH_MESSAGE_MAX = 2 * SCRAM_MESSAGE_MAX + CHALLENGE_MAX + 2,
    SIGNATURE_MAX = 2 + BASE64_CHARS(SCRAM_KEY_BYTES) + 1
};

_Static_assert(BASE64_CHARS(NONCE_BYTES) <= SCRAM_SERVER_NONCE_MAX, "the nonce fits");
_Static_assert((int)SCRAM_KEY_BYTES == (int)SCRAM_PROOF_BYTES, "a proof is as long as a key");

struct scram {
    struct exchange exchange; /* first */
    enum state state;
    struct scram_attempt attempt; /* since STATE_PROOF */
    enum scram_binding binding;
    char header[HEADER_MAX];
    size_t header_len;
    char nonce[SCRAM_NONCE_MAX + SCRAM_SERVER_NONCE_MAX + 1];
    size_t nonce_len;
    char message[AUTH_MESSAGE_MAX]; /* AuthMessage, as far as it is known */
    size_t message_len;
    size_t challenge_at;           /* of server-first-message, in message */
    char signature[SIGNATURE_MAX]; /* server-final-message */
};

static int scram_new(void *glob_context, sasl_server_params_t *sparams, const char *challenge,
    unsigned challenge_len, void **conn_context)
{
    (void)challenge;
    (void)challenge_len;
    return exchange_new(glob_context, sparams, "SCRAM-SHA-256", sizeof(struct scram), conn_context);
}

/* ---- the first message ---- */

/* NULL, or why the binding that the client names cannot be. */
static const char *binding_fault(
    const struct scram_first *first, const sasl_server_params_t *sparams)
{
    const sasl_channel_binding_t *ours = sparams->cbinding;

    switch (first->binding) {
    case SCRAM_BINDING_NONE:
        return SASL_CB_CRITICAL(sparams) ? "this server requires a channel binding" : NULL;
    case SCRAM_BINDING_NOT_OFFERED:
        return ours == NULL ? NULL : "the client was not told that there is a channel binding";
    case SCRAM_BINDING_USED:
        return ours != NULL && strlen(ours->name) == first->binding_name.len &&
                       memcmp(ours->name, first->binding_name.at, first->binding_name.len) == 0 &&
                       ours->len <= SCRAM_MESSAGE_MAX
                   ? NULL
                   : "channel binding is not supported";
    }
    return "channel binding is not supported";
}

static void append(struct scram *scram, const char *text, size_t len)
{
    memcpy(scram->message + scram->message_len, text, len);
    scram->message_len += len;
}

/* The client's nonce and ours. False: no random bytes. */
static bool make_nonce(struct scram *scram, struct scram_text of_client)
{
    uint8_t bytes[NONCE_BYTES];

    if (!secret_random(bytes, sizeof bytes))
        return false;
    memcpy(scram->nonce, of_client.at, of_client.len);
    scram->nonce_len =
        of_client.len + base64_encode(bytes, sizeof bytes, scram->nonce + of_client.len);
    return true;
}

static void add_challenge(struct scram *scram)
{
    char salt[BASE64_CHARS(HASH_SALT_MAX) + 1];
    char challenge[CHALLENGE_MAX];
    int len;

    (void)base64_encode(scram->attempt.salt, scram->attempt.salt_len, salt);
    len = snprintf(challenge, sizeof challenge, "r=%s,s=%s,i=%u", scram->nonce, salt,
        scram->attempt.iterations);
    scram->challenge_at = scram->message_len;
    append(scram, challenge, (size_t)len);
}

/* Keeps what the second message must repeat. */
static bool keep(struct scram *scram, const struct scram_first *first)
{
    scram->binding = first->binding;
    memcpy(scram->header, first->header.at, first->header.len);
    scram->header_len = first->header.len;
    append(scram, first->bare.at, first->bare.len);
    append(scram, ",", 1);
    return make_nonce(scram, first->nonce);
}

/* True: the challenge can be sent. False: *reason_r is the verdict. */
static bool begin(
    struct scram *scram, const char *fault, const struct scram_first *first, enum reason *reason_r)
{
    struct exchange *exchange = &scram->exchange;

    exchange->attempt.fault = fault;
    if (!scram_begin(&scram->attempt, exchange->backend, &exchange->attempt)) {
        *reason_r = scram_finish(&scram->attempt);
        return false;
    }
    if (!keep(scram, first)) {
        *reason_r = scram_refuse(&scram->attempt, REASON_BACKEND_UNAVAILABLE, "no random numbers");
        return false;
    }
    add_challenge(scram);
    scram->state = STATE_PROOF;
    return true;
}

static int step_first(struct scram *scram, sasl_server_params_t *sparams, struct scram_text in,
    struct scram_text *out_r, sasl_out_params_t *oparams)
{
    struct exchange *exchange = &scram->exchange;
    struct scram_first first;
    const char *fault = scram_parse_first(in.at, in.len, &first, &exchange->credentials);
    enum reason reason;
    bool go_on;

    if (fault == NULL)
        fault = binding_fault(&first, sparams);
    host_log_attach(sparams->utils);
    exchange_set_name(exchange, sparams, oparams);
    go_on = begin(scram, fault, &first, &reason);
    host_log_attach(NULL);
    if (!go_on)
        return exchange_answer(exchange, sparams, reason, oparams);
    *out_r = (struct scram_text){
        scram->message + scram->challenge_at, scram->message_len - scram->challenge_at};
    return SASL_CONTINUE;
}

/* ---- the proof ---- */

/* True: nothing has failed, and the signature can be sent. *fault_r: what the message lacks. */
static bool prove(struct scram *scram, const sasl_server_params_t *sparams, struct scram_text in,
    const char **fault_r)
{
    struct scram_expected expected = {
        .header = {scram->header, scram->header_len},
        .nonce = {scram->nonce, scram->nonce_len},
    };
    struct scram_final final;
    uint8_t signature[SCRAM_KEY_BYTES];
    bool proven;

    if (scram->binding == SCRAM_BINDING_USED)
        expected.binding_data =
            (struct scram_text){(const char *)sparams->cbinding->data, sparams->cbinding->len};
    *fault_r = scram_parse_final(in.at, in.len, &expected, &final);
    if (*fault_r != NULL)
        return false;
    append(scram, ",", 1);
    append(scram, final.without_proof.at, final.without_proof.len);
    proven =
        scram_prove(&scram->attempt, scram->message, scram->message_len, final.proof, signature);
    if (proven) {
        memcpy(scram->signature, "v=", 2);
        (void)base64_encode(signature, sizeof signature, scram->signature + 2);
    }
    secret_wipe(&final, sizeof final);
    secret_wipe(signature, sizeof signature);
    return proven;
}

static void fill_binding(
    const struct scram *scram, const sasl_server_params_t *sparams, sasl_out_params_t *oparams)
{
    oparams->cbindingdisp = SASL_CB_DISP_NONE;
    if (scram->binding != SCRAM_BINDING_USED)
        return;
    oparams->cbindingdisp = SASL_CB_DISP_USED;
    oparams->cbindingname = sparams->cbinding->name;
}

/* The verdict, and the end of the exchange. */
static int finish(struct scram *scram, const sasl_server_params_t *sparams, const char *fault,
    sasl_out_params_t *oparams)
{
    enum reason reason;

    host_log_attach(sparams->utils);
    reason = fault == NULL ? scram_finish(&scram->attempt)
                           : scram_refuse(&scram->attempt, REASON_MALFORMED_RESPONSE, fault);
    host_log_attach(NULL);
    fill_binding(scram, sparams, oparams);
    return exchange_answer(&scram->exchange, sparams, reason, oparams);
}

static int step_proof(struct scram *scram, const sasl_server_params_t *sparams,
    struct scram_text in, struct scram_text *out_r, sasl_out_params_t *oparams)
{
    const char *fault;

    if (!prove(scram, sparams, in, &fault))
        return finish(scram, sparams, fault, oparams);
    *out_r = (struct scram_text){scram->signature, strlen(scram->signature)};
    scram->state = STATE_VERDICT;
    return (sparams->flags & SASL_SUCCESS_DATA) != 0 ? finish(scram, sparams, NULL, oparams)
                                                     : SASL_CONTINUE;
}

/* ---- the mechanism ---- */

/* Ends an attempt that scram_begin() started. */
static enum reason abandon(struct scram *scram, const sasl_utils_t *utils)
{
    enum reason reason;

    host_log_attach(utils);
    reason = scram_refuse(&scram->attempt, REASON_ABANDONED_EXCHANGE, NULL);
    host_log_attach(NULL);
    return reason;
}

static int hang_up(struct scram *scram, sasl_server_params_t *sparams, sasl_out_params_t *oparams)
{
    if (scram->state == STATE_FIRST)
        return exchange_refuse(&scram->exchange, sparams, REASON_ABANDONED_EXCHANGE, NULL, oparams);
    return exchange_answer(&scram->exchange, sparams, abandon(scram, sparams->utils), oparams);
}

static int step(struct scram *scram, sasl_server_params_t *sparams, struct scram_text in,
    struct scram_text *out_r, sasl_out_params_t *oparams)
{
    switch (scram->state) {
    case STATE_FIRST:
        return step_first(scram, sparams, in, out_r, oparams);
    case STATE_PROOF:
        return step_proof(scram, sparams, in, out_r, oparams);
    case STATE_VERDICT:
        return finish(scram, sparams,
            in.len == 0 ? NULL : "the response to the server's signature is not empty", oparams);
    }
    return SASL_UNAVAIL;
}

static int scram_step(void *conn_context, sasl_server_params_t *sparams, const char *clientin,
    unsigned clientinlen, const char **serverout, unsigned *serveroutlen,
    sasl_out_params_t *oparams)
{
    struct scram *scram = conn_context;
    struct scram_text out = {NULL, 0};
    int code;

    if (scram->state != STATE_VERDICT && exchange_is_hang_up(&scram->exchange, clientinlen))
        code = hang_up(scram, sparams, oparams);
    else
        code = step(scram, sparams, (struct scram_text){clientin, clientinlen}, &out, oparams);
    *serverout = code == SASL_OK || code == SASL_CONTINUE ? out.at : NULL;
    *serveroutlen = *serverout == NULL ? 0 : (unsigned)out.len;
    return code;
}

static void scram_dispose(void *conn_context, const sasl_utils_t *utils)
{
    struct scram *scram = conn_context;

    if (scram != NULL && !scram->exchange.answered && scram->state != STATE_FIRST) {
        (void)abandon(scram, utils);
        scram->exchange.answered = true;
    }
    exchange_dispose(scram, sizeof *scram, utils);
}

/*
 * The features are those of stock libscram, but for an authorization identity other than the name:
 * without SASL_FEAT_CHANNEL_BINDING it would sort ahead of us.
 */
const sasl_server_plug_t mech_scram = {
    .mech_name = "SCRAM-SHA-256",
    .security_flags = SCRAM_MECHANISM_FLAGS,
    .features = SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_CHANNEL_BINDING,
    .mech_new = scram_new,
    .mech_step = scram_step,
    .mech_dispose = scram_dispose,
};
