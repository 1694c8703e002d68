/*
 * cache_file.c: a set-associative table of MACs in a file that many processes read and write.
 *
 * An entry is four words: 128 bits of HMAC-SHA-256, the time, and a seal, which is 64 further bits
 * of the MAC xor the time. The seal ties the words together: of any mixture of two writes at least
 * one word is wrong, whatever the order in which they become visible. So nobody locks. No word is
 * derived from a password that was not verified.
 *
 * Time is CLOCK_BOOTTIME, which nobody can set back; the real-time clock set back would make old
 * entries young again. It begins anew at every boot, so the boot's id is part of what is MACed:
 * what an earlier boot left in a file on disk never matches.
 *
 * The table is read and written, never mapped: a page of a mapping that cannot be had, because the
 * file was cut or the disk fails, kills the process (SIGBUS). Here it is a miss.
 */
#include "file/cache_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mac.h"
#include "base/secret.h"
#include "base/streams.h"
#include "file/trusted.h"
#include "file/write.h"

enum { VERSION = 1, KEY_BYTES = 32, BOOT_ID_BYTES = 36 };

static const char MAGIC[16] = "pgsasl verified";

struct header {
    char magic[sizeof MAGIC];
    uint32_t version;
    uint32_t sets;
    uint32_t ways;
    uint32_t entry_bytes;
    uint8_t key[KEY_BYTES];
    uint8_t mac[MAC_BYTES]; /* of all before it, under the key */
};

struct entry {
    uint64_t tag[2];
    uint64_t time; /* CLOCK_BOOTTIME, ns */
    uint64_t seal;
};

struct set {
    struct entry ways[CACHE_WAYS];
};

_Static_assert(sizeof(struct entry) == 32, "an entry is part of the file's format");

enum {
    TABLE_OFFSET = 64 * 1024,
    TABLE_BYTES = CACHE_SETS * sizeof(struct set),
    FILE_BYTES = TABLE_OFFSET + TABLE_BYTES
};

struct cache {
    struct mac *mac; /* keyed, with the boot's id; only ever copied, so threads may share it */
    uint64_t ttl_ns;
    uid_t owner;
    int fd;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool mac_header(
    const struct mac *keyed, const struct header *header, uint8_t out_r[MAC_BYTES])
{
    struct mac *mac = mac_dup(keyed);

    if (mac == NULL || !mac_add(mac, header, offsetof(struct header, mac))) {
        mac_free(mac);
        return false;
    }
    return mac_finish(mac, out_r);
}

/* ---- the file ---- */

/* These return NULL, or a constant text of what is wrong. */

static const char *fault_of_header(const struct header *header, off_t size)
{
    if (memcmp(header->magic, MAGIC, sizeof MAGIC) != 0)
        return "is not a cache of verified passwords";
    if (header->version != VERSION || header->sets != CACHE_SETS || header->ways != CACHE_WAYS ||
        header->entry_bytes != sizeof(struct entry))
        return "is of another version of pgsasl; remove it";
    if (size != FILE_BYTES)
        return "is not of its full size; remove it";
    return NULL;
}

static const char *write_file(int fd, struct header *header)
{
    struct mac *mac;
    bool made;

    if (!file_allocate(fd, FILE_BYTES))
        return strerrordesc_np(errno);
    memcpy(header->magic, MAGIC, sizeof MAGIC);
    header->version = VERSION;
    header->sets = CACHE_SETS;
    header->ways = CACHE_WAYS;
    header->entry_bytes = sizeof(struct entry);
    mac = secret_random(header->key, KEY_BYTES) ? mac_new(header->key, KEY_BYTES) : NULL;
    made = mac != NULL && mac_header(mac, header, header->mac);
    mac_free(mac);
    if (!made)
        return "OpenSSL makes no key for it";
    return file_write(fd, header, sizeof *header, 0) ? NULL : "cannot be written";
}

/* Makes the file under a name of its own and moves it into place whole, unless one is there. */
static const char *create(const char *path)
{
    struct header header = {.version = 0};
    char temporary[PATH_MAX];
    const char *fault;
    int fd;

    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return strerrordesc_np(ENAMETOOLONG);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return strerrordesc_np(errno);
    fault = trusted_chown_to_parent(fd, path) ? write_file(fd, &header) : strerrordesc_np(errno);
    secret_wipe(&header, sizeof header);
    close(fd);
    if (fault == NULL && renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return NULL;
    if (fault == NULL && errno != EEXIST)
        fault = strerrordesc_np(errno);
    unlink(temporary);
    return fault;
}

static const char *open_file(struct cache *cache, const char *path)
{
    const char *fault;

    cache->fd = trusted_open(path);
    if (cache->fd < 0 && errno == ENOENT) {
        fault = create(path);
        if (fault != NULL)
            return fault;
        cache->fd = trusted_open(path);
    }
    if (cache->fd < 0 && errno == ELOOP)
        return "must be a plain file";
    return cache->fd < 0 ? strerrordesc_np(errno) : NULL;
}

static bool read_boot_id(char id_r[BOOT_ID_BYTES])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        return false;
    got = read(fd, id_r, BOOT_ID_BYTES);
    close(fd);
    return got == BOOT_ID_BYTES;
}

/* Proves the header by its own key, and leaves that key, with the boot's id, in cache->mac. */
static const char *take_key(struct cache *cache, const struct header *header)
{
    uint8_t mac[MAC_BYTES];
    char boot_id[BOOT_ID_BYTES];

    cache->mac = mac_new(header->key, KEY_BYTES);
    if (cache->mac == NULL || !mac_header(cache->mac, header, mac))
        return "OpenSSL computes no HMAC";
    if (!secret_equal(mac, header->mac, sizeof mac))
        return "is damaged; remove it";
    if (!read_boot_id(boot_id))
        return "needs /proc/sys/kernel/random/boot_id";
    if (!mac_add(cache->mac, boot_id, sizeof boot_id))
        return "OpenSSL computes no HMAC";
    return NULL;
}

static const char *check_file(struct cache *cache)
{
    struct header header;
    struct stat status;
    const char *fault;
    ssize_t got;

    if (fstat(cache->fd, &status) != 0)
        return strerrordesc_np(errno);
    fault = trusted_fault(&status, cache->owner);
    if (fault != NULL)
        return fault;
    got = pread(cache->fd, &header, sizeof header, 0);
    if (got == (ssize_t)sizeof header) {
        fault = fault_of_header(&header, status.st_size);
        if (fault == NULL)
            fault = take_key(cache, &header);
    } else {
        fault = "is too small for a cache of verified passwords";
    }
    secret_wipe(&header, sizeof header);
    return fault;
}

struct cache *cache_open(const char *path, long ttl_s, char *error_r, size_t cap)
{
    struct cache *cache = calloc(1, sizeof *cache);
    const char *fault;

