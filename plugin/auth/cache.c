/*
 * cache.c: a set-associative table of MACs in a shared mapping.
 *
 * An entry is four words: 128 bits of HMAC-SHA-256, the time, and a seal, which is 64 further bits
 * of the MAC xor the time. The seal ties the words together: of any mixture of two writes at least
 * one word is wrong, whatever the order in which they become visible. So nobody locks, and relaxed
 * atomics do. No word is derived from a password that was not verified.
 *
 * Time is CLOCK_BOOTTIME, which nobody can set back; the real-time clock set back would make old
 * entries young again. It begins anew at every boot, so the boot's id is part of what is MACed:
 * what an earlier boot left in a file on disk never matches.
 *
 * Pages past the end of a file kill who touches them. The file is allocated in full when it is
 * made, and its size is looked at before each use; only its owner could cut it in between.
 */
#include "auth/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "file/owner.h"
#include "base/secret.h"

enum { VERSION = 1, KEY_OCTETS = 32, MAC_OCTETS = 32, BOOT_ID_OCTETS = 36 };

static const char MAGIC[16] = "pgsasl verified";

struct header {
    char magic[sizeof MAGIC];
    uint32_t version;
    uint32_t sets;
    uint32_t ways;
    uint32_t entry_octets;
    uint8_t key[KEY_OCTETS];
    uint8_t mac[MAC_OCTETS]; /* of all before it, under the key */
};

struct entry {
    _Atomic uint64_t tag[2];
    _Atomic uint64_t time; /* CLOCK_BOOTTIME, ns */
    _Atomic uint64_t seal;
};

