#!/bin/sh
# The reasons that the code knows, that the audit table takes and that troubleshooting.md explains are the same. Run by
# `make check`.
set -eu

top=${srcdir:-.}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

sed -n 's/^REASON([A-Z_]*, \([a-z_]*\),.*/\1/p' "$top/plugin/auth/reasons.def" | sort >"$scratch/code"
sed -n "s/^    ('\([a-z_]*\)', .*/\1/p" "$top/contrib/sql/reasons.sql" | sort >"$scratch/table"
awk '/^## / { on = $0 == "## The reasons" } on && $2 ~ /^`[a-z_]+`$/ { print substr($2, 2, length($2) - 2) }' \
    "$top/docs/troubleshooting.md" | sort >"$scratch/page"

[ "$(wc -l <"$scratch/code")" -ge 18 ]
diff -u --label 'in reasons.def' --label 'in reasons.sql' "$scratch/code" "$scratch/table"
diff -u --label 'in reasons.def' --label 'in troubleshooting.md' "$scratch/code" "$scratch/page"
