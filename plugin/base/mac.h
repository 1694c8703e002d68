/*
 * mac.h: HMAC-SHA-256 under a key that is used many times.
 *
 * The host reads OpenSSL's error queue after its own TLS calls, so our errors must not stay there:
 * call mac_mark() before a group of calls and mac_forget_errors() after it. Nothing here logs or
 * blocks.
 */
#ifndef PGSASL_BASE_MAC_H
#define PGSASL_BASE_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAC_BYTES = 32 };

struct mac;

/* A MAC under key, to which nothing was added yet. NULL: no memory, or OpenSSL has no HMAC. */
struct mac *mac_new(const uint8_t *key, size_t key_len);

/* An independent copy, so that threads may share the original. NULL: no memory. */
struct mac *mac_dup(const struct mac *mac);

/* Wipes and frees it. NULL is tolerated. */
void mac_free(struct mac *mac);

/* Adds bytes. data may be NULL when len is 0. */
bool mac_add(struct mac *mac, const void *data, size_t len);

/* Adds a field after its length, so that no two sequences of fields read the same. */
bool mac_add_field(struct mac *mac, const void *data, size_t len);

/* Writes the result, which the caller wipes, and frees mac whatever is returned. */
bool mac_finish(struct mac *mac, uint8_t out_r[MAC_BYTES]);

/* mac_forget_errors() removes the errors that OpenSSL queued since mac_mark(). */
void mac_mark(void);
void mac_forget_errors(void);

#endif
