/*
 * list_schemes.c: prints stored hashes with the plugin's decoys of them, for tests/sql/hashes.sql.
 *
 * One line each, as COPY reads it: the hash, the decoy, the memory and the work of computing it,
 * separated by tabs; the last three are \N where the hash is unusable. The hashes are the vectors,
 * and hashes made from the list of schemes on both sides of each bound and of the default ceilings;
 * all of these in every wrapping of Dovecot, cut short, and altered.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hash/hash.h"
#include "hash_vectors.h"
#include "samples.h"

static void put_text(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\n')
            fputs("\\n", stdout);
        else if (*text == '\\')
            fputs("\\\\", stdout);
        else
            putchar(*text);
}

static void print(const char *stored)
{
    struct hash hash, decoy;

    put_text(stored);
    putchar('\t');
    if (hash_parse(stored, &hash)) {
        hash_decoy(&hash, &decoy);
        put_text(decoy.text);
        printf(
            "\t%" PRIu64 "\t%" PRIu64 "\n", hash_cost(&hash).memory_kib, hash_cost(&hash).work_ms);
    } else {
        puts("\\N\t\\N\t\\N");
    }
}

/* Cut at each place, and with another character at each place. */
static void print_damaged(const char *stored)
{
    static const char *const others[] = {
        "A", "$", "=", "0", ".", "~", "\n", " ", "9", "+", "\xc3\xa9", "/", "\\", "a", "-", ","};
    char text[SAMPLE_MAX + 8];
    const size_t len = strlen(stored), count = sizeof others / sizeof *others;

    for (size_t at = 0; at <= len; at++) {
        const char *other = others[at % count], *added = others[(at + len) % count];

        snprintf(text, sizeof text, "%.*s", (int)at, stored);
        print(text);
        snprintf(
            text, sizeof text, "%.*s%s%s", (int)at, stored, other, at < len ? stored + at + 1 : "");
        print(text);
        snprintf(text, sizeof text, "%.*s%s%s", (int)at, stored, added, stored + at);
        print(text);
    }
}

static void print_sample(const struct sample *sample, const char *stored)
{
    struct sample cheap = sample_cheap(sample->scheme, sample->with_options);

    print(stored);
    if (memcmp(sample->value, cheap.value, sizeof cheap.value) != 0)
        return;
    print_damaged(stored);
    samples_wrapped(stored, print);
}

static void print_at_ceiling(const struct sample *sample, const char *stored)
{
    (void)sample;
    print(stored);
}

int main(void)
{
    static const struct hash_cost ceiling = {262144, 2000};

    samples_at_bounds(print_sample);
    samples_at_ceiling(&ceiling, print_at_ceiling);
    for (size_t i = 0; i < sizeof hash_vectors / sizeof *hash_vectors; i++) {
        struct hash hash;

        print_damaged(hash_vectors[i].stored);
        if (hash_parse(hash_vectors[i].stored, &hash))
            samples_wrapped(hash.text, print);
    }
    for (size_t i = 0; i < sizeof refused_hashes / sizeof *refused_hashes; i++)
        print(refused_hashes[i].stored);
    return 0;
}
