#!/bin/sh
# The options that the code knows and those that pgsasl.5 describes are the same, with the same defaults. Run by
# `make check` in the build directory.
#
# In the manual page an option is an item, `.It Cm NAME`, whose text contains "Default: VALUE." ("Default: none." if it has
# none).
set -eu

page=${srcdir:-.}/docs/pgsasl.5
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tests/unit/list_options |
    awk -F '\t' '{ print $1 "\t" ($2 == "" ? "none" : $2) }' |
    sort >"$scratch/code"
[ -s "$scratch/code" ]

# Joins an item's text in one line, without macros, quotes and other markup; then takes the value after "Default:".
awk '
    function finish() {
        if (name == "")
            return
        value = "no default is named"
        if (match(text, /Default: */)) {
            value = substr(text, RSTART + RLENGTH)
            if (match(value, /\.( |$)/))
                value = substr(value, 1, RSTART - 1)
        }
        sub(/ +$/, "", value)
        print name "\t" value
        name = text = ""
    }
    /^\.(It|El|Sh|Ss)( |$)/ { finish() }
    /^\.It Cm pgsasl_/ { name = $3; next }
    /^\.\\"/ { next }
    name != "" {
        line = $0
        if (sub(/^\./, "", line)) {
            while (sub(/^(Cm|Li|Ql|Dq|Sq|Pq|Qq|No|Ns|Dl|D1|Pp|Bd|Ed|Em|Sy|Ar|Xr|Va|Sx|Pa|Qc|Qo) */, "", line))
                ;
            sub(/ +\.$/, ".", line)
        }
        gsub(/\\&|"/, "", line)
        text = text (text == "" ? "" : " ") line
    }
    END { finish() }
' "$page" | sort >"$scratch/page"

diff -u --label 'in the code' --label 'in pgsasl.5' "$scratch/code" "$scratch/page"
