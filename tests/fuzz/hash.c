/*
 * hash.c: any text in the place of a stored hash. What is not usable denies without work, and a
 * decoy is always to be had. Hashes are computed of the cheap schemes only.
 */
#include "hash/hash.h"

#include "fuzz.h"

static void check_decoy(const char *stored)
{
    char decoy[HASH_MAX];

    memset(decoy, 'x', sizeof decoy);
    hash_decoy(stored, decoy, sizeof decoy);
    MUST(memchr(decoy, '\0', sizeof decoy) != NULL);
    MUST(hash_usable(decoy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *stored = string_of(data, size);

    check_decoy(stored);
    if (!hash_usable(stored))
        MUST(hash_verify(stored, "password", 8) == HASH_UNUSABLE);
    else if (strncmp(stored, "{SSHA", 5) == 0)
        MUST(hash_verify(stored, "password", 8) == HASH_MISMATCH);
    free(stored);
    return 0;
}
