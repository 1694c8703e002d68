/*
 * cache.c: stores a verification as a MAC over user, stored hash and password.
 *
 * For a password that was not verified the MAC is computed only to search for it, and wiped at
 * once.
 */
#include "auth/cache.h"

#include <string.h>

#include "base/mac.h"
#include "base/secret.h"
#include "file/cache_file.h"

/* False: no memory or an OpenSSL error. The caller wipes *key_r in either case. */
static bool make_key(const struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len, union cache_key *key_r)
{
    struct mac *mac;
    bool made = false;

    if (user_id == NULL)
        user_id = "";
    mac_mark();
    mac = mac_dup(cache_mac(cache));
    if (mac != NULL && mac_add_field(mac, user_id, strlen(user_id)) &&
        mac_add_field(mac, stored_hash, strlen(stored_hash)) &&
        mac_add_field(mac, password, password_len))
        made = mac_finish(mac, key_r->bytes);
    else
        mac_free(mac);
    mac_forget_errors();
    return made;
}

bool cache_verified(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len)
{
    union cache_key key;
    bool found;

    if (!cache_is_sound(cache))
        return false;
    found = make_key(cache, user_id, stored_hash, password, password_len, &key) &&
            cache_contains(cache, &key);
    secret_wipe(&key, sizeof key);
    return found;
}

void cache_store(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len)
{
    union cache_key key;

    if (!cache_is_sound(cache))
        return;
    if (make_key(cache, user_id, stored_hash, password, password_len, &key))
        cache_insert(cache, &key);
    secret_wipe(&key, sizeof key);
}
