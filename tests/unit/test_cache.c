/*
 * test_cache.c: a hit means that this password was verified recently, whatever the file contains,
 * whichever processes write at the same time and whatever the clock does. No secret stays in
 * memory.
 *
 * cache_file.c is compiled in with a clock, a user id and a boot id that the tests set.
 */
#include "test.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

static uint64_t test_now_ns;
static uid_t test_euid;
static const char *test_boot_id;

static int test_clock_gettime(clockid_t clock, struct timespec *now_r)
{
    assert_int_equal(clock, CLOCK_BOOTTIME);
    *now_r =
        (struct timespec){(time_t)(test_now_ns / 1000000000), (long)(test_now_ns % 1000000000)};
    return 0;
}

static int test_open(const char *path, int flags)
{
    return open(
        test_boot_id != NULL && strstr(path, "boot_id") != NULL ? test_boot_id : path, flags);
}

#define clock_gettime test_clock_gettime
#define geteuid() test_euid
#define open test_open
#include "file/cache_file.c" /* instead of the library's own */
#undef open
#undef geteuid
#undef clock_gettime
#include "auth/cache.c" /* for make_key() */

static const uint64_t second = 1000000000;

enum { TTL_S = 600 };

static char directory[] = "/tmp/test_cache.XXXXXX";
static char path[sizeof directory + 16], other[sizeof directory + 16];

static struct cache *open_cache(void)
{
    char error[256] = "";
    struct cache *cache = cache_open(path, TTL_S, error, sizeof error);

    if (cache == NULL)
        fail_msg("%s", error);
    return cache;
}

static unsigned names_in_directory(void)
{
    DIR *stream = opendir(directory);
    unsigned count = 0;

    assert_non_null(stream);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count - 2;
}

/* What is a hit */

struct question {
    const char *user_id, *hash, *password;
    size_t password_len;
};

static bool verified(struct cache *cache, const struct question *q)
{
    return cache_verified(cache, q->user_id, q->hash, q->password, q->password_len);
}

static void store(struct cache *cache, const struct question *q)
{
    cache_store(cache, q->user_id, q->hash, q->password, q->password_len);
}

/* Each test starts with a reset clock and an empty directory. */
static int set_up_test(void **state);
static int empty_directory(void **state);

#define CACHE_TEST(name) TEST_WITH(name, set_up_test, empty_directory)

CACHE_TEST(only_the_same_user_hash_and_password_hit)
{
    static const struct {
        const char *proves;
        struct question stored, asked;
        bool want;
    } cases[] = {
        {"the same", {"7", "$2b$x", BYTES("secret")}, {"7", "$2b$x", BYTES("secret")}, true},
        {"another user", {"7", "$2b$x", BYTES("secret")}, {"8", "$2b$x", BYTES("secret")}, false},
        {"another hash", {"7", "$2b$x", BYTES("secret")}, {"7", "$2b$y", BYTES("secret")}, false},
        {"another password", {"7", "$2b$x", BYTES("secret")}, {"7", "$2b$x", BYTES("Secret")},
            false},
        {"longer password", {"7", "$2b$x", BYTES("secret")}, {"7", "$2b$x", BYTES("secret ")},
            false},
        {"shorter password", {"7", "$2b$x", BYTES("secret")}, {"7", "$2b$x", BYTES("secre")},
            false},
        {"empty password", {"7", "$2b$x", BYTES("secret")}, {"7", "$2b$x", NULL, 0}, false},
        {"user's end moved into the hash", {"7", "1$2b$x", BYTES("s")}, {"71", "$2b$x", BYTES("s")},
            false},
        {"hash's end moved into the password", {"7", "$2b$x", BYTES("s")},
            {"7", "$2b$", BYTES("xs")}, false},
        {"NUL in the password", {"7", "$2b$x", BYTES("a\0b")}, {"7", "$2b$x", BYTES("a\0c")},
            false},
        {"NUL at its end", {"7", "$2b$x", BYTES("a")}, {"7", "$2b$x", BYTES("a\0")}, false},
        {"no user id, the same", {NULL, "$2b$x", BYTES("secret")}, {NULL, "$2b$x", BYTES("secret")},
            true},
        {"no user id, and one", {NULL, "$2b$x", BYTES("secret")}, {"7", "$2b$x", BYTES("secret")},
            false},
        {"empty password, the same", {"7", "$2b$x", NULL, 0}, {"7", "$2b$x", "", 0}, true},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct cache *cache = open_cache();

        if (verified(cache, &cases[i].asked))
            fail_msg("%s: hit before anything was stored", cases[i].proves);
        store(cache, &cases[i].stored);
        if (verified(cache, &cases[i].asked) != cases[i].want)
            fail_msg("%s", cases[i].proves);
        cache_close(cache);
        assert_int_equal(unlink(path), 0);
    }
}

