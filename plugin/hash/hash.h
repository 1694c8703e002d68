/*
 * hash.h: a stored hash of any accepted scheme, parsed once, and passwords checked against it.
 *
 * schemes.def lists the schemes. Reentrant; touches no global state.
 */
#ifndef PGSASL_HASH_HASH_H
#define PGSASL_HASH_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HASH_MAX = 640,       /* bytes of the longest stored hash that is looked at, NUL included */
    HASH_SALT_MAX = 96,   /* bytes of the longest salt */
    HASH_DIGEST_MAX = 86, /* bytes of the longest digest; those of crypt(3) stay encoded */
};

struct scheme;

/* The numbers in a stored hash; those that its scheme does not have are 0. */
struct hash_numbers {
    uint64_t cost;    /* bcrypt */
    uint64_t rounds;  /* SHA-crypt, PBKDF2, SCRAM */
    uint64_t version; /* Argon2; 0: not given */
    uint64_t m, t, p; /* Argon2: KiB, passes, lanes; p also scrypt's */
    uint64_t ln, r;   /* scrypt: log2 N and block size; yescrypt: one less than each */
};

/* A parsed stored hash. Owns nothing outside itself; may be copied. Wipe it with hash_wipe(). */
struct hash {
    const struct scheme *scheme; /* NULL: unusable; nothing else counts then */
    /*
     * The plain form: Dovecot's prefix is taken off a hash that is complete without it, and spelt
     * in one way otherwise.
     */
    char text[HASH_MAX];
    size_t params_len; /* bytes of text that say scheme and cost; a decoy keeps them */
    struct hash_numbers numbers;
    uint8_t salt[HASH_SALT_MAX];
    size_t salt_len, salt_at; /* salt_at: where it is in text */
    uint8_t digest[HASH_DIGEST_MAX];
    size_t digest_len;
};

/* What computing a hash once takes. */
struct hash_cost {
    uint64_t memory_kib;
    uint64_t work_ms; /* of a server processor, roughly; see schemes.def */
};

enum hash_result {
    HASH_ERROR = 0, /* no memory or a library failure: nothing is known; a temporary failure */
    HASH_UNUSABLE,  /* the stored hash denies every password */
    HASH_MISMATCH,
    HASH_MATCH
};

/*
 * Parses stored, which may be NULL. False, and hash_r unusable: empty, truncated, over-long, of no
 * accepted scheme, or of a cost that no ceiling allows: about 20 s or 1 GiB. Does no hashing.
 */
bool hash_parse(const char *stored, struct hash *hash_r);

/* True if a password can be checked against hash. NULL is tolerated. */
bool hash_is_usable(const struct hash *hash);

/* What it takes to check a password against a usable hash. Does no hashing. */
struct hash_cost hash_cost(const struct hash *hash);

/* NULL where a usable hash costs no more than ceiling; else why not, naming the option. */
const char *hash_excess(const struct hash *hash, const struct hash_cost *ceiling);

/*
 * Blocks for as long as the hash is meant to take, whatever the password. Compares in constant
 * time. password need not be NUL-terminated. One that holds a NUL, or that the scheme would cut
 * (bcrypt: over 72 bytes), is HASH_MISMATCH after the usual work. OpenSSL's error queue, which the
 * host reads after its own TLS calls, is left as it was.
 */
enum hash_result hash_verify(const struct hash *hash, const char *password, size_t password_len);

/*
 * Makes a hash of the same scheme, cost and lengths as like, which no password is known to match:
 * for verifying against when there is no user, so that the time is the same. like NULL or unusable:
 * bcrypt at cost 10. A decoy of a decoy is the same decoy. like and decoy_r may be the same.
 */
void hash_decoy(const struct hash *like, struct hash *decoy_r);

/* Overwrites all of hash, which is unusable then. */
void hash_wipe(struct hash *hash);

#endif
