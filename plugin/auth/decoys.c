/*
 * decoys.c: a few kinds of decoys, of which a name chooses one by a keyed hash.
 *
 * The kind whose MAC with the name is the highest is chosen (rendezvous hashing), so processes that
 * have seen the same kinds, in any order, agree.
 */
#include "auth/decoys.h"

#include <stdlib.h>
#include <string.h>

#include "base/mac.h"

enum { KINDS_MAX = 8 };

struct decoys {
    struct mac *mac; /* under the secret */
    size_t count;
    struct hash kind[KINDS_MAX];
};

struct decoys *decoys_new(const char *secret)
{
    struct decoys *decoys = calloc(1, sizeof *decoys);

    if (decoys == NULL)
        return NULL;
    mac_mark();
    decoys->mac = mac_new((const uint8_t *)secret, strlen(secret));
    mac_forget_errors();
    if (decoys->mac == NULL) {
        free(decoys);
        return NULL;
    }
    return decoys;
}

void decoys_free(struct decoys *decoys)
{
    if (decoys == NULL)
        return;
    mac_free(decoys->mac);
    free(decoys);
}

static bool is_same_kind(const struct hash *one, const struct hash *other)
{
    return one->scheme == other->scheme &&
           memcmp(&one->numbers, &other->numbers, sizeof one->numbers) == 0;
}

void decoys_note(struct decoys *decoys, const struct hash *hash)
{
    for (size_t i = 0; i < decoys->count; i++)
        if (is_same_kind(&decoys->kind[i], hash))
            return;
    if (decoys->count < KINDS_MAX)
        hash_decoy(hash, &decoys->kind[decoys->count++]);
}

/* False, and out_r all zero: no memory. */
static bool rank(const struct decoys *decoys, const char *username, const struct hash *kind,
    uint8_t out_r[MAC_BYTES])
{
    struct mac *mac = mac_dup(decoys->mac);

    memset(out_r, 0, MAC_BYTES);
    if (mac == NULL || !mac_add_field(mac, username, strlen(username)) ||
        !mac_add_field(mac, kind->text, kind->params_len)) {
        mac_free(mac);
        return false;
    }
    return mac_finish(mac, out_r);
}

void decoys_choose(const struct decoys *decoys, const char *username, struct hash *decoy_r)
{
    uint8_t highest[MAC_BYTES] = {0}, mac[MAC_BYTES];

    hash_decoy(decoys->count == 0 ? NULL : &decoys->kind[0], decoy_r);
    mac_mark();
    for (size_t i = 0; i < decoys->count; i++)
        if (rank(decoys, username, &decoys->kind[i], mac) && memcmp(mac, highest, sizeof mac) > 0) {
            *decoy_r = decoys->kind[i];
            memcpy(highest, mac, sizeof highest);
        }
    mac_forget_errors();
}
