/*
 * scram_message.c: reads the two messages of a SCRAM client from left to right, strictly.
 *
 * Every reader stops at the end that it was given and takes one spelling only. What a client sent
 * in a message at fault is never used, except for its user name in the audit row.
 */
#include "sasl/scram_message.h"

#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "sasl/wire.h"

_Static_assert(SCRAM_MESSAGE_MAX == 2048 && SCRAM_NONCE_MAX == 256 && AUTHCID_MAX == 255,
    "the faults name these figures");

/* What is left to read. */
struct cursor {
    const char *at;
    size_t left;
};

static const char *message_fault(const char *message, size_t len)
{
    if (len == 0)
        return "message is empty";
    if (len > SCRAM_MESSAGE_MAX)
        return "message is longer than 2048 octets";
    return text_is_utf8(message, len) ? NULL : "message is not UTF-8, or holds a NUL";
}

static bool take(struct cursor *cursor, const char *literal)
{
    const size_t len = strlen(literal);

    if (cursor->left < len || memcmp(cursor->at, literal, len) != 0)
        return false;
    cursor->at += len;
    cursor->left -= len;
    return true;
}

/* What stands before the next comma, or the end. */
static struct scram_text take_value(struct cursor *cursor)
{
    const char *comma = cursor->left == 0 ? NULL : memchr(cursor->at, ',', cursor->left);
    const struct scram_text value = {
        cursor->at, comma == NULL ? cursor->left : (size_t)(comma - cursor->at)};

    cursor->at += value.len;
    cursor->left -= value.len;
    return value;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* cb-name */
static bool is_binding_name(struct scram_text name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_letter(name.at[i]) && !(name.at[i] >= '0' && name.at[i] <= '9') &&
            name.at[i] != '.' && name.at[i] != '-')
            return false;
    return name.len > 0;
}

static const char *nonce_fault(struct scram_text nonce)
{
    if (nonce.len == 0)
        return "nonce is empty";
    if (nonce.len > SCRAM_NONCE_MAX)
        return "nonce is longer than 256 octets";
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.at[i] < '!' || nonce.at[i] > '~')
            return "nonce is not printable ASCII";
    return NULL;
}

bool scram_decode_name(struct scram_text name, char *out, size_t cap, size_t *len_r)
{
    bool good = true;

    *len_r = 0;
    for (size_t i = 0; i < name.len && *len_r < cap; i++) {
        char c = name.at[i];

        if (c == '=' && name.len - i > 2 && memcmp(name.at + i, "=2C", 3) == 0) {
            c = ',';
            i += 2;
        } else if (c == '=' && name.len - i > 2 && memcmp(name.at + i, "=3D", 3) == 0) {
            i += 2;
        } else if (c == '=') {
            good = false;
        }
        out[(*len_r)++] = c;
    }
    return good;
}

/* ---- client-first-message ---- */

/* gs2-cbind-flag and the comma behind it */
static const char *take_binding(struct cursor *cursor, struct scram_first *first)
{
    if (take(cursor, "n,"))
        return NULL;
    if (take(cursor, "y,")) {
        first->binding = SCRAM_BINDING_NOT_OFFERED;
        return NULL;
    }
    if (!take(cursor, "p="))
        return "message does not begin with n, y or p=";
    first->binding = SCRAM_BINDING_USED;
    first->binding_name = take_value(cursor);
    return is_binding_name(first->binding_name) && take(cursor, ",")
               ? NULL
               : "name of the channel binding is malformed";
}

/* [ authzid ] and the comma behind it; text_r is the authzid as it is written */
static const char *take_authzid(struct cursor *cursor, struct scram_text *text_r)
{
    *text_r = (struct scram_text){cursor->at, 0};
    if (take(cursor, "a=")) {
        *text_r = take_value(cursor);
        if (text_r->len == 0)
            return "authorization identity is empty";
    }
    return take(cursor, ",") ? NULL : "gs2-header is malformed";
}

/* [ "," extensions ] up to the end */
static const char *take_extensions(struct cursor *cursor)
{
    while (cursor->left > 0) {
        if (!take(cursor, ",") || cursor->left < 3 || !is_letter(cursor->at[0]) ||
            cursor->at[1] != '=' || cursor->at[2] == ',')
            return "an extension is malformed";
        (void)take_value(cursor);
    }
    return NULL;
}

/* client-first-message-bare; name_r is the user name as it is written */
static const char *take_bare(
    struct cursor *cursor, struct scram_first *first, struct scram_text *name_r)
{
    const char *fault;

    first->bare = (struct scram_text){cursor->at, cursor->left};
    if (take(cursor, "m="))
        return "a mandatory extension is not supported";
    if (!take(cursor, "n="))
        return "there is no user name";
    *name_r = take_value(cursor);
    if (!take(cursor, ",r="))
        return "there is no nonce behind the user name";
    first->nonce = take_value(cursor);
    fault = nonce_fault(first->nonce);
    return fault == NULL ? take_extensions(cursor) : fault;
}

static const char *take_first(struct cursor *cursor, struct scram_first *first,
    struct scram_text *authzid_r, struct scram_text *name_r)
{
    const char *begin = cursor->at;
    const char *fault = take_binding(cursor, first);

