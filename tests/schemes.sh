#!/bin/sh
# The schemes and encodings of stored hashes that pgsasl.5 names are those that hash_vectors.h has an example of. Run by
# `make check`.
set -eu

page=${srcdir:-.}/docs/pgsasl.5
vectors=${srcdir:-.}/tests/unit/hash_vectors.h
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A hash stands on a line of its own; "{NAME.ENCODING}" is {NAME} and .ENCODING.
sed -n 's/^     "\(.*\)"},$/\1/p' "$vectors" |
    sed -n -e 's/^\({[^.}]*\)\(\.[^}]*\)}.*/\1}\n\2/p; t' \
        -e 's/^\({[^}]*}\).*/\1/p; t' -e 's/^\(\$[^$]*\$\).*/\1/p; t' -e 's/^\([^$]*\$\).*/\1/p' |
    sort -u >"$scratch/vectors"

# The list of the page, and the sentence on encodings that is its next paragraph.
awk '/^A stored hash is of one of these forms/ { on = 1 }
     on && /^\.Li / { for (i = 2; i <= NF; i++) if ($i ~ /^([${].|\.[A-Z]|SCRAM)/) print $i }
     on && /^\.Pp/ && ++paragraphs == 2 { exit }' "$page" | sort -u >"$scratch/page"

[ -s "$scratch/vectors" ]
diff -u --label 'in hash_vectors.h' --label 'in pgsasl.5' "$scratch/vectors" "$scratch/page"