    snprintf(error_r, cap, "out of memory");
    if (cache == NULL)
        return NULL;
    cache->ttl_ns = (uint64_t)ttl_s * 1000000000;
    cache->owner = geteuid();
    mac_mark();
    streams_hold();
    fault = open_file(cache, path);
    if (fault == NULL)
        fault = check_file(cache);
    streams_release();
    mac_forget_errors();
    if (fault == NULL)
        return cache;
    snprintf(error_r, cap, "%.150s: %s", path, fault);
    cache_close(cache);
    return NULL;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->fd >= 0)
        close(cache->fd);
    mac_free(cache->mac);
    free(cache);
}

bool cache_is_sound(const struct cache *cache)
{
    struct stat status;

    return cache != NULL && fstat(cache->fd, &status) == 0 &&
           trusted_fault(&status, cache->owner) == NULL && status.st_size == FILE_BYTES;
}

const struct mac *cache_mac(const struct cache *cache)
{
    return cache->mac;
}

/* ---- the table ---- */

static size_t set_of(const union cache_key *key)
{
    return key->words[3] % CACHE_SETS;
}

static off_t offset_of(size_t set, size_t way)
{
    return TABLE_OFFSET + (off_t)(set * sizeof(struct set) + way * sizeof(struct entry));
}

/* A copy of a set, whose entries may be torn. False: it cannot be read. */
static bool load(const struct cache *cache, size_t set, struct set *copy_r)
{
    return pread(cache->fd, copy_r, sizeof *copy_r, offset_of(set, 0)) == (ssize_t)sizeof *copy_r;
}

/* What does not get there is a miss. */
static void save(
    const struct cache *cache, size_t set, size_t way, const union cache_key *key, uint64_t time)
{
    const struct entry entry = {{key->words[0], key->words[1]}, time, key->words[2] ^ time};

    file_write(cache->fd, &entry, sizeof entry, offset_of(set, way));
}

/* Zero where the entry is a whole one of this digest. Without a branch. */
static uint64_t difference(const struct entry *entry, const union cache_key *key)
{
    return (entry->tag[0] ^ key->words[0]) | (entry->tag[1] ^ key->words[1]) |
           (entry->seal ^ entry->time ^ key->words[2]);
}

/* Looks at every way, found or not. A time to come, which wraps round, is past any ttl. */
static bool find(const struct cache *cache, const union cache_key *key, uint64_t now)
{
    struct set set;
    bool found = false;

    if (!load(cache, set_of(key), &set))
        return false;
    for (size_t i = 0; i < CACHE_WAYS; i++)
        found |= (difference(&set.ways[i], key) == 0) & (now - set.ways[i].time < cache->ttl_ns);
    return found;
}

/* The same verification's older entry, or else the oldest: one that is empty, expired or of a time
 * to come is older than any that counts. */
static size_t way_for(const struct set *set, const union cache_key *key, uint64_t now)
{
    uint64_t oldest = 0;
    size_t way = 0;

    for (size_t i = 0; i < CACHE_WAYS; i++) {
        if (difference(&set->ways[i], key) == 0)
            return i;
        if (now - set->ways[i].time >= oldest) {
            oldest = now - set->ways[i].time;
            way = i;
        }
    }
    return way;
}

bool cache_contains(const struct cache *cache, const union cache_key *key)
{
    return find(cache, key, now_ns());
}

void cache_insert(struct cache *cache, const union cache_key *key)
{
    uint64_t now = now_ns();
    struct set set;

    if (load(cache, set_of(key), &set))
        save(cache, set_of(key), way_for(&set, key, now), key, now);
}