static const struct question right = {"7", "$2b$x", BYTES("secret")};
static const struct question wrong = {"7", "$2b$x", BYTES("guess")};

static void read_table(const struct cache *cache, struct set *table)
{
    assert_int_equal(pread(cache->fd, table, TABLE_BYTES, TABLE_OFFSET), TABLE_BYTES);
}

CACHE_TEST(a_look_up_writes_nothing)
{
    struct cache *cache = open_cache();
    struct set *before = malloc(TABLE_BYTES);
    struct set *after = malloc(TABLE_BYTES);

    assert_non_null(before);
    store(cache, &right);
    assert_non_null(after);
    read_table(cache, before);
    assert_false(verified(cache, &wrong));
    assert_true(verified(cache, &right));
    read_table(cache, after);
    assert_memory_equal(before, after, TABLE_BYTES);
    free(after);
    free(before);
    cache_close(cache);
}

CACHE_TEST(a_cache_is_shared_and_outlives_its_process)
{
    struct cache *first = open_cache();
    struct cache *second_one = open_cache();

    store(first, &right);
    assert_true(verified(second_one, &right));
    cache_close(first);
    cache_close(second_one);
    first = open_cache();
    assert_true(verified(first, &right));
    cache_close(first);
}

CACHE_TEST(without_a_cache_nothing_hits)
{
    assert_false(verified(NULL, &right));
    store(NULL, &right);
    cache_close(NULL);
}

/* Time */

CACHE_TEST(an_entry_expires)
{
    static const struct {
        const char *proves;
        int64_t later_ns;
        bool want;
    } cases[] = {
        {"at once", 0, true},
        {"just before the end", TTL_S * INT64_C(1000000000) - 1, true},
        {"at the end", TTL_S * INT64_C(1000000000), false},
        {"a day later", 86400 * INT64_C(1000000000), false},
        {"a clock that says earlier", -1, false},
        {"much earlier", -500 * INT64_C(1000000000), false},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct cache *cache = open_cache();

        test_now_ns = 1000 * second;
        store(cache, &right);
        test_now_ns += (uint64_t)cases[i].later_ns;
        if (verified(cache, &right) != cases[i].want)
            fail_msg("%s", cases[i].proves);
        cache_close(cache);
        assert_int_equal(unlink(path), 0);
    }
}

CACHE_TEST(a_verification_prolongs_an_entry_and_a_hit_does_not)
{
    struct cache *cache = open_cache();

    store(cache, &right);
    test_now_ns += (TTL_S - 1) * second;
    assert_true(verified(cache, &right));
    test_now_ns += second;
    assert_false(verified(cache, &right));
    store(cache, &right);
    test_now_ns += (TTL_S - 1) * second;
    assert_true(verified(cache, &right));
    cache_close(cache);
}

/* The file survived a reboot. CLOCK_BOOTTIME restarted, so the times alone prove nothing. */
CACHE_TEST(an_entry_of_an_earlier_boot_misses)
{
    struct cache *cache = open_cache();
    int fd = creat(other, 0600);

    store(cache, &right);
    cache_close(cache);
    assert_int_equal(write(fd, BYTES("00000000-0000-4000-8000-000000000000\n")), 37);
    close(fd);
    test_boot_id = other;
    cache = open_cache();
    assert_false(verified(cache, &right));
    store(cache, &right);
    assert_true(verified(cache, &right));
    cache_close(cache);
}

