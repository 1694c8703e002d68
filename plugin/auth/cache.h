/*
 * cache.h: passwords that were verified recently, shared by all processes of a host.
 *
 * Saves only the hashing: the caller still reads the user's row at every attempt, and the hash of
 * that row is part of the key. Threads and forked children may call it at the same time.
 */
#ifndef PGSASL_AUTH_CACHE_H
#define PGSASL_AUTH_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct cache;

/*
 * True: within the ttl this password was verified against this hash of this user, and stored.
 * False in every other case: no entry, a file that is no longer sound, no memory, cache NULL. Costs
 * an fstat(2) and one HMAC, whether the password is right or wrong. user_id NULL counts as empty.
 * password needs no terminating NUL.
 */
bool cache_verified(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len);

/*
 * Stores a verification. Call it only after hash_verify() returned HASH_MATCH, never after a hit,
 * which would prolong the entry's life without end. cache NULL is tolerated.
 */
void cache_store(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len);

#endif
