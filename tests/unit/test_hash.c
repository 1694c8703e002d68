/*
 * test_hash.c: stored hashes of other programs match their passwords and no others.
 *
 * The vectors of hash_vectors.h are also cut, altered and turned into decoys; samples.h makes more
 * hashes from the list of schemes. The hashing libraries are called through doubles, which count
 * calls, fail on demand, and see whether memory that held a password was wiped; secret_wipe() is a
 * double too. Passwords and hashes are copied to memory of exactly their size, for the sanitizers.
 */
#include "test.h"

#include <crypt.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <argon2.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "hash/hash.h"
#include "hash/scheme.h"
#include "hash_vectors.h"
#include "samples.h"
#include "base/secret.h"

#define DIGEST_31 "..............................."
#define DIGEST_43 "..........................................."
#define DIGEST_86 DIGEST_43 DIGEST_43
#define BASE64_16 "AAAAAAAAAAAAAAAAAAAAAA"
#define BASE64_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define BASE64_64 BASE64_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SALT_22 "......................"

/* The doubles. */

static struct {
    unsigned work;    /* hashes begun */
    unsigned threads; /* threads asked for */
    bool fail;        /* each library fails */
    int crypt_errno;  /* what crypt_rn(3) sets then */
    const void *phrase, *data;
    size_t phrase_wiped, data_wiped;
} seen;

static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    assert_non_null(function);
    return function;
}

char *crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
    char *(*real)(const char *, const char *, void *, int);

    *(void **)&real = next("crypt_rn");
    seen.work++;
    seen.phrase = phrase;
    seen.data = data;
    errno = seen.crypt_errno;
    return seen.fail ? NULL : real(phrase, setting, data, size);
}

int argon2_ctx(argon2_context *context, argon2_type type)
{
    int (*real)(argon2_context *, argon2_type);

    *(void **)&real = next("argon2_ctx");
    seen.work++;
    return seen.fail ? ARGON2_MEMORY_ALLOCATION_ERROR : real(context, type);
}

int PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen,
    int iter, const EVP_MD *digest, int keylen, unsigned char *out)
{
    int (*real)(
        const char *, int, const unsigned char *, int, int, const EVP_MD *, int, unsigned char *);

    *(void **)&real = next("PKCS5_PBKDF2_HMAC");
    seen.work++;
    if (seen.fail)
        ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
    return seen.fail ? 0 : real(pass, passlen, salt, saltlen, iter, digest, keylen, out);
}

int EVP_PBE_scrypt(const char *pass, size_t passlen, const unsigned char *salt, size_t saltlen,
    uint64_t n, uint64_t r, uint64_t p, uint64_t maxmem, unsigned char *key, size_t keylen)
{
    int (*real)(const char *, size_t, const unsigned char *, size_t, uint64_t, uint64_t, uint64_t,
        uint64_t, unsigned char *, size_t);

    *(void **)&real = next("EVP_PBE_scrypt");
    seen.work++;
    if (seen.fail)
        ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
    return seen.fail ? 0 : real(pass, passlen, salt, saltlen, n, r, p, maxmem, key, keylen);
}

/* Of the schemes only the salted digests call this. */
int EVP_DigestFinal_ex(EVP_MD_CTX *context, unsigned char *md, unsigned int *size)
{
    int (*real)(EVP_MD_CTX *, unsigned char *, unsigned int *);

    *(void **)&real = next("EVP_DigestFinal_ex");
    seen.work++;
    if (seen.fail)
        ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
    return seen.fail ? 0 : real(context, md, size);
}

/* The plugin must start no thread in the host. Visible, so that libargon2 finds this one. */
__attribute__((visibility("default"))) int pthread_create(
    pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    (void)thread;
    (void)attr;
    (void)start;
    (void)arg;
    seen.threads++;
    return EAGAIN;
}

void secret_wipe(void *secret, size_t capacity)
{
    if (secret != NULL && secret == seen.phrase)
        seen.phrase_wiped = capacity;
    if (secret != NULL && secret == seen.data)
        seen.data_wiped = capacity;
    if (secret != NULL)
        explicit_bzero(secret, capacity);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    return memcmp(a, b, n) == 0;
}

/* Helpers. */

static void *copy(const void *bytes, size_t n)
{
    void *made = malloc(n > 0 ? n : 1);

    assert_non_null(made);
    memcpy(made, bytes, n);
    return made;
}

static bool usable(const char *stored)
{
    char *stored_copy = copy(stored, strlen(stored) + 1);
    struct hash hash;
    bool result = hash_parse(stored_copy, &hash);

    assert_int_equal(hash_is_usable(&hash), result);
    free(stored_copy);
    return result;
}

static enum hash_result verify(const char *stored, const char *password, size_t password_len)
{
    char *stored_copy = copy(stored, strlen(stored) + 1);
    char *password_copy = copy(password, password_len);
    struct hash hash;
    enum hash_result result;

    hash_parse(stored_copy, &hash);
    result = hash_verify(&hash, password_copy, password_len);
    hash_wipe(&hash);
    free(password_copy);
    free(stored_copy);
    return result;
}

/* like may be NULL. */
static void make_decoy(const char *like, char decoy_r[HASH_MAX])
{
    struct hash hash, decoy;

    hash_parse(like, &hash);
    hash_decoy(&hash, &decoy);
    assert_true(hash_is_usable(&decoy));
    strcpy(decoy_r, decoy.text);
}

static void check_result(
    const char *what, const char *stored, enum hash_result got, enum hash_result want)
{
    if (got != want)
        fail_msg("%s: %s: got %d, want %d", what, stored, (int)got, (int)want);
}