/* Places */

static void write_at(off_t at, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);

    assert_int_equal(pwrite(fd, bytes, length, at), length);
    close(fd);
}

static union cache_key digest_number(uint64_t number)
{
    return (union cache_key){.words = {number, number << 32, ~number, 0}}; /* all of set 0 */
}

static bool find_number(const struct cache *cache, uint64_t number)
{
    union cache_key digest = digest_number(number);

    return find(cache, &digest, test_now_ns);
}

static void save_number(const struct cache *cache, uint64_t number)
{
    union cache_key digest = digest_number(number);
    struct set set;

    assert_true(load(cache, 0, &set));
    save(cache, 0, way_for(&set, &digest, test_now_ns), &digest, test_now_ns);
}

CACHE_TEST(a_full_set_replaces_its_oldest_entry)
{
    struct cache *cache = open_cache();

    for (uint64_t number = 1; number <= CACHE_WAYS; number++) {
        test_now_ns += second;
        save_number(cache, number);
    }
    for (uint64_t number = 1; number <= CACHE_WAYS; number++)
        assert_true(find_number(cache, number));
    test_now_ns += second;
    save_number(cache, 3); /* renewed in its place, not in the oldest's */
    for (uint64_t number = 1; number <= CACHE_WAYS; number++)
        assert_true(find_number(cache, number));
    test_now_ns += second;
    save_number(cache, 99);
    for (uint64_t number = 1; number <= CACHE_WAYS; number++)
        assert_int_equal(find_number(cache, number), number != 1);
    assert_true(find_number(cache, 99));
    cache_close(cache);
}

CACHE_TEST(a_worthless_entry_is_replaced_first)
{
    static const struct {
        const char *proves;
        uint64_t time_s;
    } cases[] = {{"empty", 0}, {"expired", 100},
        {"of a time to come, as an earlier boot leaves them", 9000}};

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct cache *cache = open_cache();

        for (uint64_t number = 1; number <= CACHE_WAYS; number++) {
            uint64_t time_s = number == 5 ? cases[i].time_s : 1000 + number;
            union cache_key digest = digest_number(number);

            if (time_s != 0)
                save(cache, 0, number - 1, &digest, time_s * second);
        }
        test_now_ns = 1100 * second;
        save_number(cache, 99);
        for (uint64_t number = 1; number <= CACHE_WAYS; number++) {
            if (find_number(cache, number) != (number != 5))
                fail_msg("%s: number %u", cases[i].proves, (unsigned)number);
        }
        assert_true(find_number(cache, 99));
        cache_close(cache);
        assert_int_equal(unlink(path), 0);
    }
}

/* Every mixture of the words of two entries is a miss for both. */
CACHE_TEST(a_torn_entry_misses)
{
    static const struct {
        const char *proves;
        uint64_t number[2], time_s[2];
    } cases[] = {
        {"two users at two times", {1, 2}, {900, 950}},
        {"two users, one of them expired", {1, 2}, {10, 950}},
        {"one user at two times", {1, 1}, {900, 950}},
        {"one user, expired and renewed", {1, 1}, {10, 950}},
        {"over an empty place", {1, 0}, {950, 0}},
    };
    struct cache *cache = open_cache();
    struct set set;

    test_now_ns = 1000 * second;
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct entry whole[2];

        for (int k = 0; k < 2; k++) {
            union cache_key digest = digest_number(cases[i].number[k]);

            save(cache, 0, 3, &digest, cases[i].time_s[k] * second);
            assert_true(load(cache, 0, &set));
            whole[k] = cases[i].number[k] == 0 ? (struct entry){.time = 0} : set.ways[3];
        }
        for (unsigned mix = 0; mix < 16; mix++) {
            struct entry torn = {{whole[mix & 1].tag[0], whole[mix >> 1 & 1].tag[1]},
                whole[mix >> 2 & 1].time, whole[mix >> 3].seal};

            write_at(offset_of(0, 3), &torn, sizeof torn);
            for (int k = 0; k < 2; k++) {
                bool is_whole = memcmp(&torn, &whole[k], sizeof torn) == 0;
                bool live = cases[i].number[k] != 0 && cases[i].time_s[k] > 400;
                bool twin = cases[i].number[0] == cases[i].number[1] &&
                            memcmp(&torn, &whole[!k], sizeof torn) == 0 &&
                            cases[i].time_s[!k] > 400;

                if (find_number(cache, cases[i].number[k]) != ((is_whole && live) || twin))
                    fail_msg("%s: mixture %u, entry %d", cases[i].proves, mix, k);
            }
        }
    }
    cache_close(cache);
}

