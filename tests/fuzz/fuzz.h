/*
 * fuzz.h: what the fuzzers of this folder share. libFuzzer calls LLVMFuzzerTestOneInput() with one
 * input after the other; MUST() checks what must be true for any input.
 */
#ifndef PGSASL_FUZZ_H
#define PGSASL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) ((condition) ? (void)0 : __builtin_trap())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The input as a string in memory of exactly its size, so that ASan finds a read past it. The
 * caller frees it.
 */
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