static int set_up(void **state)
{
    (void)state;
    /* The doubles replace all other calls: without these the linker may omit a library. */
    assert_non_null(crypt_preferred_method());
    assert_non_null(argon2_error_message(ARGON2_OK));
    memset(&seen, 0, sizeof seen);
    return 0;
}

/* What matches. */

TEST_WITH(vectors_match_their_password_only, set_up, NULL)
{
    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];
        size_t len = strlen(v->password);
        char longer[256];

        snprintf(longer, sizeof longer, "%sx", v->password);
        check_result(v->producer, v->stored, verify(v->stored, v->password, len), HASH_MATCH);
        check_result("longer", v->stored, verify(v->stored, longer, len + 1), HASH_MISMATCH);
        if (len > 0) {
            check_result("empty", v->stored, verify(v->stored, "", 0), HASH_MISMATCH);
            check_result("shorter", v->stored, verify(v->stored, longer, len - 1), HASH_MISMATCH);
        }
        if (!usable(v->stored))
            fail_msg("not usable: %s", v->stored);
    }
}

static bool has_vector(const struct scheme *scheme)
{
    struct hash hash;

    for (size_t i = 0; i < ROWS(hash_vectors); i++)
        if (hash_parse(hash_vectors[i].stored, &hash) && hash.scheme == scheme)
            return true;
    return false;
}

TEST_WITH(each_scheme_has_a_vector, set_up, NULL)
{
    const struct scheme *scheme;

    for (size_t i = 0; (scheme = hash_scheme(i)) != NULL; i++)
        if (!has_vector(scheme))
            fail_msg("no hash of another program for %s, %s", scheme->name, scheme->prefix);
}

/* How Dovecot's vectors begin; and how the prefix of those with an encoding ends. */
TEST_WITH(each_wrapping_and_encoding_has_a_vector, set_up, NULL)
{
    static const char *const wanted[] = {
#define WRAPPING(name, kind, ...) "{" name "}", "{" name ".",
#define ENCODING(name, encoding) "." name "}",
#include "hash/schemes.def"
    };

    for (size_t i = 0; i < ROWS(wanted); i++) {
        bool found = false;

        for (size_t j = 0; j < ROWS(hash_vectors); j++)
            found |= strstr(hash_vectors[j].stored, wanted[i]) != NULL;
        if (!found)
            fail_msg("no hash of another program has %s", wanted[i]);
    }
}

TEST_WITH(dovecots_prefixes_are_read_in_either_case, set_up, NULL)
{
    static const struct {
        const char *prefix, *other;
    } rows[] = {{"{BLF-CRYPT}", "{blf-crypt}"}, {"{BLF-CRYPT}", "{crypt}"},
        {"{SHA256-CRYPT}", "{Crypt}"}, {"{SHA512-CRYPT}", "{sha256-crypt}"},
        {"{SSHA256.HEX}", "{ssha256.hex}"}, {"{SSHA512.BASE64}", "{ssha512}"},
        {"{SSHA512.HEX}", "{Ssha512.Hex}"}, {"{PBKDF2}", "{pbkdf2}"},
        {"{SCRAM-SHA-256}", "{scram-sha-256}"}, {"{ARGON2ID}", "{argon2i}"},
        {"{SCRAM-SHA-256.B64}", "{scram-sha-256.base64}"}};

    for (size_t i = 0; i < ROWS(rows); i++) {
        bool met = false;

        for (size_t j = 0; j < ROWS(hash_vectors); j++) {
            const struct hash_vector *v = &hash_vectors[j];
            char other[HASH_MAX];

            if (strncmp(v->stored, rows[i].prefix, strlen(rows[i].prefix)) != 0)
                continue;
            snprintf(
                other, sizeof other, "%s%s", rows[i].other, v->stored + strlen(rows[i].prefix));
            check_result(
                v->producer, other, verify(other, v->password, strlen(v->password)), HASH_MATCH);
            met = true;
        }
        if (!met)
            fail_msg("no vector begins %s", rows[i].prefix);
    }
}

/* Two spellings of one salt: its last character has four spare bits. */
TEST_WITH(a_bcrypt_salt_may_have_spare_bits_set, set_up, NULL)
{
    static const char stored[] = "$2b$04$w9ONQ1Wwmwf1I37ii/gn/OlylD0wZ32lS4lsVSVS/q2LufvoeetxC";
    char other[sizeof stored];

    memcpy(other, stored, sizeof stored);
    assert_int_equal(other[28], 'O');
    other[28] = 'P';
    assert_int_equal(verify(other, BYTES("correct horse")), HASH_MATCH);
    assert_int_equal(verify(other, BYTES("incorrect horse")), HASH_MISMATCH);
}

/* A verifier has two keys; with one of them wrong it matches no password. */
TEST_WITH(scram_compares_both_keys, set_up, NULL)
{
    static const char good[] =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    char stored_key[sizeof good], server_key[sizeof good];

    memcpy(stored_key, good, sizeof good);
    strstr(stored_key, "WG5d")[0] = 'X';
    memcpy(server_key, good, sizeof good);
    strstr(server_key, "wfPL")[0] = 'x';
    assert_int_equal(verify(good, BYTES("pencil")), HASH_MATCH);
    assert_int_equal(verify(stored_key, BYTES("pencil")), HASH_MISMATCH);
    assert_int_equal(verify(server_key, BYTES("pencil")), HASH_MISMATCH);
}

/* Hashes that are cut short or altered. */