/* Files */

static void flip(off_t at)
{
    uint8_t octet;
    int fd = open(path, O_RDWR);

    assert_int_equal(pread(fd, &octet, 1, at), 1);
    octet ^= 1;
    assert_int_equal(pwrite(fd, &octet, 1, at), 1);
    close(fd);
}

static void make_symlink(void)
{
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
}

static void make_directory(void)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_fifo(void)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_second_name(void)
{
    assert_int_equal(link(path, other), 0);
}

static void make_readable(void)
{
    assert_int_equal(chmod(path, 0640), 0);
}

static void make_set_id(void)
{
    assert_int_equal(chmod(path, 04600), 0);
}

static void make_other_owner(void)
{
    test_euid++;
}

static void make_empty(void)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void make_header_short(void)
{
    assert_int_equal(truncate(path, sizeof(struct header) - 1), 0);
}

static void make_short(void)
{
    assert_int_equal(truncate(path, FILE_BYTES - 1), 0);
}

static void make_long(void)
{
    assert_int_equal(truncate(path, FILE_BYTES + 1), 0);
}

static void make_foreign(void)
{
    write_at(0, BYTES("root:x:0:0:"));
}

static void make_next_version(void)
{
    write_at(offsetof(struct header, version), &(uint32_t){VERSION + 1}, 4);
}

static void make_other_geometry(void)
{
    write_at(offsetof(struct header, ways), &(uint32_t){CACHE_WAYS * 2}, 4);
}

static void flip_key(void)
{
    flip(offsetof(struct header, key));
}

static void flip_mac(void)
{
    flip(offsetof(struct header, mac) + MAC_BYTES - 1);
}

static void lose_boot_id(void)
{
    test_boot_id = "/nowhere/boot_id";
}

/* Status and content of a refused file. */
struct look {
    struct stat status;
    char content[sizeof(struct header)];
    ssize_t length;
};

static struct look look_at_file(void)
{
    struct look look = {.length = 0};

    assert_int_equal(lstat(path, &look.status), 0);
    if (S_ISREG(look.status.st_mode)) {
        int fd = open(path, O_RDONLY);

        look.length = read(fd, look.content, sizeof look.content);
        close(fd);
    }
    return look;
}

static bool same_look(const struct look *a, const struct look *b)
{
    return a->status.st_ino == b->status.st_ino && a->status.st_mode == b->status.st_mode &&
           a->status.st_size == b->status.st_size && a->length == b->length &&
           a->status.st_mtim.tv_nsec == b->status.st_mtim.tv_nsec &&
           memcmp(a->content, b->content, sizeof a->content) == 0;
}

