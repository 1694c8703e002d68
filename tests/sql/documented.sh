#!/usr/bin/env bash
# Holds docs/sql.md against the schema: each table and view has a section that names each of its columns; each function, role
# and setting is named; and no section is about a table or view that is not there. The database is the one that PGHOST,
# PGUSER and PGDATABASE say.
#
#   tests/sql/documented.sh FILE.md
set -euo pipefail

page=$1
missing=0

value() {
    psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -c "$1"
}

complain() {
    printf 'not ok: %s\n' "$*" >&2
    missing=1
}

# section RELATION: its part of the page.
section() {
    awk -v heading="### \`$1\`" '/^##/ { inside = ($0 == heading) } inside' "$page"
}

relations="pg_class c WHERE c.relnamespace = 'pgsasl'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition"

while read -r relation column; do
    [[ $(section "$relation") == *"\`$column\`"* ]] || complain "$page, section $relation: no word of column $column"
done < <(value "SELECT c.relname, a.attname FROM pg_attribute a, $relations AND a.attrelid = c.oid AND a.attnum > 0
                AND NOT a.attisdropped")

while read -r name; do
    grep -Eq "\`${name}[\`(]" "$page" || complain "$page: no word of $name"
done < <(value "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pgsasl'::regnamespace
                UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgsasl\_%'")

while read -r relation; do
    value "SELECT 'there' FROM $relations AND c.relname = '$relation'" | grep -q there ||
        complain "$page has a section on $relation, which is not there"
done < <(grep '^### `' "$page" | tr -d '# `')

((!missing)) || exit 1
echo "ok: ${page##*/} names all there is"
