/*
 * cache.c: any bytes instead of the cache's file, or of a part of it. A refused file is not
 * changed; an opened one contains no entry that was not stored.
 *
 * The first byte chooses what the rest is: the whole file; the first bytes of an otherwise good
 * file of full size; a set of the table of such a file.
 */
#include "file/cache_file.h"

#include "file.h"

enum { TABLE_AT = 64 * 1024, SIZE_MOST = 1200, TTL_S = 600 };

static struct cache *open_cache(const char *path)
{
    char error[256];

    return cache_open(path, TTL_S, error, sizeof error);
}

/* A descriptor of a good file, which is made once. */
static int good_file(void)
{
    static int fd = -1;

    if (fd < 0) {
        cache_close(open_cache(file_path(1)));
        fd = open(file_path(1), O_RDWR | O_CLOEXEC);
        MUST(fd >= 0);
    }
    return fd;
}

static void look_and_put(struct cache *cache, const uint8_t *data, size_t size)
{
    union cache_key key = {.words = {1, 2, 3, 0}}; /* of the first set */
    union cache_key other = {.words = {4, 5, 6, 0}};

    if (cache == NULL)
        return;
    memcpy(key.bytes, data, size < 16 ? size : 16);
    MUST(cache_is_sound(cache));
    MUST(!cache_contains(cache, &other));
    cache_insert(cache, &key);
    MUST(cache_contains(cache, &key));
}

static void whole_file(const uint8_t *data, size_t size)
{
    int fd = file_make(0);

    file_put(fd, data, size, 0);
    MUST(open_cache(file_path(0)) == NULL);
    MUST(file_is(fd, data, size));
    close(fd);
}

static void part_of_file(const uint8_t *data, size_t size, off_t at)
{
    char before[SIZE_MOST];
    int fd = good_file();
    struct cache *cache;

    MUST(pread(fd, before, sizeof before, at) == (ssize_t)sizeof before);
    file_put(fd, data, size, at);
    cache = open_cache(file_path(1));
    MUST(cache != NULL || at == 0);
    look_and_put(cache, data, size);
    cache_close(cache);
    file_put(fd, before, sizeof before, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > SIZE_MOST)
        return 0;
    switch (data[0] % 3) {
    case 0:
        whole_file(data + 1, size - 1);
        break;
    case 1:
        part_of_file(data + 1, size - 1, 0);
        break;
    case 2:
        part_of_file(data + 1, size - 1, TABLE_AT);
        break;
    }
    return 0;
}
