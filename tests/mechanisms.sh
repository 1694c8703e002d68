#!/bin/sh
# Each mechanism of plugin/sasl is in the table that entry.c registers, in the section MECHANISMS of pgsasl.5 and in
# tests/server/test_mechanisms.py, and the manual page names no other. Run by `make check`.
set -eu

top=${srcdir:-.}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A plug is "const sasl_server_plug_t mech_NAME = {"; its mechanism's name is the ".mech_name" after it.
sed -n 's/^const sasl_server_plug_t \(mech_[a-z0-9_]*\) = {$/\1/p' "$top"/plugin/sasl/*.c | sort >"$scratch/plugs"
sed -n 's/^ *X(\(mech_[a-z0-9_]*\)).*/\1/p' "$top/plugin/sasl/mechanisms.h" | sort >"$scratch/table"
[ -s "$scratch/plugs" ]
diff -u --label 'plugs of plugin/sasl' --label 'in mechanisms.h' "$scratch/plugs" "$scratch/table"

sed -n 's/^    \.mech_name = "\(.*\)",$/\1/p' "$top"/plugin/sasl/*.c | sort >"$scratch/code"
awk '/^\.Sh / { on = $2 == "MECHANISMS" } on && /^\.It Cm / { print $3 }' "$top/docs/pgsasl.5" | sort >"$scratch/page"
diff -u --label 'mechanisms of plugin/sasl' --label 'in pgsasl.5' "$scratch/code" "$scratch/page"

while read -r name; do
    grep -q "\"$name\"" "$top/tests/server/test_mechanisms.py" || {
        echo "tests/server/test_mechanisms.py has no login with $name"
        exit 1
    }
done <"$scratch/code"