/* True for a scheme whose last field has no fixed length: a shorter one is another valid hash. */
static bool may_be_usable_when_cut(const char *stored)
{
    return strncmp(stored, "$argon2", 7) == 0 || strncmp(stored, "{ARGON2", 7) == 0 ||
           strncmp(stored, "{SSHA", 5) == 0;
}

/* doveadm's Argon2 is slow; the cheap vectors of Argon2 test the same without the prefix. */
static bool is_costly(const char *stored)
{
    return strncmp(stored, "{ARGON2", 7) == 0;
}

TEST_WITH(truncated_hashes_never_match, set_up, NULL)
{
    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];
        char cut[HASH_MAX];

        for (size_t len = 0; len < strlen(v->stored); len++) {
            snprintf(cut, len + 1, "%s", v->stored);
            if (!may_be_usable_when_cut(v->stored)) {
                check_result(
                    "cut", cut, verify(cut, v->password, strlen(v->password)), HASH_UNUSABLE);
                check_result("cut, empty password", cut, verify(cut, "", 0), HASH_UNUSABLE);
                if (usable(cut))
                    fail_msg("usable: %s", cut);
            } else if (!is_costly(v->stored) &&
                       verify(cut, v->password, strlen(v->password)) == HASH_MATCH) {
                fail_msg("matches: %s", cut);
            }
        }
    }
}

TEST_WITH(hashes_with_extra_bytes_never_match, set_up, NULL)
{
    static const char *const tails[] = {"\n", " ", "$", "=", "A", ".", "0", "AAAA", "\x80", ":x"};

    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];
        char longer[HASH_MAX];

        for (size_t j = 0; j < ROWS(tails); j++) {
            snprintf(longer, sizeof longer, "%s%s", v->stored, tails[j]);
            if (verify(longer, v->password, strlen(v->password)) == HASH_MATCH)
                fail_msg("matches: %s", longer);
            snprintf(longer, sizeof longer, "%s%s", tails[j], v->stored);
            check_result("with something before it", longer,
                verify(longer, v->password, strlen(v->password)), HASH_UNUSABLE);
        }
    }
}

/* A byte of each kind at each place: the readers stay inside the string, and hash nothing. */
TEST_WITH(altered_hashes_are_read_safely, set_up, NULL)
{
    static const char bytes[] = "\x01\n !$*+,./0129:=AJT_az{}~\x7f\x80\xff";

    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        char *stored = copy(hash_vectors[i].stored, strlen(hash_vectors[i].stored) + 1);

        for (char *c = stored; *c != '\0'; c++) {
            char kept = *c;

            for (const char *byte = bytes; *byte != '\0'; byte++) {
                *c = *byte;
                (void)usable(stored);
            }
            *c = kept;
        }
        free(stored);
    }
    assert_int_equal(seen.work, 0);
}

static void check_refused(const char *what, const char *stored, const char *password)
{
    if (usable(stored))
        fail_msg("%s: usable: %s", what, stored);
    check_result(what, stored, verify(stored, "", 0), HASH_UNUSABLE);
    check_result(what, stored, verify(stored, password, strlen(password)), HASH_UNUSABLE);
    check_result(what, stored, verify(stored, stored, strlen(stored)), HASH_UNUSABLE);
}

TEST_WITH(other_hashes_of_the_same_programs_are_refused, set_up, NULL)
{
    for (size_t i = 0; i < ROWS(refused_hashes); i++)
        check_refused(refused_hashes[i].producer, refused_hashes[i].stored, "correct horse");
    assert_int_equal(seen.work, 0);
}

