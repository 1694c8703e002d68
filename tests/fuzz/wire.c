/*
 * wire.c: any message for PLAIN, and any two for LOGIN. An accepted message is stored as it was
 * sent; a malformed one leaves no field.
 */
#include "sasl/wire.h"

#include "fuzz.h"
#include "base/text.h"

static void check_shown(const struct credentials *credentials)
{
    size_t length = strnlen(credentials->display_name, sizeof credentials->display_name);

    MUST(length < sizeof credentials->display_name);
    MUST(text_is_utf8(credentials->display_name, length));
}

static void check_taken(const char *text, size_t length, const char *sent)
{
    MUST(strlen(text) == length);
    MUST(length == 0 || memcmp(text, sent, length) == 0);
}

static void check_empty(const struct credentials *credentials)
{
    MUST(credentials->authzid_len == 0 && credentials->authzid[0] == '\0');
    MUST(credentials->authcid_len == 0 && credentials->authcid[0] == '\0');
    MUST(credentials->password_len == 0 && credentials->password[0] == '\0');
}

static void check_wiped(struct credentials *credentials)
{
    const unsigned char *bytes = (const unsigned char *)credentials;

    credentials_wipe(credentials);
    for (size_t i = 0; i < sizeof *credentials; i++)
        MUST(bytes[i] == 0);
}

static void plain(const char *message, size_t size)
{
    struct credentials credentials;
    const char *fault = wire_parse_plain(message, size, &credentials);

    check_shown(&credentials);
    if (fault != NULL) {
        check_empty(&credentials);
    } else {
        MUST(credentials.authcid_len > 0 && credentials.password_len > 0);
        MUST(credentials.authzid_len + credentials.authcid_len + credentials.password_len + 2 ==
             size);
        check_taken(credentials.authzid, credentials.authzid_len, message);
        message += credentials.authzid_len + 1;
        check_taken(credentials.authcid, credentials.authcid_len, message);
        message += credentials.authcid_len + 1;
        check_taken(credentials.password, credentials.password_len, message);
        MUST(strcmp(credentials.display_name, credentials.authcid) == 0);
    }
    check_wiped(&credentials);
}

static void login(const char *name, size_t name_size, const char *password, size_t password_size)
{
    struct credentials credentials = {0};
    const char *name_fault = wire_take_name(name, name_size, &credentials);
    const char *fault = wire_take_password(password, password_size, &credentials);

    check_shown(&credentials);
    MUST(name_fault == NULL || fault == name_fault);
    if (fault != NULL) {
        check_empty(&credentials);
    } else {
        MUST(credentials.authcid_len == name_size && credentials.password_len == password_size);
        check_taken(credentials.authcid, name_size, name);
        check_taken(credentials.password, password_size, password);
    }
    check_wiped(&credentials);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *message = (const char *)data;
    size_t cut = size == 0 ? 0 : data[0] % size;

    plain(message, size);
    login(message, cut, message + cut, size - cut);
    return 0;
}
