/*
 * pgtext.c: any text in the place of an array or a timestamp of PostgreSQL's.
 */
#include "pg/pgtext.h"

#include "fuzz.h"

enum { CAP = 4 };

static void array(char *text, size_t size)
{
    char *elements[CAP];
    int count = pgtext_array(text, elements, CAP);

    MUST(count >= -1 && count <= CAP);
    for (int i = 0; i < count; i++) {
        if (elements[i] == NULL)
            continue;
        MUST(elements[i] > text && elements[i] < text + size);
        MUST(elements[i] + strlen(elements[i]) < text + size);
    }
}

/* What is taken is no longer than it can be, and ends in its zone. */
static void timestamp(const char *text)
{
    int64_t us;

    if (!pgtext_time(text, &us) || strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0)
        return;
    MUST(strspn(text, "0123456789-+:. ") == strlen(text));
    MUST(strcspn(text, "-") == 4 && strcspn(text, ":") == 13);
    MUST(us / 1000000 > -62200000000 && us / 1000000 < 253500000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = string_of(data, size);

    timestamp(text);
    array(text, size);
    free(text);
    return 0;
}