TEST_WITH(other_forms_are_refused, set_up, NULL)
{
    static const struct {
        const char *what, *stored;
    } rows[] = {
        {"empty", ""},
        {"locked", "*"},
        {"locked", "!"},
        {"locked, with the hash kept", "!$2b$04$" SALT_22 DIGEST_31},
        {"failure token", "*0"},
        {"failure token", "*1"},
        {"clear text", "secret"},
        {"DES", "abJnggxhB/yWI"},
        {"extended DES", "_J9..rasmBYk8r9AiWNc"},
        {"MD5-crypt", "$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81"},
        {"Apache's MD5", "$apr1$rzx2Tpxz$lT.nTTbnEZI6Vo5NPLG2N."},
        {"a bare MD5", "5ebe2294ecd0e0f08eab7690d2a6ee69"},
        {"PostgreSQL's MD5", "md55ebe2294ecd0e0f08eab7690d2a6ee69"},
        {"bcrypt of the broken kind", "$2x$04$" SALT_22 DIGEST_31},
        {"bcrypt without a kind", "$2$04$" SALT_22 DIGEST_31},
        {"yescrypt's cousin", "$gy$j75$" SALT_22 "$" DIGEST_43},
        {"SHA-1-crypt", "$sha1$40000$jtNX3nZ2$hBNaIXkt4wBI2o5rsi8KejSjNqIq"},
        {"a prefix alone", "$6$"},
        {"a salt alone", "$6$salt"},
        {"a salt and no digest", "$6$salt$"},
        {"SHA-512-crypt with SHA-256-crypt's digest", "$6$salt$" DIGEST_43},
        {"SHA-256-crypt with SHA-512-crypt's digest", "$5$salt$" DIGEST_86},
        {"a salt of 17", "$5$12345678901234567$" DIGEST_43},
        {"a colon in the salt", "$5$a:b$" DIGEST_43},
        {"an unended salt", "$2b$10$short"},
        {"bcrypt's cost in one digit", "$2b$4$" SALT_22 DIGEST_31},
        {"bcrypt's cost in three", "$2b$004$" SALT_22 DIGEST_31},
        {"a letter outside the alphabet", "$2b$04$....-................." DIGEST_31},
        {"yescrypt's flavour unknown", "$y$k75$" SALT_22 "$" DIGEST_43},
        {"yescrypt without parameters", "$y$$" SALT_22 "$" DIGEST_43},
        {"yescrypt without a salt", "$y$j75$$" DIGEST_43},
        {"yescrypt's salt of 4n + 1", "$y$j75$.....$" DIGEST_43},
        {"argon2 without digest", "$argon2id$v=19$m=8,t=1,p=1$" BASE64_16},
        {"argon2 with an empty digest", "$argon2id$v=19$m=8,t=1,p=1$" BASE64_16 "$"},
        {"argon2 with a digest of 3 bytes", "$argon2id$v=19$m=8,t=1,p=1$" BASE64_16 "$AAAA"},
        {"argon2 with a salt of 6 bytes", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAA$" BASE64_32},
        {"argon2 without p", "$argon2id$v=19$m=8,t=1$" BASE64_16 "$" BASE64_32},
        {"argon2 out of order", "$argon2id$v=19$t=1,m=8,p=1$" BASE64_16 "$" BASE64_32},
        {"argon2 of a version to come", "$argon2id$v=20$m=8,t=1,p=1$" BASE64_16 "$" BASE64_32},
        {"argon2 of a kind unknown", "$argon2x$v=19$m=8,t=1,p=1$" BASE64_16 "$" BASE64_32},
        {"argon2 with a keyid", "$argon2id$v=19$m=8,t=1,p=1,keyid=A$" BASE64_16 "$" BASE64_32},
        {"argon2 with padding", "$argon2id$v=19$m=8,t=1,p=1$" BASE64_16 "==$" BASE64_32},
        {"spare bits set", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAB$" BASE64_32},
        {"SCRAM-SHA-1", "SCRAM-SHA-1$4096:AAAA$" KEY ":" KEY},
        {"SCRAM without a salt", "SCRAM-SHA-256$4096:$" KEY ":" KEY},
        {"SCRAM without a server key", "SCRAM-SHA-256$4096:AAAA$" KEY ":"},
        {"SCRAM with short keys", "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA"},
        {"SCRAM without padding", "SCRAM-SHA-256$4096:AAAA$" BASE64_32 ":" KEY},
        {"PBKDF2 of SHA-1", "$pbkdf2$1000$" BASE64_16 "$AAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"PBKDF2 with an empty digest", "$pbkdf2-sha256$1000$" BASE64_16 "$"},
        {"PBKDF2 with SHA-256's digest", "$pbkdf2-sha512$1000$" BASE64_16 "$" BASE64_32},
        {"PBKDF2 without a salt", "$pbkdf2-sha256$1000$$" BASE64_32},
        {"a plus where passlib has a dot", "$pbkdf2-sha256$1000$+AAA$" BASE64_32},
        {"scrypt with an empty digest", "$scrypt$ln=4,r=8,p=1$" BASE64_16 "$"},
        {"scrypt without p", "$scrypt$ln=4,r=8$" BASE64_16 "$" BASE64_32},
        {"Dovecot's clear text", "{PLAIN}secret"},
        {"Dovecot's clear text", "{CLEARTEXT}secret"},
        {"Dovecot's clear text in base64", "{PLAIN.B64}c2VjcmV0"},
        {"Dovecot's MD5-crypt", "{MD5-CRYPT}$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81"},
        {"Dovecot's MD5", "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"},
        {"Dovecot's DES", "{DES-CRYPT}abJnggxhB/yWI"},
        {"Dovecot's SHA-1", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="},
        {"Dovecot's salted SHA-1", "{SSHA}uhMZiYY2IdiZLpNjOSRsIcuXYRh2/E6X"},
        {"Dovecot's SHA-256", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="},
        {"Dovecot's SCRAM-SHA-1", "{SCRAM-SHA-1}4096,AAAA," KEY "," KEY},
        {"crypt with MD5 inside", "{CRYPT}$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81"},
        {"crypt with DES inside", "{CRYPT}abJnggxhB/yWI"},
        {"crypt with Argon2 inside", "{CRYPT}$argon2id$v=19$m=8,t=1,p=1$" BASE64_16 "$" BASE64_32},
        {"crypt with a prefix inside", "{CRYPT}{SSHA256}" KEY},
        {"blowfish with SHA-512 inside", "{BLF-CRYPT}$6$salt$" DIGEST_86},
        {"Argon2 with bcrypt inside", "{ARGON2ID}$2b$04$" SALT_22 DIGEST_31},
        {"an empty hash behind a prefix", "{CRYPT}"},
        {"an empty digest behind a prefix", "{SSHA256}"},
        {"a digest without a salt", "{SSHA256}" KEY},
        {"a NUL in an encoding", "{BLF-CRYPT.HEX}24326224303424002e2e"},
        {"hex of an odd length", "{BLF-CRYPT.HEX}243"},
        {"an encoding unknown", "{SSHA256.B32}" KEY},
        {"an empty encoding", "{SSHA256.}" KEY},
        {"two encodings", "{SSHA256.B64.HEX}" KEY},
        {"an unended prefix", "{SSHA256"},
        {"an empty prefix", "{}" KEY},
        {"a brace alone", "{"},
        {"a very long prefix", "{SSHA256SSHA256SSHA256SSHA256SSHA256}" KEY},
        {"PBKDF2 of a kind unknown", "{PBKDF2}$2$salt$5$0000000000000000000000000000000000000000"},
        {"PBKDF2 with SHA-1 cut", "{PBKDF2}$1$salt$5$00000000000000000000000000000000000000"},
        {"PBKDF2 with no salt", "{PBKDF2}$1$$5$0000000000000000000000000000000000000000"},
        {"Dovecot's SCRAM with too few fields", "{SCRAM-SHA-256}4096,AAAA," KEY},
        {"Dovecot's SCRAM with too many", "{SCRAM-SHA-256}4096,AAAA," KEY "," KEY "," KEY},
        {"Dovecot's SCRAM in PostgreSQL's form", "{SCRAM-SHA-256}4096:AAAA$" KEY ":" KEY},
    };
    struct hash hash;

    for (size_t i = 0; i < ROWS(rows); i++)
        check_refused(rows[i].what, rows[i].stored, "secret");
    assert_false(hash_is_usable(NULL));
    assert_int_equal(hash_verify(NULL, "", 0), HASH_UNUSABLE);
    assert_false(hash_parse(NULL, &hash));
    assert_int_equal(hash_verify(&hash, "", 0), HASH_UNUSABLE);
    assert_int_equal(seen.work, 0);
}

/* These hashes are only parsed, never computed. */
TEST_WITH(what_costs_more_than_the_ceiling_says_so, set_up, NULL)
{
    static const struct hash_cost ceiling = {.memory_kib = 262144, .work_ms = 2000};
    static const struct {
        const char *stored;
        const char *option; /* NULL: within the ceiling */
    } rows[] = {
        {"$2b$15$" SALT_22 DIGEST_31, NULL},
        {"$2b$16$" SALT_22 DIGEST_31, "pgsasl_hash_max_ms"},
        {"$6$rounds=5000000$salt$" DIGEST_86, NULL},
        {"$5$rounds=5000000$salt$" DIGEST_43, NULL},
        {"$y$jDT$" SALT_22 "$" DIGEST_43, NULL}, /* 256 MiB */
        {"$y$jET$" SALT_22 "$" DIGEST_43, "pgsasl_hash_max_memory_kb"},
        {"$7$G6..../....salt$" DIGEST_43, "pgsasl_hash_max_memory_kb"},
        {"$argon2id$v=19$m=262144,t=7,p=4$" BASE64_16 "$" BASE64_32, NULL},
        {"$argon2id$v=19$m=262144,t=8,p=4$" BASE64_16 "$" BASE64_32, "pgsasl_hash_max_ms"},
        {"$argon2id$v=19$m=262145,t=1,p=4$" BASE64_16 "$" BASE64_32, "pgsasl_hash_max_memory_kb"},
        {"$argon2id$v=19$m=1048576,t=1,p=4$" BASE64_16 "$" BASE64_32, "pgsasl_hash_max_memory_kb"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hash hash;
        const char *why;

        if (!hash_parse(rows[i].stored, &hash))
            fail_msg("%s is unusable", rows[i].stored);
        why = hash_excess(&hash, &ceiling);
        if ((why == NULL) != (rows[i].option == NULL) ||
            (why != NULL && strstr(why, rows[i].option) == NULL))
            fail_msg("%s: %s", rows[i].stored, why == NULL ? "within the ceiling" : why);
    }
    assert_int_equal(seen.work, 0);
}

/* These hashes are only parsed, never computed. */
TEST_WITH(work_is_bounded, set_up, NULL)
{
    static const struct {
        const char *stored;
        bool usable;
    } rows[] = {
        {"$2b$03$" SALT_22 DIGEST_31, false}, {"$2b$04$" SALT_22 DIGEST_31, true},
        {"$2b$16$" SALT_22 DIGEST_31, true}, {"$2b$17$" SALT_22 DIGEST_31, false},
        {"$2b$31$" SALT_22 DIGEST_31, false}, {"$2b$99$" SALT_22 DIGEST_31, false},
        {"$5$rounds=999$salt$" DIGEST_43, false}, {"$5$rounds=1000$salt$" DIGEST_43, true},
        {"$5$rounds=01000$salt$" DIGEST_43, false}, {"$5$rounds=+1000$salt$" DIGEST_43, false},
        {"$6$rounds=5000000$salt$" DIGEST_86, true}, {"$6$rounds=5000001$salt$" DIGEST_86, false},
        {"$6$rounds=999999999$salt$" DIGEST_86, false},
        {"$6$rounds=4294968296$salt$" DIGEST_86, false}, /* 1,000 in 32 bits */
        {"$y$jFT$" SALT_22 "$" DIGEST_43, true}, /* crypt_gensalt(3)'s highest cost: 1 GiB */
        {"$y$jGT$" SALT_22 "$" DIGEST_43, false}, {"$y$jFU$" SALT_22 "$" DIGEST_43, false},
        {"$y$j.T$" SALT_22 "$" DIGEST_43, false}, {"$y$jz75$" SALT_22 "$" DIGEST_43, false},
        {"$7$I6..../....salt$" DIGEST_43, true}, /* N 2^20, r 8 */
        {"$7$J6..../....salt$" DIGEST_43, false}, {"$7$I6....0....salt$" DIGEST_43, false},
        {"$7$zzzzzzzzzzzsalt$" DIGEST_43, false}, {"$7$66.........salt$" DIGEST_43, false},
        {"$argon2id$v=19$m=7,t=1,p=1$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=8,t=1,p=1$" BASE64_16 "$" BASE64_32, true},
        {"$argon2id$v=19$m=31,t=1,p=4$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=32,t=1,p=4$" BASE64_16 "$" BASE64_32, true},
        {"$argon2id$v=19$m=32,t=0,p=4$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=32,t=1,p=0$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=1048576,t=16,p=4$" BASE64_16 "$" BASE64_32, true},
        {"$argon2id$v=19$m=1048576,t=17,p=4$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=1048577,t=1,p=4$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=8,t=4294967295,p=1$" BASE64_16 "$" BASE64_32, false},
        {"$argon2id$v=19$m=4294967304,t=1,p=1$" BASE64_16 "$" BASE64_32, false},
        {"SCRAM-SHA-256$0:AAAA$" KEY ":" KEY, false},
        {"SCRAM-SHA-256$10000000:AAAA$" KEY ":" KEY, true},
        {"SCRAM-SHA-256$10000001:AAAA$" KEY ":" KEY, false},
        {"{SCRAM-SHA-256}10000001,AAAA," KEY "," KEY, false},
        {"$pbkdf2-sha256$0$AAAA$" BASE64_32, false},
        {"$pbkdf2-sha256$10000000$AAAA$" BASE64_32, true},
        {"$pbkdf2-sha256$10000001$AAAA$" BASE64_32, false},
        {"{PBKDF2}$1$salt$10000000$0000000000000000000000000000000000000000", true},
        {"{PBKDF2}$1$salt$10000001$0000000000000000000000000000000000000000", false},
        {"$scrypt$ln=20,r=8,p=1$AAAA$" BASE64_32, true},
        {"$scrypt$ln=21,r=8,p=1$AAAA$" BASE64_32, false},
        {"$scrypt$ln=20,r=8,p=2$AAAA$" BASE64_32, false},
        {"$scrypt$ln=1,r=8,p=1$AAAA$" BASE64_32, false},
        {"$scrypt$ln=4,r=4294967295,p=4294967295$AAAA$" BASE64_32, false},
        {"$scrypt$ln=4,r=0,p=1$AAAA$" BASE64_32, false},
        {"$scrypt$ln=64,r=8,p=1$AAAA$" BASE64_32, false},
        {"$scrypt$ln=16,r=1,p=1$AAAA$" BASE64_32, false}, /* RFC 7914: N below 2^(16 r) */
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        if (usable(rows[i].stored) != rows[i].usable)
            fail_msg("usable is not %d: %s", rows[i].usable, rows[i].stored);
        if (!rows[i].usable)
            check_result(
                "bounded", rows[i].stored, verify(rows[i].stored, BYTES("x")), HASH_UNUSABLE);
    }
    assert_int_equal(seen.work, 0);
}

/*
 * Both sides of each bound of the forms. The libraries hash whatever the forms accept; only cheap
 * hashes are tried.
 */
static void check_sample(const struct sample *sample, const char *stored)
{
    struct sample cheap = sample_cheap(sample->scheme, sample->with_options);
    bool is_cheap = true, within = true;

    for (size_t i = 0; i < sample_parts(sample->scheme); i++) {
        const struct scan_part *part = &sample->scheme->form[i];

        if (!sample_has_value(part))
            continue;
        within = within && sample->value[i] >= part->min && sample->value[i] <= part->max;
        if (part->kind != SCAN_SALT && part->kind != SCAN_DIGEST &&
            part->kind != SCAN_DIGEST_AND_SALT)
            is_cheap = is_cheap && sample->value[i] <= cheap.value[i] + 1;
    }
    if (!within && usable(stored))
        fail_msg("%s: usable: %s", sample->scheme->name, stored);
    if (memcmp(sample->value, cheap.value, sizeof cheap.value) == 0 && !usable(stored))
        fail_msg("%s: not usable: %s", sample->scheme->name, stored);
    if (is_cheap && usable(stored))
        check_result(sample->scheme->name, stored, verify(stored, BYTES("x")), HASH_MISMATCH);
}

TEST_WITH(a_form_is_bounded_on_both_sides, set_up, NULL)
{
    samples_at_bounds(check_sample);
    assert_true(seen.work > 50);
}

/* A decoy has the same form, numbers and lengths. */
static void check_decoy_of_sample(const struct sample *sample, const char *stored)
{
    struct hash hash, decoy, again;

    if (!hash_parse(stored, &hash))
        return;
    hash_decoy(&hash, &decoy);
    if (!hash_parse(decoy.text, &again))
        fail_msg("%s: a decoy is not usable: %s", sample->scheme->name, decoy.text);
    assert_ptr_equal(again.scheme, hash.scheme);
    assert_memory_equal(&again.numbers, &hash.numbers, sizeof hash.numbers);
    assert_int_equal(again.salt_len, hash.salt_len);
    assert_int_equal(again.digest_len, hash.digest_len);
    assert_string_not_equal(decoy.text, stored);
    assert_int_equal(strlen(decoy.text), strlen(stored));
}

TEST_WITH(each_scheme_has_decoys, set_up, NULL)
{
    samples_at_bounds(check_decoy_of_sample);
}

/* A hash that a form accepts is never refused for its length, even in hex. */
static void check_length(const struct sample *sample, const char *stored)
{
    struct sample longest = *sample;
    char text[SAMPLE_MAX];

    (void)stored;
    for (size_t i = 0; i < sample_parts(sample->scheme); i++)
        longest.value[i] = sample->scheme->form[i].max;
    if (!sample_write(&longest, text))
        fail_msg("%s: its longest cannot be written", sample->scheme->name);
    if (sample->scheme->form[0].kind == SCAN_DIGEST_AND_SALT)
        assert_true(strlen(text) < HASH_MAX);
    else if (2 * strlen(text) + strlen("{SCRAM-SHA-256.HEX}") >= HASH_MAX)
        fail_msg("%s in hex may be longer than HASH_MAX", sample->scheme->name);
}

TEST_WITH(the_longest_hash_of_each_form_fits, set_up, NULL)
{
    samples_at_bounds(check_length);
}

TEST_WITH(longer_hashes_are_refused, set_up, NULL)
{
    static const char head[] = "{PBKDF2}$1$",
                      tail[] = "$1$0000000000000000000000000000000000000000";
    char stored[HASH_MAX + 64];

    for (size_t len = sizeof head + sizeof tail; len < sizeof stored; len++) {
        memset(stored, 's', sizeof stored);
        memcpy(stored, head, strlen(head));
        memcpy(stored + len - sizeof tail, tail, sizeof tail);
        assert_int_equal(usable(stored), len - strlen(head) - sizeof tail <= HASH_SALT_MAX);
    }
}

/* Passwords that crypt(3) would cut. */

TEST_WITH(a_password_that_would_be_cut_is_refused_after_the_work, set_up, NULL)
{
    static const char p72[] =
        "72 octets 72 octets 72 octets 72 octets 72 octets 72 octets 72 octets ab";
    static const char p73[] =
        "72 octets 72 octets 72 octets 72 octets 72 octets 72 octets 72 octets abc";
    static const char bcrypt[] = "$2b$04$Z/uR2068Z7ykn43QNHx0eOapKHC8M8QZ2odYmCp6mP6gEYMmbOqz.";
    static const char horse[] = "$2b$04$w9ONQ1Wwmwf1I37ii/gn/OlylD0wZ32lS4lsVSVS/q2LufvoeetxC";
    static const char empty[] = "$2b$04$Bo4fhlffX22ZbS6J82acf.7o9OO/z3ysH.HExCdjdE.nRTWMiSTu2";
    static const char sha[] = "$5$nFgytToKKkNfq3Vz$QWUgOB7joYUbht89nHMI0qJJLVuvF1LOJc7heJDXq/6";
    static char p511[511], p512[512];
    const struct {
        const char *what, *stored, *password;
        size_t password_len;
        enum hash_result want;
    } rows[] = {
        {"bcrypt, 72 bytes", bcrypt, BYTES(p72), HASH_MATCH},
        {"bcrypt, 73 bytes", bcrypt, BYTES(p73), HASH_MISMATCH},
        {"bcrypt, 72 bytes and a NUL", bcrypt, p72, sizeof p72, HASH_MISMATCH},
        {"bcrypt, a NUL at the end", horse, BYTES("correct horse\0"), HASH_MISMATCH},
        {"bcrypt, a NUL and more", horse, BYTES("correct horse\0more"), HASH_MISMATCH},
        {"bcrypt of nothing, a NUL", empty, BYTES("\0"), HASH_MISMATCH},
        {"SHA-crypt, a NUL and more", sha, BYTES("correct horse\0more"), HASH_MISMATCH},
        {"SHA-crypt, the longest that libcrypt takes", sha, p511, sizeof p511, HASH_MISMATCH},
        {"SHA-crypt, longer", sha, p512, sizeof p512, HASH_MISMATCH},
    };

    memset(p511, 'p', sizeof p511);
    memset(p512, 'p', sizeof p512);
    for (size_t i = 0; i < ROWS(rows); i++) {
        seen.work = 0;
        check_result(rows[i].what, rows[i].stored,
            verify(rows[i].stored, rows[i].password, rows[i].password_len), rows[i].want);
        if (seen.work != 1)
            fail_msg("%s: %u hashes", rows[i].what, seen.work);
    }
}

/* crypt(3) would stop at the NUL; an HMAC key is padded with NULs, so it would not count. */
TEST_WITH(a_password_with_a_nul_never_matches, set_up, NULL)
{
    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];

        check_result("a NUL at the end", v->stored,
            verify(v->stored, v->password, strlen(v->password) + 1), HASH_MISMATCH);
    }
}

/* Decoys. */

TEST_WITH(decoys_cost_the_same_and_never_match, set_up, NULL)
{
    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];
        char decoy[HASH_MAX], again[HASH_MAX];
        size_t len = strlen(v->password);

        make_decoy(v->stored, decoy);
        seen.work = 0;
        check_result("decoy", decoy, verify(decoy, v->password, len), HASH_MISMATCH);
        if (seen.work == 0)
            fail_msg("no work: %s", decoy);
        check_result("decoy", decoy, verify(decoy, "", 0), HASH_MISMATCH);
        check_result("decoy", decoy, verify(decoy, decoy, strlen(decoy)), HASH_MISMATCH);
        make_decoy(decoy, again);
        assert_string_equal(again, decoy);
        if (v->stored[0] != '{')
            assert_int_equal(strlen(decoy), strlen(v->stored));
    }
}

TEST_WITH(decoys_keep_scheme_and_cost, set_up, NULL)
{
    static const char bcrypt_10[] = "$2b$10$" SALT_22 DIGEST_31;
    static const struct {
        const char *like, *decoy;
    } rows[] = {
        {NULL, bcrypt_10},
        {"", bcrypt_10},
        {"*", bcrypt_10},
        {"{PLAIN}secret", bcrypt_10},
        {"$2b$17$" SALT_22 DIGEST_31, bcrypt_10},
        {"$2y$12$0123456789012345678901" DIGEST_31, "$2y$12$" SALT_22 DIGEST_31},
        {"{BLF-CRYPT}$2y$12$0123456789012345678901" DIGEST_31, "$2y$12$" SALT_22 DIGEST_31},
        {"$y$j9T$012345678/$" DIGEST_43, "$y$j9T$..........$" DIGEST_43},
        {"$7$CU..../....0123$" DIGEST_43, "$7$CU..../........$" DIGEST_43},
        {"$6$rounds=656000$0123$" DIGEST_86, "$6$rounds=656000$....$" DIGEST_86},
        {"$5$$" DIGEST_43, "$5$$" DIGEST_43},
        {"$argon2id$v=19$m=65536,t=3,p=4$c2FsdCBvZiAxNiBvY3RzIQ$" BASE64_32,
            "$argon2id$v=19$m=65536,t=3,p=4$" BASE64_16 "$" BASE64_32},
        {"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" KEY ":" KEY,
            "SCRAM-SHA-256$4096:" BASE64_16 "==$" KEY ":" KEY},
        {"{Scram-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," KEY "," KEY,
            "{SCRAM-SHA-256}4096," BASE64_16 "==," KEY "," KEY},
        {"$pbkdf2-sha256$29000$z5lTynnP2TsH4BxDSKnVeg$" BASE64_32,
            "$pbkdf2-sha256$29000$" BASE64_16 "$" BASE64_32},
        {"$scrypt$ln=16,r=8,p=1$z5lTynnP2TsH4BxDSKnVeg$" BASE64_32,
            "$scrypt$ln=16,r=8,p=1$" BASE64_16 "$" BASE64_32},
        {"{pbkdf2}$1$salt$5$db99d618f804d091d0f702ff7e6c189bf71f637f",
            "{PBKDF2}$1$salt$5$0000000000000000000000000000000000000000"},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        char decoy[HASH_MAX];

        make_decoy(rows[i].like, decoy);
        assert_string_equal(decoy, rows[i].decoy);
    }
    assert_int_equal(seen.work, 0);
}

TEST_WITH(the_fallback_decoy_is_hashed, set_up, NULL)
{
    char decoy[HASH_MAX];

    make_decoy(NULL, decoy);
    assert_int_equal(verify(decoy, BYTES("x")), HASH_MISMATCH);
    assert_int_equal(seen.work, 1);
}

/* The host's process: threads, errors, memory. */

/* libargon2 does not free its memory when a thread fails to start. */
static int lend_memory(uint8_t **memory, size_t size)
{
    static uint8_t lent[64 * 1024];

    *memory = lent;
    return size <= sizeof lent ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void take_memory_back(uint8_t *memory, size_t size)
{
    (void)memory;
    (void)size;
}

TEST_WITH(no_thread_is_started, set_up, NULL)
{
    static const char lanes[] = "$argon2id$v=19$m=64,t=2,p=4$c2FsdCBvZiAxNiBvY3RzIQ"
                                "$q7bXVF3pIrxThsegIO0C8ymK47rJY+T38U+820n3FT8";
    uint8_t out[32], salt[16] = {0};
    argon2_context control = {.out = out,
        .outlen = sizeof out,
        .salt = salt,
        .saltlen = sizeof salt,
        .m_cost = 64,
        .t_cost = 2,
        .lanes = 4,
        .threads = 4,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = lend_memory,
        .free_cbk = take_memory_back};

#if defined(__SANITIZE_ADDRESS__)
    skip(); /* its own pthread_create() hides ours */
#endif
    assert_int_equal(argon2_ctx(&control, Argon2_id), ARGON2_THREAD_FAIL);
    assert_int_not_equal(seen.threads, 0);
    seen.threads = 0;
    assert_int_equal(verify(lanes, BYTES("correct horse")), HASH_MATCH);
    assert_int_equal(seen.threads, 0);
}

TEST_WITH(a_failing_library_is_an_error_not_a_verdict, set_up, NULL)
{
    unsigned long host = ERR_PACK(ERR_LIB_USER, 0, 1);

    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 1);
    seen.fail = true;
    seen.crypt_errno = ENOMEM;
    for (size_t i = 0; i < ROWS(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];

        check_result(v->producer, v->stored, verify(v->stored, v->password, strlen(v->password)),
            HASH_ERROR);
    }
    /* The host's own error is still there, and no other. */
    assert_int_equal(ERR_get_error(), host);
    assert_int_equal(ERR_get_error(), 0);
}

TEST_WITH(a_hash_that_libcrypt_refuses_is_unusable, set_up, NULL)
{
    seen.fail = true;
    seen.crypt_errno = EINVAL;
    assert_int_equal(verify("$2b$04$" SALT_22 DIGEST_31, BYTES("x")), HASH_UNUSABLE);
}

TEST_WITH(crypt_memory_is_wiped_by_capacity, set_up, NULL)
{
    static const bool fail[] = {false, true};

    for (size_t i = 0; i < ROWS(fail); i++) {
        memset(&seen, 0, sizeof seen);
        seen.fail = fail[i];
        seen.crypt_errno = ENOMEM;
        (void)verify("$2b$04$" SALT_22 DIGEST_31, BYTES("x"));
        assert_int_equal(seen.work, 1);
        assert_int_equal(seen.phrase_wiped, CRYPT_MAX_PASSPHRASE_SIZE);
        assert_int_equal(seen.data_wiped, sizeof(struct crypt_data));
    }
}

RUN_TESTS(NULL, NULL)
