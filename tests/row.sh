#!/bin/sh
# The keys of the objects that row.c writes are those that pgsasl.5 describes, and the functions of the schema read each of
# them. Run by `make check`.
set -eu

top=${srcdir:-.}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

sed -n 's/.*json_\(text\|number\|list\)(&*json, "\([a-z_]*\)".*/\2/p' "$top/plugin/auth/row.c" | sort -u >"$scratch/code"
awk '/^\.S[hs] / { on = $0 == ".Ss The audit" } on && /^\.It Va / { print $3 }' "$top/docs/pgsasl.5" | sort >"$scratch/page"
[ -s "$scratch/code" ]
diff -u --label 'in row.c' --label 'in pgsasl.5' "$scratch/code" "$scratch/page"

while read -r key; do
    grep -q "'$key'" "$top/contrib/sql/plugin.sql" "$top/contrib/sql/relays.sql" || {
        echo "no function of contrib/sql/plugin.sql or relays.sql reads $key"
        exit 1
    }
done <"$scratch/code"
