/*
 * cache_file.h: a fixed-size table of MACs in a file, and the times at which they were put there.
 *
 * The MACs are made by the caller under a random key of the file's own; docs/security.md weighs who
 * may read it. Looking up and inserting are lock-free and may be done by several threads and forked
 * children at once. Neither blocks, logs or changes anything but the table.
 */
#ifndef PGSASL_FILE_CACHE_FILE_H
#define PGSASL_FILE_CACHE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "base/mac.h"

struct cache;

/* The table: 2 MiB. A set that is full gives up its oldest entry. */
enum { CACHE_WAYS = 8, CACHE_SETS = 8192, CACHE_ENTRIES = CACHE_WAYS * CACHE_SETS };

/* One MAC, in words: two of tag, one of seal, one that chooses the set. */
union cache_key {
    uint8_t bytes[MAC_BYTES];
    uint64_t words[4];
};

/*
 * Opens or creates path and keeps the descriptor, so that it works after a chroot and a change of
 * user. Must be a trusted file (trusted.h) of the effective user; one that is not, or not of this
 * format, is left as it is. Many processes may create it at once. An entry counts for ttl_s seconds
 * from its insertion. NULL: *error_r (size cap) says why, with the path.
 */
struct cache *cache_open(const char *path, long ttl_s, char *error_r, size_t cap);

/* Closes; the file stays. NULL is tolerated. */
void cache_close(struct cache *cache);

/*
 * False once the file was cut, removed, or opened to others, and for NULL: it is not to be believed
 * any more. Costs an fstat(2).
 */
bool cache_is_sound(const struct cache *cache);

/* A MAC under the file's key and this boot's id, to be copied for each key. Owned by cache. */
const struct mac *cache_mac(const struct cache *cache);

/* True when the key was inserted within the ttl. False is the answer to any doubt: a torn entry. */
bool cache_contains(const struct cache *cache, const union cache_key *key);

/* Inserts the key with the present time, in place of its older entry or of the oldest. */
void cache_insert(struct cache *cache, const union cache_key *key);

#endif
