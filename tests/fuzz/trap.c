/*
 * trap.c: any bytes as a message of a mechanism that is only a trap. A name is short and holds no
 * control character; a token stays out of it.
 */
#include "sasl/trap_message.h"

#include "fuzz.h"

static trap_find_name *const all[] = {trap_name_of_cram_md5, trap_name_of_digest_md5,
    trap_name_of_ntlm, trap_name_of_xoauth2, trap_name_of_oauthbearer, trap_name_of_scram};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *message = malloc(size == 0 ? 1 : size);
    char *name = malloc(TRAP_NAME_MAX);
    size_t len;

    MUST(message != NULL && name != NULL);
    if (size > 0)
        memcpy(message, data, size);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i](message, size, name, &len))
            continue;
        MUST(len > 0 && len <= TRAP_NAME_MAX);
        for (size_t k = 0; k < len; k++)
            MUST((unsigned char)name[k] >= ' ' && name[k] != 0x7f);
        if (all[i] == trap_name_of_xoauth2 || all[i] == trap_name_of_oauthbearer)
            MUST(memmem(name, len, "auth=", 5) == NULL && memchr(name, ' ', len) == NULL);
    }
    free(message);
    free(name);
    return 0;
}
