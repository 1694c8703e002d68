/*
 * decoys.h: what is hashed for a name that does not exist, where the query does not say.
 *
 * Not locked: the caller sees to it that one thread at a time is inside. Blocks for nothing.
 */
#ifndef PGSASL_AUTH_DECOYS_H
#define PGSASL_AUTH_DECOYS_H

#include "hash/hash.h"

struct decoys;

/*
 * Keeps nothing yet. secret decides, together with a name, which kind of hash the name costs: it
 * must be the same in all processes that answer for one table, and unknown to clients. NULL: no
 * memory.
 */
struct decoys *decoys_new(const char *secret);

/* NULL is tolerated. */
void decoys_free(struct decoys *decoys);

/* A usable stored hash was seen: the first few kinds, by scheme and cost, are kept as decoys. */
void decoys_note(struct decoys *decoys, const struct hash *hash);

/*
 * One of the kinds that were seen, or bcrypt at cost 10 before any was. The same name always gets
 * the same one of the same kinds; one more kind changes the choice of a name only to that kind.
 */
void decoys_choose(const struct decoys *decoys, const char *username, struct hash *decoy_r);

#endif
