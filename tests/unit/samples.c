/*
 * samples.c: makes stored hashes from the forms of the schemes.
 */
#include "samples.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char CRYPT64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t sample_parts(const struct scheme *scheme)
{
    size_t count = 0;

    while (scheme->form[count].kind != SCAN_DONE)
        count++;
    return count;
}

static bool is_number(const struct scan_part *part)
{
    return part->kind == SCAN_NUMBER || part->kind == SCAN_TWO_DIGITS ||
           part->kind == SCAN_CHAR64 || part->kind == SCAN_CHARS64;
}

bool sample_has_value(const struct scan_part *part)
{
    return is_number(part) || part->kind == SCAN_SALT || part->kind == SCAN_DIGEST ||
           part->kind == SCAN_DIGEST_AND_SALT;
}

struct sample sample_cheap(const struct scheme *scheme, bool with_options)
{
    struct sample sample = {.scheme = scheme, .with_options = with_options};

    for (size_t i = 0; i < sample_parts(scheme); i++) {
        const struct scan_part *part = &scheme->form[i];
        bool salt = part->kind == SCAN_SALT || part->kind == SCAN_DIGEST_AND_SALT;

        sample.value[i] = salt && part->min < 16 && part->max >= 16 ? 16 : part->min;
    }
    return sample;
}

static void put(char **at_io, char c)
{
    *(*at_io)++ = c;
    **at_io = '\0';
}

/* Bytes in base64 with these digits. */
static void put_base64(char **at_io, const char *bytes, size_t len, const char *digits, bool padded)
{
    size_t bits = 8 * len;

    for (size_t bit = 0; bit < bits; bit += 6) {
        unsigned six = 0;

        for (size_t i = bit; i < bit + 6; i++)
            six = six << 1 | (i < bits ? (unsigned)bytes[i / 8] >> (7 - i % 8) & 1 : 0);
        put(at_io, digits[six]);
    }
    for (size_t chars = (bits + 5) / 6; padded && chars % 4 != 0; chars++)
        put(at_io, '=');
}