    if (fault == NULL)
        fault = take_authzid(cursor, authzid_r);
    first->header = (struct scram_text){begin, (size_t)(cursor->at - begin)};
    return fault == NULL ? take_bare(cursor, first, name_r) : fault;
}

/* The two names, decoded, into *credentials, which holds no other fault yet. */
static const char *take_names(
    struct scram_text authzid, struct scram_text name, struct credentials *credentials)
{
    char text[AUTHCID_MAX + 1];
    size_t len;
    const bool good = scram_decode_name(name, text, sizeof text, &len);
    const char *fault = wire_take_name(text, len, credentials);

    if (!good)
        return "an = in the user name is not followed by 2C or 3D";
    if (fault != NULL)
        return fault;
    if (!scram_decode_name(authzid, text, sizeof text, &len))
        return "an = in the authorization identity is not followed by 2C or 3D";
    if (len > AUTHCID_MAX)
        return "authorization identity is longer than 255 octets";
    memcpy(credentials->authzid, text, len);
    credentials->authzid_len = len;
    return NULL;
}

static void keep_only_display_name(struct credentials *credentials)
{
    char shown[DISPLAY_NAME_MAX];

    memcpy(shown, credentials->display_name, sizeof shown);
    credentials_wipe(credentials);
    memcpy(credentials->display_name, shown, sizeof shown);
}

/* A name is no secret: it is shown where one can be seen, whatever else is wrong. */
static void show_name(const char *message, size_t len, struct credentials *credentials_r)
{
    char name[AUTHCID_MAX + 1];
    size_t name_len;

    credentials_wipe(credentials_r);
    if (scram_find_name(message, len, name, sizeof name, &name_len))
        (void)wire_take_name(name, name_len, credentials_r);
    keep_only_display_name(credentials_r);
}

const char *scram_parse_first(
    const char *message, size_t len, struct scram_first *first_r, struct credentials *credentials_r)
{
    struct cursor cursor = {message, len};
    struct scram_text authzid, name;
    const char *fault = message_fault(message, len);

    memset(first_r, 0, sizeof *first_r);
    credentials_wipe(credentials_r);
    if (fault == NULL)
        fault = take_first(&cursor, first_r, &authzid, &name);
    if (fault == NULL)
        fault = take_names(authzid, name, credentials_r);
    if (fault != NULL)
        show_name(message, len, credentials_r);
    credentials_r->fault = fault;
    return fault;
}

bool scram_find_name(const char *message, size_t len, char *name_r, size_t cap, size_t *len_r)
{
    struct cursor cursor = {message, len};

    *len_r = 0;
    if (len == 0 || len > SCRAM_MESSAGE_MAX)
        return false;
    for (int commas = 0; commas < 2; commas++) {
        (void)take_value(&cursor);
        if (!take(&cursor, ","))
            return false;
    }
    if (take(&cursor, "m=")) {
        (void)take_value(&cursor);
        (void)take(&cursor, ",");
    }
    if (!take(&cursor, "n="))
        return false;
    (void)scram_decode_name(take_value(&cursor), name_r, cap, len_r);
    return *len_r > 0;
}

/* ---- client-final-message ---- */

static bool same(struct scram_text one, struct scram_text other)
{
    return one.len == other.len && memcmp(one.at, other.at, one.len) == 0;
}

/* c= is the base64 of the gs2-header and the data of the binding. */
static bool is_binding(struct scram_text text, const struct scram_expected *expected)
{
    const struct scram_text header = expected->header, data = expected->binding_data;
    uint8_t bytes[2 * SCRAM_MESSAGE_MAX];

    return header.len + data.len <= sizeof bytes &&
           base64_decode(text.at, text.len, bytes, header.len + data.len) &&
           memcmp(bytes, header.at, header.len) == 0 &&
           (data.len == 0 || memcmp(bytes + header.len, data.at, data.len) == 0);
}

/* Extensions up to the proof, which is the last field. */
static bool take_proof(struct cursor *cursor, struct scram_text *proof_r)
{
    while (!take(cursor, ",p=")) {
        if (!take(cursor, ",") || cursor->left < 3 || !is_letter(cursor->at[0]) ||
            cursor->at[0] == 'm' || cursor->at[1] != '=' || cursor->at[2] == ',')
            return false;
        (void)take_value(cursor);
    }
    *proof_r = take_value(cursor);
    return cursor->left == 0;
}

const char *scram_parse_final(const char *message, size_t len,
    const struct scram_expected *expected, struct scram_final *final_r)
{
    struct cursor cursor = {message, len};
    struct scram_text proof;
    const char *fault = message_fault(message, len);

    memset(final_r, 0, sizeof *final_r);
    if (fault != NULL)
        return fault;
    if (!take(&cursor, "c="))
        return "message does not begin with c=";
    if (!is_binding(take_value(&cursor), expected))
        return "c= is not the gs2-header of the first message";
    if (!take(&cursor, ",r=") || !same(take_value(&cursor), expected->nonce))
        return "nonce is not that of this exchange";
    if (!take_proof(&cursor, &proof))
        return "there is no proof at the end, or an extension is malformed";
    if (!base64_decode(proof.at, proof.len, final_r->proof, sizeof final_r->proof))
        return "proof is not the base64 of 32 octets";
    final_r->without_proof =
        (struct scram_text){message, (size_t)(proof.at - message) - strlen(",p=")};
    return NULL;
}
