/*
 * scram.c: any bytes as the first and as the second message of SCRAM. What is taken is part of what
 * was sent; of what is at fault only a name stays, to be shown.
 */
#include "sasl/scram_message.h"

#include "base/base64.h"
#include "base/text.h"
#include "fuzz.h"

static void check_shown(const struct credentials *credentials)
{
    size_t length = strnlen(credentials->display_name, sizeof credentials->display_name);

    MUST(length < sizeof credentials->display_name);
    MUST(text_is_utf8(credentials->display_name, length));
}

static void check_within(struct scram_text text, const char *message, size_t size)
{
    MUST(text.at >= message && text.at + text.len <= message + size);
}

static void first(const char *message, size_t size)
{
    struct credentials credentials;
    struct scram_first read;
    const char *fault = scram_parse_first(message, size, &read, &credentials);

    check_shown(&credentials);
    MUST(credentials.password_len == 0);
    if (fault != NULL) {
        MUST(credentials.authcid_len == 0 && credentials.authzid_len == 0);
        return;
    }
    MUST(credentials.authcid_len > 0 && strlen(credentials.authcid) == credentials.authcid_len);
    MUST(strcmp(credentials.display_name, credentials.authcid) == 0);
    check_within(read.header, message, size);
    check_within(read.bare, message, size);
    check_within(read.nonce, message, size);
    MUST(read.header.len + read.bare.len == size);
    MUST(read.nonce.len > 0 && read.nonce.len <= SCRAM_NONCE_MAX);
    if (read.binding == SCRAM_BINDING_USED)
        check_within(read.binding_name, message, size);
}

static void final(const char *message, size_t size)
{
    const struct scram_expected expected = {{"n,,", 3}, {NULL, 0}, {"abcXYZ", 6}};
    struct scram_final read;
    char proof[BASE64_CHARS(SCRAM_PROOF_BYTES) + 1];

    if (scram_parse_final(message, size, &expected, &read) != NULL)
        return;
    check_within(read.without_proof, message, size);
    MUST(base64_encode(read.proof, sizeof read.proof, proof) == sizeof proof - 1);
    MUST(read.without_proof.len + 3 + sizeof proof - 1 == size);
    MUST(memcmp(message + size - sizeof proof + 1, proof, sizeof proof - 1) == 0);
}

static void decode(const char *text, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    char *again = malloc(size + 4);

    MUST(bytes != NULL && again != NULL);
    for (size_t len = size / 4 * 3; size % 4 == 0 && len + 2 >= size / 4 * 3; len--) {
        if (base64_decode(text, size, bytes, len))
            MUST(base64_encode(bytes, len, again) == size && memcmp(again, text, size) == 0);
        if (len == 0)
            break;
    }
    free(bytes);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *message = malloc(size == 0 ? 1 : size);

    MUST(message != NULL);
    if (size > 0)
        memcpy(message, data, size);
    first(message, size);
    final(message, size);
    decode(message, size);
    free(message);
    return 0;
}