static void put_field(char **at_io, enum scan_alphabet alphabet, size_t len)
{
    char bytes[2 * HASH_DIGEST_MAX];

    memset(bytes, 'Z', sizeof bytes);
    switch (alphabet) {
    case SCAN_BASE64:
    case SCAN_BASE64_BARE:
        put_base64(at_io, bytes, len, BASE64, alphabet == SCAN_BASE64);
        return;
    case SCAN_BASE64_DOT:
        put_base64(at_io, bytes, len,
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./", false);
        return;
    case SCAN_HEX:
        for (size_t i = 0; i < len; i++)
            *at_io += sprintf(*at_io, "%02x", (unsigned)'Z');
        return;
    case SCAN_CRYPT64:
    case SCAN_YESCRYPT:
    case SCAN_SHACRYPT:
    case SCAN_PRINTABLE:
        for (size_t i = 0; i < len; i++)
            put(at_io, i + 1 < len || alphabet != SCAN_YESCRYPT ? 'Z' : '.');
        return;
    }
}

static bool put_number(char **at_io, const struct scan_part *part, uint64_t value)
{
    int sixes = part->kind == SCAN_CHAR64 ? 1 : 5;

    if (part->kind == SCAN_NUMBER || part->kind == SCAN_TWO_DIGITS) {
        *at_io += sprintf(*at_io, part->kind == SCAN_NUMBER ? "%" PRIu64 : "%02" PRIu64, value);
        return part->kind == SCAN_NUMBER || value < 100;
    }
    if (value >> (6 * sixes) != 0)
        return false;
    for (; sixes > 0; sixes--, value >>= 6)
        put(at_io, CRYPT64[value & 63]);
    return true;
}

bool sample_write(const struct sample *sample, char out_r[SAMPLE_MAX])
{
    char *at = out_r + sprintf(out_r, "%s", sample->scheme->prefix);
    bool skipped = false;

    for (size_t i = 0; i < sample_parts(sample->scheme); i++) {
        const struct scan_part *part = &sample->scheme->form[i];

        if (part->kind == SCAN_OPTION)
            skipped = !sample->with_options;
        if (part->kind == SCAN_END)
            skipped = false;
        if (skipped)
            continue;
        if (part->text != NULL)
            at += sprintf(at, "%s", part->text);
        else if (is_number(part) && !put_number(&at, part, sample->value[i]))
            return false;
        else if (!is_number(part) && sample_has_value(part))
            put_field(&at, part->alphabet, part->digest_len + sample->value[i]);
    }
    return true;
}

bool sample_is_usable(const struct sample *sample)
{
    char stored[SAMPLE_MAX];
    struct hash hash;

    return sample_write(sample, stored) && hash_parse(stored, &hash);
}

static void visit_written(
    const struct sample *sample, void (*visit)(const struct sample *sample, const char *stored))
{
    char stored[SAMPLE_MAX];

    if (sample_write(sample, stored))
        visit(sample, stored);
}

static void visit_with(struct sample sample, size_t i, uint64_t value,
    void (*visit)(const struct sample *sample, const char *stored))
{
    sample.value[i] = value;
    visit_written(&sample, visit);
}

static bool is_usable_with(struct sample sample, size_t i, uint64_t value)
{
    sample.value[i] = value;
    return sample_is_usable(&sample);
}

/* Searches between a usable value and an unusable one; returns the last usable value. */
static uint64_t edge(const struct sample *sample, size_t i, uint64_t usable, uint64_t unusable)
{
    while (usable + 1 != unusable && unusable + 1 != usable) {
        uint64_t middle = usable + (unusable - usable) / 2;

        if (unusable < usable)
            middle = unusable + (usable - unusable) / 2;
        if (is_usable_with(*sample, i, middle))
            usable = middle;
        else
            unusable = middle;
    }
    return usable;
}

/* Visits number i on both sides of the bounds that the other numbers leave it. */
static void visit_edges(const struct sample *sample, size_t i,
    void (*visit)(const struct sample *sample, const char *stored))
{
    const struct scan_part *part = &sample->scheme->form[i];
    uint64_t value = part->min, lower, upper;

    while (value <= part->max && !is_usable_with(*sample, i, value))
        value = value == 0 ? 1 : value * 2;
    if (value > part->max)
        return;
    lower = part->min == 0 ? 0 : edge(sample, i, value, part->min - 1);
    upper = edge(sample, i, value, part->max + 1);
    if (lower > 0)
        visit_with(*sample, i, lower - 1, visit);
    visit_with(*sample, i, lower, visit);
    visit_with(*sample, i, upper, visit);
    visit_with(*sample, i, upper + 1, visit);
}

static uint64_t geometric_middle(const struct scan_part *part)
{
    uint64_t value = part->min > 0 ? part->min : 1;

    while (value * value < part->min * part->max)
        value *= 2;
    return value < part->max ? value : part->max;
}

static void visit_bounds_of(const struct sample *cheap, size_t i,
    void (*visit)(const struct sample *sample, const char *stored))
{
    const struct scan_part *part = &cheap->scheme->form[i];
    struct sample other;

    if (part->min > 0)
        visit_with(*cheap, i, part->min - 1, visit);
    visit_with(*cheap, i, part->min, visit);
    visit_with(*cheap, i, part->max, visit);
    visit_with(*cheap, i, part->max + 1, visit);
    if (!is_number(part))
        return;
    visit_edges(cheap, i, visit);
    for (size_t j = 0; j < sample_parts(cheap->scheme); j++) {
        if (j == i || !is_number(&cheap->scheme->form[j]))
            continue;
        other = *cheap;
        other.value[j] = geometric_middle(&cheap->scheme->form[j]);
        visit_edges(&other, i, visit);
    }
}

static bool has_option(const struct scheme *scheme)
{
    for (size_t i = 0; i < sample_parts(scheme); i++)
        if (scheme->form[i].kind == SCAN_OPTION)
            return true;
    return false;
}

static void visit_scheme(
    const struct sample *cheap, void (*visit)(const struct sample *sample, const char *stored))
{
    bool skipped = false;

    visit_written(cheap, visit);
    for (size_t i = 0; i < sample_parts(cheap->scheme); i++) {
        const struct scan_part *part = &cheap->scheme->form[i];

        if (part->kind == SCAN_OPTION || part->kind == SCAN_END)
            skipped = part->kind == SCAN_OPTION && !cheap->with_options;
        if (!skipped && sample_has_value(part))
            visit_bounds_of(cheap, i, visit);
    }
}

void samples_at_bounds(void (*visit)(const struct sample *sample, const char *stored))
{
    const struct scheme *scheme;

    for (size_t i = 0; (scheme = hash_scheme(i)) != NULL; i++) {
        struct sample cheap = sample_cheap(scheme, false);

        visit_scheme(&cheap, visit);
        cheap.with_options = true;
        if (has_option(scheme))
            visit_scheme(&cheap, visit);
    }
}

/* 0: usable and no more than ceiling; 1: usable and more; 2: not usable. */
static int cost_class(
    struct sample sample, size_t i, uint64_t value, const struct hash_cost *ceiling)
{
    char stored[SAMPLE_MAX];
    struct hash hash;

    sample.value[i] = value;
    if (!sample_write(&sample, stored) || !hash_parse(stored, &hash))
        return 2;
    return hash_excess(&hash, ceiling) == NULL ? 0 : 1;
}

/* The last value of number i within the ceiling, and the first above it, where both are usable. */
static size_t visit_ceiling_of(const struct sample *sample, size_t i,
    const struct hash_cost *ceiling, void (*visit)(const struct sample *sample, const char *stored))
{
    const struct scan_part *part = &sample->scheme->form[i];
    uint64_t within = part->min, above = part->max;

    while (within < part->max && cost_class(*sample, i, within, ceiling) == 2)
        within = within == 0 ? 1 : within * 2;
    while (above > within && cost_class(*sample, i, above, ceiling) == 2)
        above -= (above - within + 1) / 2;
    if (cost_class(*sample, i, within, ceiling) != 0 || cost_class(*sample, i, above, ceiling) != 1)
        return 0;
    while (within + 1 < above) {
        uint64_t middle = within + (above - within) / 2;

        if (cost_class(*sample, i, middle, ceiling) == 0)
            within = middle;
        else
            above = middle;
    }
    visit_with(*sample, i, within, visit);
    visit_with(*sample, i, above, visit);
    return 1;
}

size_t samples_at_ceiling(
    const struct hash_cost *ceiling, void (*visit)(const struct sample *sample, const char *stored))
{
    const struct scheme *scheme;
    size_t pairs = 0;

    for (size_t i = 0; (scheme = hash_scheme(i)) != NULL; i++)
        for (size_t j = 0; j < sample_parts(scheme); j++) {
            struct sample sample = sample_cheap(scheme, true);

            if (!is_number(&scheme->form[j]))
                continue;
            pairs += visit_ceiling_of(&sample, j, ceiling, visit);
            for (size_t k = 0; k < sample_parts(scheme); k++)
                for (uint64_t value = 2;
                    k != j && is_number(&scheme->form[k]) && value <= scheme->form[k].max;
                    value *= 2) {
                    sample = sample_cheap(scheme, true);
                    sample.value[k] = value;
                    pairs += visit_ceiling_of(&sample, j, ceiling, visit);
                }
        }
    return pairs;
}

enum kind { WHOLE, REST, BYTES };
enum encoding { NONE, BASE64_TEXT, HEX_TEXT };

static const struct wrapping {
    const char *name;
    enum kind kind;
    const char *prefixes[8];
} wrappings[] = {
#define WRAPPING(name, kind, ...) {name, kind, {__VA_ARGS__}},
#include "hash/schemes.def"
};

static const struct {
    const char *name;
    enum encoding encoding;
} encodings[] = {
    {NULL, NONE},
#define ENCODING(name, encoding) {name, encoding##_TEXT},
#include "hash/schemes.def"
    {"B32", NONE},
};

static void encode(const char *text, enum encoding encoding, char out_r[2 * SAMPLE_MAX])
{
    char *at = out_r;

    *at = '\0';
    if (encoding == NONE)
        strcpy(out_r, text);
    for (; encoding == HEX_TEXT && *text != '\0'; text++)
        at += sprintf(at, "%02X", (unsigned)*text);
    if (encoding == BASE64_TEXT)
        put_base64(&at, text, strlen(text), BASE64, true);
}

/* In upper case, in lower case, in mixed case. */
static void spell(char *text_io, int spelling)
{
    for (size_t i = 0; text_io[i] != '\0'; i++)
        if (spelling == 1 || (spelling == 2 && i % 2 == 0))
            text_io[i] = (char)tolower((unsigned char)text_io[i]);
}

static void visit_wrapped(const struct wrapping *wrapping, size_t encoding, const char *rest,
    void (*visit)(const char *stored))
{
    char prefix[64], text[2 * SAMPLE_MAX], stored[3 * SAMPLE_MAX];
    const char *name = encodings[encoding].name;

    encode(rest, wrapping->kind == BYTES ? NONE : encodings[encoding].encoding, text);
    for (int spelling = 0; spelling < 3; spelling++) {
        snprintf(prefix, sizeof prefix, "{%s%s%s}", wrapping->name, name == NULL ? "" : ".",
            name == NULL ? "" : name);
        spell(prefix, spelling);
        snprintf(stored, sizeof stored, "%s%s", prefix, text);
        visit(stored);
    }
}

void samples_wrapped(const char *plain, void (*visit)(const char *stored))
{
    for (size_t i = 0; i < sizeof wrappings / sizeof *wrappings; i++) {
        const char *rest = plain;

        for (size_t j = 0; wrappings[i].kind != WHOLE && wrappings[i].prefixes[j] != NULL; j++)
            if (strncmp(plain, wrappings[i].prefixes[j], strlen(wrappings[i].prefixes[j])) == 0)
                rest = plain + strlen(wrappings[i].prefixes[j]);
        for (size_t j = 0; j < sizeof encodings / sizeof *encodings; j++)
            visit_wrapped(&wrappings[i], j, rest, visit);
    }
}