CACHE_TEST(refused_files_are_not_changed)
{
    static const struct {
        const char *proves;
        void (*spoil)(void);
        const char *error;
    } cases[] = {
        {"symbolic link, though to a good one", make_symlink, "must be a plain file"},
        {"directory", make_directory, "Is a directory"},
        {"fifo", make_fifo, "must be a plain file"},
        {"hard link", make_second_name, "must have one name"},
        {"others may read", make_readable, "must have mode 0600"},
        {"set-user-id", make_set_id, "must have mode 0600"},
        {"another user's", make_other_owner, "must belong to the user"},
        {"empty", make_empty, "is too small"},
        {"ends in the header", make_header_short, "is too small"},
        {"ends early", make_short, "is not of its full size"},
        {"longer", make_long, "is not of its full size"},
        {"something else", make_foreign, "is not a cache"},
        {"another version", make_next_version, "is of another version"},
        {"another geometry", make_other_geometry, "is of another version"},
        {"a bit of the key", flip_key, "is damaged"},
        {"a bit of the header's MAC", flip_mac, "is damaged"},
        {"no id of the boot", lose_boot_id, "needs /proc/"},
    };
    char error[256];

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct look before, after;

        cache_close(open_cache());
        cases[i].spoil();
        before = look_at_file();
        if (cache_open(path, TTL_S, error, sizeof error) != NULL)
            fail_msg("%s: accepted", cases[i].proves);
        if (strstr(error, path) != error || strstr(error, cases[i].error) == NULL)
            fail_msg("%s: %s", cases[i].proves, error);
        after = look_at_file();
        if (!same_look(&before, &after))
            fail_msg("%s: changed", cases[i].proves);
        empty_directory(state);
    }
}

/* It is cut between the check of its size and the look-up; a mapping would have raised SIGBUS. */
CACHE_TEST(a_file_that_is_cut_in_the_middle_of_a_look_up_is_a_miss)
{
    struct cache *cache = open_cache();
    union cache_key key;

    store(cache, &right);
    assert_true(cache_is_sound(cache));
    assert_true(make_key(cache, "7", "$2b$x", BYTES("secret"), &key));
    assert_true(cache_contains(cache, &key));
    make_empty();
    assert_false(cache_contains(cache, &key));
    cache_insert(cache, &key);
    assert_false(cache_contains(cache, &key));
    cache_close(cache);
}

/* RLIMIT_FSIZE below the file's size; SIGXFSZ at its default would end the process. */
static int with_small_files(bool (*body)(void))
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        signal(SIGXFSZ, SIG_DFL);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){TABLE_OFFSET / 2, TABLE_OFFSET / 2});
        _exit(body() ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return status;
}

static bool cannot_be_made(void)
{
    char error[256];

    return cache_open(path, TTL_S, error, sizeof error) == NULL &&
           strstr(error, "File too large") != NULL;
}

CACHE_TEST(a_limit_on_file_sizes_is_an_error)
{
    assert_int_equal(with_small_files(cannot_be_made), 0);
    assert_int_equal(names_in_directory(), 0);
}

static bool misses_and_lives(void)
{
    struct cache *cache = open_cache();

    store(cache, &right);
    return !verified(cache, &right);
}

CACHE_TEST(a_limit_on_file_sizes_is_a_miss)
{
    cache_close(open_cache());
    assert_int_equal(with_small_files(misses_and_lives), 0);
}

CACHE_TEST(where_no_file_can_be_made_nothing_hits)
{
    char long_path[PATH_MAX + 1];
    char error[256];

    assert_null(cache_open("/nowhere/cache", TTL_S, error, sizeof error));
    assert_string_equal(error, "/nowhere/cache: No such file or directory");
    memset(long_path, 'x', PATH_MAX);
    memcpy(long_path, directory, sizeof directory - 1);
    long_path[sizeof directory - 1] = '/';
    long_path[PATH_MAX - 1] = '\0';
    assert_null(cache_open(long_path, TTL_S, error, sizeof error));
    assert_non_null(strstr(error, "File name too long"));
    assert_int_equal(names_in_directory(), 0);
}

static void remove_file(void)
{
    assert_int_equal(unlink(path), 0);
}

/* Whatever happens to the file while it is open, the host survives, without hits. */
CACHE_TEST(a_file_that_changes_is_no_longer_used)
{
    static const struct {
        const char *proves;
        void (*spoil)(void);
    } cases[] = {
        {"cut to nothing", make_empty},
        {"cut", make_short},
        {"removed, to empty the cache", remove_file},
        {"a second name", make_second_name},
        {"others may read", make_readable},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct cache *cache = open_cache();

        store(cache, &right);
        assert_true(verified(cache, &right));
        cases[i].spoil();
        if (verified(cache, &right))
            fail_msg("%s", cases[i].proves);
        store(cache, &right);
        if (verified(cache, &right))
            fail_msg("%s: stored again", cases[i].proves);
        cache_close(cache);
        empty_directory(state);
    }
}

