#!/usr/bin/env bash
# Throttled attempts from many sessions at once: whatever they do to each other, sum(attempts) is the number of attempts,
# and rows stay few. The database is the one that PGHOST, PGUSER and PGDATABASE say.
#
#   tests/sql/flood.sh
set -euo pipefail

sessions=8
work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-flood.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'not ok: %s\n' "$*" >&2
    exit 1
}

# value QUERY
value() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

# attempt ID NAME [REASON]: one call, as the plugin makes it; both are SQL.
attempt() {
    local reason=${3:-throttled}
    printf "SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', %s, 'username', %s,\n" "$1" "$2"
    printf "    'occurred_at', '2026-01-31T12:00:30Z', 'reason', '%s', 'client_addr', '192.0.2.1'));\n" "$reason"
}

# flood PGBENCH-ARGUMENT...: runs the script on stdin in all sessions, :n counting from 1 in each.
flood() {
    { printf '\\set n :n + 1\n' && cat; } >"$work/script"
    value 'DELETE FROM pgsasl.auth_failures'
    pgbench -n -c "$sessions" -j 2 -D n=0 -f "$work/script" "$@" >"$work/log" 2>&1 || fail "pgbench: $(<"$work/log")"
    rate=$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$work/log")
}

# judge WHAT ATTEMPTS ROWS: so many attempts, and no more rows than that.
judge() {
    local attempts rows
    IFS='|' read -r attempts rows < <(value 'SELECT sum(attempts), count(*) FROM pgsasl.auth_failures')
    ((attempts == $2)) || fail "$1: $2 attempts count as $attempts"
    ((rows <= $3)) || fail "$1: $2 attempts are $rows rows"
    echo "ok: $1: $2 attempts at $rate transactions/s, in $rows rows"
}

own="md5(:client_id || ' ' || :n)::uuid"
flood -t 300 < <(attempt "$own" "'app'")
judge "$sessions sessions, one name" $((sessions * 300)) $((2 * sessions))

flood -t 100 < <(attempt "$own" "'app'" && attempt "$own" "'app'")
judge 'each sent again at once' $((sessions * 100)) $((2 * sessions))

flood -t 200 < <(attempt "$own" "'name ' || :n")
judge 'many names' $((sessions * 200)) $((20 + 2 * sessions))

# All sessions send the same attempt, a new one every 100 ms.
flood -T 2 < <(attempt "md5(floor(10 * extract(epoch FROM clock_timestamp()))::text)::uuid" "'app'")
sent=$(value 'SELECT count(DISTINCT id) FROM pgsasl.auth_failures f, unnest(f.attempt_id || f.merged_ids) AS id')
((sent >= 10 && sent <= 30)) || fail "the same attempt in all sessions: $sent in 2 s"
judge 'the same attempt in all sessions' "$sent" "$sent"

# What is no guess is never throttled, and shares rows past the limit of 500 for a client network.
for reason in malformed_response authzid_mismatch; do
    flood -t 200 < <(attempt "$own" "'name ' || :n || ' ' || :client_id" "$reason")
    judge "many of $reason" $((sessions * 200)) $((520 + 2 * sessions))
done
