/*
 * wire.c: the client's bytes of PLAIN and LOGIN into credentials.
 *
 * Everything is judged before anything is copied, so a message at fault never leaves a password
 * behind. What a faulty message shows of the user name for the audit row is chosen so that it is no
 * password, whichever way the client garbled it. Nothing is allocated or logged.
 */
#include "sasl/wire.h"

#include <stdbool.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"

_Static_assert(AUTHCID_MAX == 255 && PASSWORD_MAX == 1024 && WIRE_MESSAGE_MAX == 16384,
    "the faults name these figures");
_Static_assert(DISPLAY_NAME_MAX > 4 * AUTHCID_MAX + 3, "a name all escaped, and dots, must fit");

struct span {
    const char *at;
    size_t len;
};

/* What a field may hold, and how it is said that it does not. */
struct rule {
    size_t max;
    const char *empty; /* NULL: the field may be empty */
    const char *has_nul;
    const char *too_long;
    const char *not_utf8;
};

static const struct rule authzid_rule = {
    .max = AUTHCID_MAX,
    .has_nul = "authorization identity holds a NUL",
    .too_long = "authorization identity is longer than 255 octets",
    .not_utf8 = "authorization identity is not UTF-8",
};

static const struct rule name_rule = {
    .max = AUTHCID_MAX,
    .empty = "user name is empty",
    .has_nul = "user name holds a NUL",
    .too_long = "user name is longer than 255 octets",
    .not_utf8 = "user name is not UTF-8",
};

static const struct rule password_rule = {
    .max = PASSWORD_MAX,
    .empty = "password is empty",
    .has_nul = "password holds a NUL",
    .too_long = "password is longer than 1024 octets",
    .not_utf8 = "password is not UTF-8",
};

static const char message_too_long[] = "message is longer than 16384 octets";

/* The fields of PLAIN, in their order. */
enum { AUTHZID, AUTHCID, PASSWORD, FIELDS };

/* What may be read of a message: nothing where the host's length cannot be. *fault_r then says so,
 * and is NULL else. */
static struct span readable(const char *message, size_t len, const char **fault_r)
{
    *fault_r = message != NULL && len > WIRE_MESSAGE_MAX ? message_too_long : NULL;
    return (struct span){message, message == NULL || *fault_r != NULL ? 0 : len};
}

static const char *field_fault(struct span field, const struct rule *rule)
{
    if (field.len == 0)
        return rule->empty;
    if (memchr(field.at, '\0', field.len))
        return rule->has_nul;
    if (field.len > rule->max)
        return rule->too_long;
    if (!text_is_utf8(field.at, field.len))
        return rule->not_utf8;
    return NULL;
}

static size_t copy(char *out, struct span field)
{
    if (field.len > 0)
        memcpy(out, field.at, field.len);
    out[field.len] = '\0';
    return field.len;
}

static void show(struct span name, struct credentials *credentials)
{
    if (name.len <= AUTHCID_MAX && text_is_utf8(name.at, name.len))
        (void)copy(credentials->display_name, name);
    else
        (void)text_escape(
            credentials->display_name, sizeof(credentials->display_name), name.at, name.len);
}

/* Cuts message at its first two NULs. Returns how many NULs it holds in all; absent fields are
 * empty. */
static size_t split(struct span message, struct span fields_r[FIELDS])
{
    size_t nuls = 0;
    size_t start = 0;

    memset(fields_r, 0, FIELDS * sizeof(*fields_r));
    for (size_t i = 0; i < message.len; i++) {
        if (message.at[i] != '\0')
            continue;
        if (nuls < PASSWORD) {
            fields_r[nuls] = (struct span){message.at + start, i - start};
            start = i + 1;
        }
        nuls++;
    }
    if (message.len > 0)
        fields_r[nuls < PASSWORD ? nuls : PASSWORD] =
            (struct span){message.at + start, message.len - start};
    return nuls;
}

/*
 * The field of a message that may be shown as its user name.
 *
 * With all three fields there, that is the authcid. Else the client has left something out, and as
 * often as not it was the leading NUL: "user NUL password", with a NUL at the end from clients that
 * send C strings. So the first field is the name unless it is empty. The second stands in for an
 * empty first one, but only when a NUL ends it: in printf '\0user\0123' the shell takes \0123 for
 * one character, and the second field runs on into the password. Bytes without any NUL may be
 * anything, and are not shown.
 */
