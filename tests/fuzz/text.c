/*
 * text.c: any octets in the place of a user name, of its escaped form, and of the host's address.
 */
#include "base/text.h"

#include <arpa/inet.h>

#include "base/address.h"
#include "fuzz.h"

enum { CAP_LEAST = 8, CAP_RANGE = 64 };

static void escape(const char *text, size_t size)
{
    size_t cap = CAP_LEAST + (size == 0 ? 0 : (unsigned char)text[0] % CAP_RANGE);
    char *out = malloc(cap);
    size_t length;

    MUST(out != NULL);
    length = text_escape(out, cap, text, size);
    MUST(length < cap && strlen(out) == length);
    for (size_t i = 0; i < length; i++)
        MUST(out[i] >= ' ' && out[i] <= '~');
    free(out);
}

static void trim(const char *text, size_t size)
{
    const char *inner = text;
    size_t length = size;

    if (!text_is_utf8(text, size))
        return;
    MUST(text_trim(&inner, &length) == (length < size));
    MUST(inner >= text && inner + length <= text + size);
    MUST(text_is_utf8(inner, length));
    MUST(!text_trim(&inner, &length));
}

static void address(const char *ip_port)
{
    unsigned char ignored[sizeof(struct in6_addr)];
    struct address found;

    if (address_parse(ip_port, &found))
        MUST(inet_pton(AF_INET, found.text, ignored) == 1 ||
             inet_pton(AF_INET6, found.text, ignored) == 1);
    else
        MUST(found.text[0] == '\0' && found.port == 0);
    MUST(found.port <= UINT16_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);

    escape(text, size);
    trim(text, size);
    address(text);
    free(text);
    return 0;
}