struct set {
    struct entry ways[CACHE_WAYS];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not be shared");
_Static_assert(sizeof(struct entry) == 32, "an entry is part of the file's format");

/* The table begins at a multiple of any page size, so that the key need not be mapped. */
enum {
    TABLE_OFFSET = 64 * 1024,
    TABLE_OCTETS = CACHE_SETS * sizeof(struct set),
    FILE_OCTETS = TABLE_OFFSET + TABLE_OCTETS
};

struct cache {
    EVP_MAC_CTX *mac; /* keyed, with the boot's id; only ever duplicated, so threads may share it */
    struct set *sets;
    uint64_t ttl_ns;
    uid_t owner;
    int fd;
};

/* The MAC of one question, in words: two of tag, one of seal, one that chooses the set. */
union digest {
    uint8_t octets[MAC_OCTETS];
    uint64_t words[4];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The MAC */

static EVP_MAC_CTX *new_mac(const uint8_t key[KEY_OCTETS])
{
    char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

    EVP_MAC_free(hmac);
    if (mac != NULL && EVP_MAC_init(mac, key, KEY_OCTETS, params) != 1) {
        EVP_MAC_CTX_free(mac);
        mac = NULL;
    }
    return mac;
}

/* Frees mac, which clears what it holds. */
static bool finish(EVP_MAC_CTX *mac, uint8_t out_r[MAC_OCTETS])
{
    size_t length = 0;
    bool made = EVP_MAC_final(mac, out_r, &length, MAC_OCTETS) == 1 && length == MAC_OCTETS;

    EVP_MAC_CTX_free(mac);
    return made;
}

static bool mac_header(
    const EVP_MAC_CTX *keyed, const struct header *header, uint8_t out_r[MAC_OCTETS])
{
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(keyed);

    if (mac == NULL ||
        EVP_MAC_update(mac, (const void *)header, offsetof(struct header, mac)) != 1) {
        EVP_MAC_CTX_free(mac);
        return false;
    }
    return finish(mac, out_r);
}

/* Each field after its length, so that no two questions read the same. */
static bool update_field(EVP_MAC_CTX *mac, const char *field, size_t length)
{
    uint64_t prefix = length;

    return EVP_MAC_update(mac, (const void *)&prefix, sizeof prefix) == 1 &&
           (length == 0 || EVP_MAC_update(mac, (const void *)field, length) == 1);
}

/* False: there is nothing to go by. digest_r is to be wiped in either case. */
static bool digest_of(const struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len, union digest *digest_r)
{
    EVP_MAC_CTX *mac;
    bool made = false;

    if (user_id == NULL)
        user_id = "";
    ERR_set_mark();
    mac = EVP_MAC_CTX_dup(cache->mac);
    if (mac != NULL && update_field(mac, user_id, strlen(user_id)) &&
        update_field(mac, stored_hash, strlen(stored_hash)) &&
        update_field(mac, password, password_len))
        made = finish(mac, digest_r->octets);
    else
        EVP_MAC_CTX_free(mac);
    ERR_pop_to_mark();
    return made;
}

/* The file. These return NULL, or a constant text of what is wrong. */

static const char *fault_of_file(const struct stat *status, uid_t owner)
{
    if (!S_ISREG(status->st_mode))
        return "must be a plain file";
    if (status->st_uid != owner)
        return "must belong to the user that opens it";
    if ((status->st_mode & 07777) != 0600)
        return "must have mode 0600";
    if (status->st_nlink != 1)
        return "must have one name";
    return NULL;
}

static const char *fault_of_header(const struct header *header, off_t size)
{
    if (memcmp(header->magic, MAGIC, sizeof MAGIC) != 0)
        return "is not a cache of verified passwords";
    if (header->version != VERSION || header->sets != CACHE_SETS || header->ways != CACHE_WAYS ||
        header->entry_octets != sizeof(struct entry))
        return "is of another version of pgsasl; remove it";
    if (size != FILE_OCTETS)
        return "is not of its full size; remove it";
    return NULL;
}

static const char *write_file(int fd, struct header *header)
{
    EVP_MAC_CTX *mac;
    bool made;
    int error = posix_fallocate(fd, 0, FILE_OCTETS);

    if (error != 0)
        return strerrordesc_np(error);
    memcpy(header->magic, MAGIC, sizeof MAGIC);
    header->version = VERSION;
    header->sets = CACHE_SETS;
    header->ways = CACHE_WAYS;
    header->entry_octets = sizeof(struct entry);
    mac = secret_random(header->key, KEY_OCTETS) ? new_mac(header->key) : NULL;
    made = mac != NULL && mac_header(mac, header, header->mac);
    EVP_MAC_CTX_free(mac);
    if (!made)
        return "OpenSSL makes no key for it";
    return pwrite(fd, header, sizeof *header, 0) == (ssize_t)sizeof *header ? NULL
                                                                            : "cannot be written";
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
    fault = owner_as_directory(fd, path) ? write_file(fd, &header) : strerrordesc_np(errno);
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
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    const char *fault;

    cache->fd = open(path, flags);
    if (cache->fd < 0 && errno == ENOENT) {
        fault = create(path);
        if (fault != NULL)
            return fault;
        cache->fd = open(path, flags);
    }
    if (cache->fd < 0 && errno == ELOOP)
        return "must be a plain file";
    return cache->fd < 0 ? strerrordesc_np(errno) : NULL;
}

static bool read_boot_id(char id_r[BOOT_ID_OCTETS])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        return false;
    got = read(fd, id_r, BOOT_ID_OCTETS);
    close(fd);
    return got == BOOT_ID_OCTETS;
}

/* Proves the header by its own key, and leaves that key, with the boot's id, in cache->mac. */
static const char *take_key(struct cache *cache, const struct header *header)
{
    uint8_t mac[MAC_OCTETS];
    char boot_id[BOOT_ID_OCTETS];

    cache->mac = new_mac(header->key);
    if (cache->mac == NULL || !mac_header(cache->mac, header, mac))
        return "OpenSSL computes no HMAC";
    if (!secret_equal(mac, header->mac, sizeof mac))
        return "is damaged; remove it";
    if (!read_boot_id(boot_id))
        return "needs /proc/sys/kernel/random/boot_id";
    if (EVP_MAC_update(cache->mac, (const void *)boot_id, sizeof boot_id) != 1)
        return "OpenSSL computes no HMAC";
    return NULL;
}

static const char *map_file(struct cache *cache)
{
    struct header header;
    struct stat status;
    const char *fault;
    ssize_t got;

    if (fstat(cache->fd, &status) != 0)
        return strerrordesc_np(errno);
    fault = fault_of_file(&status, cache->owner);
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
    if (fault != NULL)
        return fault;
    cache->sets =
        mmap(NULL, TABLE_OCTETS, PROT_READ | PROT_WRITE, MAP_SHARED, cache->fd, TABLE_OFFSET);
    return cache->sets == MAP_FAILED ? strerrordesc_np(errno) : NULL;
}

struct cache *cache_open(const char *path, long ttl_s, char *error_r, size_t cap)
{
    struct cache *cache = calloc(1, sizeof *cache);
    const char *fault;

