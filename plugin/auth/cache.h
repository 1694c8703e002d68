/*
 * cache.h: which passwords were verified lately, shared by all processes of a host.
 *
 * Spares the hash and nothing else: the caller still reads the user's row at every attempt, and the
 * hash of that row is part of the key. A fixed-size table in a file that is mapped shared; it holds
 * MACs under a random key of the file's own, and times. docs/security.md weighs who may read it.
 *
 * Look-up and store are lock-free and may be called by several threads and forked children at once.
 * Neither blocks, logs or changes anything but the table.
 */
#ifndef PGSASL_AUTH_CACHE_H
#define PGSASL_AUTH_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct cache;

/* The table: 2 MiB. A set that is full gives up its oldest entry. */
enum { CACHE_WAYS = 8, CACHE_SETS = 8192, CACHE_ENTRIES = CACHE_WAYS * CACHE_SETS };

/*
 * Opens or creates path and maps it, so that it works after a chroot and a change of user. Must be
 * a plain file of the effective user, mode 0600, with one name; one that is not, or not of this
 * format, is left as it is. Many processes may create it at once. An entry counts for ttl_s seconds
 * from the verification. NULL: *error_r (size cap) says why, with the path.
 */
struct cache *cache_open(const char *path, long ttl_s, char *error_r, size_t cap);

/* Unmaps and closes; the file stays. NULL is tolerated. */
void cache_close(struct cache *cache);

/*
 * True: this very password was verified against this very hash of this user within the ttl, and
 * stored. False is the answer to any doubt: no entry, a torn one, a file that was cut, removed or
 * changed hands since, no memory, cache NULL. Costs an fstat(2) and one HMAC, for a wrong password
 * as for a right one. user_id NULL counts as empty. password needs no NUL at its end.
 */
bool cache_verified(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len);

/*
 * Notes a verification. Call it after hash_verify() said HASH_MATCH and at no other time: a hit
 * would prolong the entry's life without end. cache NULL is tolerated.
 */
void cache_store(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len);

#endif
