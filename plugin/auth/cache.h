/*
 * cache.h: which passwords were verified lately, shared by all processes of a host.
 *
 * Spares the hash and nothing else: the caller still reads the user's row at every attempt, and the
 * hash of that row is part of the key. Threads and forked children may call at once.
 */
#ifndef PGSASL_AUTH_CACHE_H
#define PGSASL_AUTH_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct cache;

/*
 * True: this very password was verified against this very hash of this user within the ttl, and
 * stored. False is the answer to any doubt: no entry, a file that is no longer sound, no memory,
 * cache NULL. Costs an fstat(2) and one HMAC, for a wrong password as for a right one. user_id NULL
 * counts as empty. password needs no NUL at its end.
 */
bool cache_verified(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len);

/*
 * Notes a verification. Call it after hash_verify() returned HASH_MATCH and at no other time: a hit
 * would prolong the entry's life without end. cache NULL is tolerated.
 */
void cache_store(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len);

#endif