    snprintf(error_r, cap, "out of memory");
    if (cache == NULL)
        return NULL;
    cache->sets = MAP_FAILED;
    cache->ttl_ns = (uint64_t)ttl_s * 1000000000;
    cache->owner = geteuid();
    ERR_set_mark();
    fault = open_file(cache, path);
    if (fault == NULL)
        fault = map_file(cache);
    ERR_pop_to_mark();
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
    if (cache->sets != MAP_FAILED)
        munmap(cache->sets, TABLE_OCTETS);
    if (cache->fd >= 0)
        close(cache->fd);
    EVP_MAC_CTX_free(cache->mac);
    free(cache);
}

/* False once the file was cut, removed, or opened to others: then it is not to be touched. */
static bool still_sound(const struct cache *cache)
{
    struct stat status;

    return cache != NULL && fstat(cache->fd, &status) == 0 &&
           fault_of_file(&status, cache->owner) == NULL && status.st_size == FILE_OCTETS;
}

/* The table */

/* One copy of an entry, which may be torn. */
struct copy {
    uint64_t tag[2], time, seal;
};

static struct copy load(const struct entry *entry)
{
    return (struct copy){
        {atomic_load_explicit(&entry->tag[0], memory_order_relaxed),
            atomic_load_explicit(&entry->tag[1], memory_order_relaxed)},
        atomic_load_explicit(&entry->time, memory_order_relaxed),
        atomic_load_explicit(&entry->seal, memory_order_relaxed),
    };
}

static void save(struct entry *entry, const union digest *digest, uint64_t time)
{
    atomic_store_explicit(&entry->tag[0], digest->words[0], memory_order_relaxed);
    atomic_store_explicit(&entry->tag[1], digest->words[1], memory_order_relaxed);
    atomic_store_explicit(&entry->time, time, memory_order_relaxed);
    atomic_store_explicit(&entry->seal, digest->words[2] ^ time, memory_order_relaxed);
}

/* Zero where the copy is a whole entry of this digest. Without a branch. */
static uint64_t difference(const struct copy *copy, const union digest *digest)
{
    return (copy->tag[0] ^ digest->words[0]) | (copy->tag[1] ^ digest->words[1]) |
           (copy->seal ^ copy->time ^ digest->words[2]);
}

static struct set *set_of(const struct cache *cache, const union digest *digest)
{
    return &cache->sets[digest->words[3] % CACHE_SETS];
}

/* Looks at every way, found or not. A time to come, which wraps round, is past any ttl. */
static bool find(const struct cache *cache, const union digest *digest, uint64_t now)
{
    const struct set *set = set_of(cache, digest);
    bool found = false;

    for (size_t i = 0; i < CACHE_WAYS; i++) {
        struct copy copy = load(&set->ways[i]);

        found |= (difference(&copy, digest) == 0) & (now - copy.time < cache->ttl_ns);
    }
    return found;
}

/* The same verification's older entry, or else the oldest: one that is empty, expired or of a time
 * to come is older than any that counts. */
static struct entry *place_for(const struct cache *cache, const union digest *digest, uint64_t now)
{
    struct set *set = set_of(cache, digest);
    struct entry *place = &set->ways[0];
    uint64_t oldest = 0;

    for (size_t i = 0; i < CACHE_WAYS; i++) {
        struct copy copy = load(&set->ways[i]);

        if (difference(&copy, digest) == 0)
            return &set->ways[i];
        if (now - copy.time >= oldest) {
            oldest = now - copy.time;
            place = &set->ways[i];
        }
    }
    return place;
}

bool cache_verified(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len)
{
    union digest digest;
    bool found = false;

    if (still_sound(cache)) {
        if (digest_of(cache, user_id, stored_hash, password, password_len, &digest))
            found = find(cache, &digest, now_ns());
        secret_wipe(&digest, sizeof digest);
    }
    return found;
}

void cache_store(struct cache *cache, const char *user_id, const char *stored_hash,
    const char *password, size_t password_len)
{
    union digest digest;

    if (!still_sound(cache))
        return;
    if (digest_of(cache, user_id, stored_hash, password, password_len, &digest)) {
        uint64_t now = now_ns();

        save(place_for(cache, &digest, now), &digest, now);
    }
    secret_wipe(&digest, sizeof digest);
}
