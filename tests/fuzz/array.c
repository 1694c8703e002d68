/*
 * array.c: any text instead of an array from PostgreSQL.
 */
#include "pg/array.h"

#include "fuzz.h"

enum { CAP = 4 };

static void array(char *text, size_t size)
{
    char *elements[CAP];
    int count = array_split(text, elements, CAP);

    MUST(count >= -1 && count <= CAP);
    for (int i = 0; i < count; i++) {
        if (elements[i] == NULL)
            continue;
        MUST(elements[i] > text && elements[i] < text + size);
        MUST(elements[i] + strlen(elements[i]) < text + size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);

    array(text, size);
    free(text);
    return 0;
}
