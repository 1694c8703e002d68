/*
 * fuzz.h: what the fuzzers of this folder share. libFuzzer calls LLVMFuzzerTestOneInput() with one
 * input after the other; what must hold for any input is said with MUST().
 */
#ifndef PGSASL_FUZZ_H
#define PGSASL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) ((condition) ? (void)0 : __builtin_trap())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a string in memory of just its size, so that ASan sees the octet past it. To be
 * freed. */
static inline char *string_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
