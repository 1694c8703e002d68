#!/usr/bin/env bash
# Runs every ```sql block of a Markdown file, in order, in one psql session; stops at the first error and names its line.
# The database is the one that PGHOST, PGUSER and PGDATABASE say.
#
#   tests/sql/run_examples.sh FILE.md...
set -euo pipefail

for file; do
    # All other lines become empty ones, so that psql's line numbers are the file's.
    script=$(awk '/^```/ { inside = ($0 == "```sql"); print ""; next } { print inside ? $0 : "" }' "$file")
    blocks=$(grep -c '^```sql$' "$file") || {
        echo "$file has no \`\`\`sql block" >&2
        exit 1
    }
    psql -X -q -v ON_ERROR_STOP=1 -o /dev/null <<<"$script" || {
        echo "not ok: $file, near the line named above" >&2
        exit 1
    }
    echo "ok: $blocks examples of ${file##*/}"
done
