/*
 * list_options.c: prints the table of options, one line "name<TAB>default" each, for
 * tests/options.sh.
 */
#include <stdio.h>

#include "base/options.h"

int main(void)
{
    const struct option_info *info;

    for (size_t i = 0; (info = options_describe(i)) != NULL; i++)
        printf("%s\t%s\n", info->name, info->fallback);
    return 0;
}
