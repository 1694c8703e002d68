/*
 * hash.c: any text instead of a stored hash. An unusable hash is refused without hashing, and a
 * decoy can always be made. Only hashes of the cheap schemes are computed.
 */
#include "hash/hash.h"

#include "fuzz.h"

/* A decoy has the scheme, the lengths and the numbers of the hash that it imitates. */
static void check_decoy(const struct hash *like)
{
    struct hash decoy, again;

    hash_decoy(like, &decoy);
    MUST(hash_is_usable(&decoy));
    MUST(memchr(decoy.text, '\0', sizeof decoy.text) != NULL);
    MUST(hash_parse(decoy.text, &again));
    MUST(again.scheme == decoy.scheme && again.params_len == decoy.params_len &&
         again.salt_len == decoy.salt_len && again.digest_len == decoy.digest_len &&
         memcmp(&again.numbers, &decoy.numbers, sizeof again.numbers) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *stored = string_of(data, size);
    struct hash hash;

    hash_parse(stored, &hash);
    free(stored);
    check_decoy(&hash);
    if (!hash_is_usable(&hash))
        MUST(hash_verify(&hash, "password", 8) == HASH_UNUSABLE);
    else if (strncmp(hash.text, "{SSHA", 5) == 0)
        MUST(hash_verify(&hash, "password", 8) == HASH_MISMATCH);
    return 0;
}