/* Many at once */

enum { PROCESSES = 32 };

/* Runs body in many processes that start together; each must return true. */
static void in_processes(bool (*body)(unsigned number))
{
    int gate[2];
    int status;
    char octet;

    assert_int_equal(pipe(gate), 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        if (fork() == 0) {
            close(gate[1]);
            _exit(read(gate[0], &octet, 1) == 0 && body(i) ? 0 : 1);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (unsigned i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

static struct question question_of(unsigned number, char text_r[2][16])
{
    snprintf(text_r[0], sizeof text_r[0], "%u", number);
    snprintf(text_r[1], sizeof text_r[1], "password %u", number);
    return (struct question){text_r[0], "$2b$x", text_r[1], strlen(text_r[1])};
}

static bool open_and_store(unsigned number)
{
    char error[256];
    struct cache *cache = cache_open(path, TTL_S, error, sizeof error);
    char text[2][16];
    struct question question = question_of(number, text);

    if (cache == NULL)
        return false;
    store(cache, &question);
    return verified(cache, &question);
}

CACHE_TEST(many_create_one_file)
{
    struct cache *cache;

    in_processes(open_and_store);
    assert_int_equal(names_in_directory(), 1);
    cache = open_cache();
    for (unsigned number = 0; number < PROCESSES; number++) {
        char text[2][16];
        struct question question = question_of(number, text);

        assert_true(verified(cache, &question));
    }
    cache_close(cache);
}

static struct cache *shared;

/* Right and wrong passwords of a few users, in a cache that the parent opened. */
static bool hammer_questions(unsigned number)
{
    unsigned hits = 0;

    for (unsigned round = 0; round < 500; round++) {
        char text[2][16];
        struct question question = question_of((number + round) % 16, text);

        if (verified(shared, &question))
            hits++;
        else
            store(shared, &question);
        text[1][9]++;
        if (verified(shared, &question))
            return false;
    }
    return hits > 400;
}

/*
 * In one set, half of the processes save an old verification of one user where the other half save
 * fresh ones of others: the old one must never be seen with a fresh time.
 */
static bool hammer_one_set(unsigned number)
{
    union cache_key old = digest_number(1);
    union cache_key fresh = digest_number(2 + number);
    uint64_t now = 10000 * second;

    for (unsigned round = 0; round < 100000; round++) {
        if (number % 2)
            save(shared, 0, round % 2, &old, now - TTL_S * second - round);
        else
            save(shared, 0, round % 2, &fresh, now - round);
        if (find(shared, &old, now))
            return false;
    }
    return true;
}

CACHE_TEST(many_processes_see_no_wrong_hit)
{
    shared = open_cache();
    in_processes(hammer_questions);
    in_processes(hammer_one_set);
    cache_close(shared);
}

static void *hammer_in_thread(void *number)
{
    return hammer_questions((unsigned)(uintptr_t)number) ? number : NULL;
}

CACHE_TEST(threads_share_one_cache)
{
    pthread_t threads[4];
    void *result;

    shared = open_cache();
    for (uintptr_t i = 0; i < ROWS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_in_thread, (void *)(i + 1)), 0);
    for (size_t i = 0; i < ROWS(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    cache_close(shared);
}

/* Memory */

#define SECRET "zQ7-unlikely-S3cret-f0r-a-search"

/* The secrets to search for: the password, the file's key, and the MAC of the question. */
static uint8_t needles[3][32];

static struct {
    unsigned blocks, with_secret;
} freed;

static bool holds_secret(const volatile uint8_t *at, size_t length)
{
    for (size_t i = 0; i + sizeof needles[0] <= length; i++) {
        for (size_t k = 0; k < ROWS(needles); k++) {
            size_t same = 0;

            while (same < sizeof needles[k] && at[i + same] == needles[k][same])
                same++;
            if (same == sizeof needles[k])
                return true;
        }
    }
    return false;
}

static void search_and_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    if (block != NULL) {
        freed.blocks++;
        freed.with_secret += holds_secret(block, malloc_usable_size(block));
    }
    free(block);
}

static void *plain_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *plain_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(block, size);
}

enum { STACK_SIZE = 1024 * 1024, MARGIN = 128 * 1024 };

/*
 * The frames of each step are searched separately: a later step would overwrite them. The frames
 * must be below the margin, so this is not inlined.
 */
enum step { LEAVE_BEHIND, OPEN, STORE, LOOK_UP, CLOSE };

static __attribute__((noinline)) void run_step(enum step step)
{
    static const struct question question = {"7", "$2b$x", BYTES(SECRET)};
    uint8_t left[sizeof needles[0]];

    switch (step) {
    case LEAVE_BEHIND:
        memcpy(left, needles[0], sizeof left);
        __asm__ volatile("" : : "r"(left) : "memory"); /* keeps the compiler from dropping it */
        break;
    case OPEN:
        shared = open_cache();
        break;
    case STORE:
        store(shared, &question);
        break;
    case LOOK_UP:
        assert_true(verified(shared, &question));
        break;
    case CLOSE:
        cache_close(shared);
        break;
    }
}

/* The margin keeps the end of the thread from overwriting the frames that are searched. */
static void *run_below_margin(void *step)
{
    volatile uint8_t margin[MARGIN];

    margin[0] = 0;
    run_step(*(enum step *)step);
    margin[MARGIN - 1] = margin[0];
    return NULL;
}

static bool found_on_stack(enum step step)
{
    uint8_t *stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    bool found;

    assert_ptr_not_equal(stack, MAP_FAILED);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_below_margin, &step), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
    found = holds_secret(stack, STACK_SIZE);
    munmap(stack, STACK_SIZE);
    return found;
}

CACHE_TEST(neither_key_nor_password_stays_in_memory)
{
    struct cache *cache = open_cache();
    union cache_key digest;

    memcpy(needles[0], SECRET, sizeof needles[0]);
    assert_int_equal(pread(cache->fd, needles[1], KEY_BYTES, offsetof(struct header, key)), 32);
    assert_true(make_key(cache, "7", "$2b$x", BYTES(SECRET), &digest));
    memcpy(needles[2], digest.bytes, sizeof needles[2]);
    cache_close(cache);

    memset(&freed, 0, sizeof freed);
    search_and_free(memcpy(malloc(32), needles[1], 32), "", 0);
    assert_int_equal(freed.with_secret, 1); /* the control */
    assert_true(found_on_stack(LEAVE_BEHIND));
    memset(&freed, 0, sizeof freed);
    for (enum step step = OPEN; step <= CLOSE; step++) {
        if (found_on_stack(step))
            fail_msg("step %d leaves it on the stack", (int)step);
    }
    assert_true(freed.blocks > 10);
    assert_int_equal(freed.with_secret, 0);
}

/* The host's TLS reads the same queue. */
CACHE_TEST(the_hosts_openssl_errors_stay)
{
    struct cache *cache;

    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 7);
    cache = open_cache();
    store(cache, &right);
    assert_true(verified(cache, &right));
    cache_close(cache);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 7);
    assert_int_equal(ERR_get_error(), 0);
}

static int set_up_test(void **state)
{
    (void)state;
    test_now_ns = 1000 * second;
    test_euid = geteuid();
    test_boot_id = NULL;
    return 0;
}

static int empty_directory(void **state)
{
    (void)unlink(path);
    (void)rmdir(path);
    (void)unlink(other);
    return set_up_test(state);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/cache", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    /* Before OpenSSL allocates anything. */
    if (CRYPTO_set_mem_functions(plain_malloc, plain_realloc, search_and_free) != 1)
        return 1;
    return run_all_tests(argc > 1 ? argv[1] : NULL, set_up, tear_down);
}