static struct span name_in_sight(const struct span fields[FIELDS], size_t nuls)
{
    if (nuls == PASSWORD && fields[AUTHCID].len > 0 && fields[PASSWORD].len > 0)
        return fields[AUTHCID];
    if (nuls > 0 && fields[AUTHZID].len > 0)
        return fields[AUTHZID];
    if (nuls > 1)
        return fields[AUTHCID];
    return (struct span){NULL, 0};
}

static const char *plain_fault(const struct span fields[FIELDS], size_t nuls)
{
    const char *fault;

    if (nuls < PASSWORD)
        return "message has fewer than two NULs";
    if (nuls > PASSWORD)
        return "message has more than two NULs";
    fault = field_fault(fields[AUTHCID], &name_rule);
    if (!fault)
        fault = field_fault(fields[AUTHZID], &authzid_rule);
    if (!fault)
        fault = field_fault(fields[PASSWORD], &password_rule);
    return fault;
}

const char *wire_parse_plain(const char *message, size_t len, struct credentials *credentials_r)
{
    struct span fields[FIELDS];
    const char *fault;
    size_t nuls = split(readable(message, len, &fault), fields);

    credentials_wipe(credentials_r);
    show(name_in_sight(fields, nuls), credentials_r);
    credentials_r->fault = fault != NULL ? fault : plain_fault(fields, nuls);
    if (!credentials_r->fault) {
        credentials_r->authzid_len = copy(credentials_r->authzid, fields[AUTHZID]);
        credentials_r->authcid_len = copy(credentials_r->authcid, fields[AUTHCID]);
        credentials_r->password_len = copy(credentials_r->password, fields[PASSWORD]);
    }
    return credentials_r->fault;
}

/*
 * A name that holds a NUL may be a whole PLAIN message, sent in answer to LOGIN's first question.
 * So it is shown up to the NUL that ends its first field, or its second where the first is empty,
 * as in name_in_sight(); dots stand for the rest.
 */
static void show_name_with_nul(struct span name, struct credentials *credentials)
{
    static const char dots[] = "...";
    const char *end = memchr(name.at, '\0', name.len);
    struct span seen = {name.at, (size_t)(end - name.at) + 1};
    size_t used;

    if (end == name.at) {
        end = memchr(name.at + 1, '\0', name.len - 1);
        if (end)
            seen.len = (size_t)(end - name.at) + 1;
    }
    if (seen.len > AUTHCID_MAX)
        seen.len = AUTHCID_MAX;
    used = text_escape(
        credentials->display_name, sizeof(credentials->display_name), seen.at, seen.len);
    if (seen.len < name.len)
        memcpy(credentials->display_name + used, dots, sizeof(dots));
}

const char *wire_take_name(const char *name, size_t len, struct credentials *credentials_io)
{
    const char *fault;
    const struct span field = readable(name, len, &fault);

    credentials_wipe(credentials_io);
    if (field.len > 0 && memchr(field.at, '\0', field.len))
        show_name_with_nul(field, credentials_io);
    else
        show(field, credentials_io);
    credentials_io->fault = fault != NULL ? fault : field_fault(field, &name_rule);
    if (!credentials_io->fault)
        credentials_io->authcid_len = copy(credentials_io->authcid, field);
    return credentials_io->fault;
}

/* Takes back all that a caller could mistake for credentials; what names the attempt stays. */
static void keep_only_display_name(struct credentials *credentials)
{
    secret_wipe(credentials->password, sizeof(credentials->password));
    credentials->password_len = 0;
    memset(credentials->authcid, 0, sizeof(credentials->authcid));
    credentials->authcid_len = 0;
}

const char *wire_take_password(const char *password, size_t len, struct credentials *credentials_io)
{
    const char *fault;
    const struct span field = readable(password, len, &fault);

    if (!credentials_io->fault && credentials_io->authcid_len == 0)
        credentials_io->fault = name_rule.empty; /* a password before any name */
    if (!credentials_io->fault)
        credentials_io->fault = fault != NULL ? fault : field_fault(field, &password_rule);
    if (credentials_io->fault)
        keep_only_display_name(credentials_io);
    else
        credentials_io->password_len = copy(credentials_io->password, field);
    return credentials_io->fault;
}
