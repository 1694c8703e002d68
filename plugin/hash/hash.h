/*
 * hash.h: checks a password against a stored hash of any accepted scheme.
 *
 * Schemes are rows of one table in hash.c; each is implemented in a hash_*.c of its own. Blocks for
 * as long as the hash is meant to take. Reentrant; touches no global state.
 */
#ifndef PGSASL_HASH_HASH_H
#define PGSASL_HASH_HASH_H

#include <stdbool.h>
#include <stddef.h>

enum { HASH_MAX = 1024 }; /* octets that hold the longest stored hash looked at, its NUL included */

enum hash_result {
    HASH_ERROR = 0, /* no memory or a library failure: nothing is known; a temporary failure */
    HASH_UNUSABLE,  /* stored is NULL, empty, truncated, over-long or of no accepted scheme: denies
                       every password */
    HASH_MISMATCH,
    HASH_MATCH
};

/*
 * Compares in constant time. password need not be NUL-terminated. One that holds a NUL, or that the
 * scheme would cut (bcrypt: over 72 octets), is HASH_MISMATCH after the usual work. Work is
 * bounded: a stored cost that would take more than about 10 s or 1 GiB is HASH_UNUSABLE.
 */
enum hash_result hash_verify(const char *stored, const char *password, size_t password_len);

/* True where hash_verify() would do the work: well-formed and of an accepted scheme. Does no
 * hashing. */
bool hash_usable(const char *stored);

/*
 * Writes a hash of the same scheme, parameters and length of salt and digest as like (or of bcrypt
 * at cost 10 when like is NULL or unusable), which no password is known to match: for verifying
 * against when there is no user, so that the time is the same. Dovecot's prefix is left off where
 * the hash needs none. cap at least HASH_MAX.
 */
void hash_decoy(const char *like, char *decoy_r, size_t cap);

#endif
