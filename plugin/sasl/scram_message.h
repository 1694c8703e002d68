/*
 * scram_message.h: the messages of SCRAM-SHA-256 (RFC 5802, section 7).
 *
 * The bytes are judged as they came. Nothing is allocated or logged; every function looks at the
 * length before the first byte. Faults are constant sentences for the audit row's detail.
 */
#ifndef PGSASL_SASL_SCRAM_MESSAGE_H
#define PGSASL_SASL_SCRAM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"

enum {
    SCRAM_MESSAGE_MAX = 2048,    /* bytes of a client's message */
    SCRAM_NONCE_MAX = 256,       /* bytes of a client's nonce */
    SCRAM_SERVER_NONCE_MAX = 32, /* characters that the server adds */
    SCRAM_PROOF_BYTES = 32
};

/* Part of a message. */
struct scram_text {
    const char *at;
    size_t len;
};

/* What the gs2-header says of channel binding. */
enum scram_binding {
    SCRAM_BINDING_NONE = 0,    /* "n": the client knows of none */
    SCRAM_BINDING_NOT_OFFERED, /* "y": the client thinks that the server knows of none */
    SCRAM_BINDING_USED         /* "p=" */
};

/* client-first-message. Its texts lead into the message. */
struct scram_first {
    enum scram_binding binding;
    struct scram_text binding_name; /* of SCRAM_BINDING_USED */
    struct scram_text header;       /* gs2-header, with both commas */
    struct scram_text bare;         /* client-first-message-bare */
    struct scram_text nonce;
};

/*
 * Parses a client-first-message. Returns NULL or what is wrong with it. Overwrites *credentials_r:
 * the name, and an authorization identity where there is one, with =2C and =3D decoded. On a fault
 * only display_name is set, as far as a name could be seen. message may be NULL when len is 0.
 */
const char *scram_parse_first(const char *message, size_t len, struct scram_first *first_r,
    struct credentials *credentials_r);

/* client-final-message. */
struct scram_final {
    struct scram_text without_proof; /* client-final-message-without-proof */
    uint8_t proof[SCRAM_PROOF_BYTES];
};

/* What a client-final-message must repeat. */
struct scram_expected {
    struct scram_text header;       /* gs2-header of the first message */
    struct scram_text binding_data; /* of SCRAM_BINDING_USED, else empty */
    struct scram_text nonce;        /* the client's and the server's */
};

/* Parses a client-final-message. Returns NULL or what is wrong with it. */
const char *scram_parse_final(const char *message, size_t len,
    const struct scram_expected *expected, struct scram_final *final_r);

/*
 * Decodes a saslname as far as cap goes; one that is longer fills it. No NUL is written. False
 * where an = does not begin an escape; it is then copied as it is.
 */
bool scram_decode_name(struct scram_text name, char *out, size_t cap, size_t *len_r);

/*
 * The user name of a client-first-message of any SCRAM mechanism, whatever else is wrong with it:
 * false where none can be seen. Decoded, without a NUL; cap at least 1.
 */
bool scram_find_name(const char *message, size_t len, char *name_r, size_t cap, size_t *len_r);

#endif
