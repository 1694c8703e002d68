#!/usr/bin/env bash
# Loads the schema twice, as the owner of an empty database who is no superuser, and runs the pgTAP tests of this folder.
# Starts a PostgreSQL cluster of its own in a temporary directory and stops it again. Needs root, for runuser.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
schema=$here/../../contrib/sql/pgsasl.sql
bin=$(pg_config --bindir)
work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-sql.XXXXXX")

as_postgres() {
    (cd "$work" && runuser -u postgres -- "$@")
}

clean_up() {
    as_postgres "$bin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$work"
}

# query USER ARGUMENT...: psql that stops at the first error.
query() {
    local user=$1
    shift
    as_postgres psql -X -q -v ON_ERROR_STOP=1 -h "$work" -U "$user" -d mail "$@"
}

chown postgres "$work"
trap clean_up EXIT
as_postgres "$bin/initdb" -D "$work/data" -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$work/initdb.log"
as_postgres "$bin/pg_ctl" -D "$work/data" -w -l "$work/server.log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off" start >/dev/null
as_postgres psql -X -q -h "$work" -U postgres -d postgres -v ON_ERROR_STOP=1 \
    -c 'CREATE ROLE owner LOGIN CREATEROLE' -c 'CREATE DATABASE mail OWNER owner'
query owner -f - <"$schema" >/dev/null
query owner -c "SELECT pgsasl.add_user('kept', 'a long password', pgsasl.add_account('kept'))" >/dev/null
query owner -f - <"$schema" >/dev/null # a second time: nothing is lost
[[ $(query owner -At -c 'SELECT username FROM pgsasl.smtp_users') == kept ]]
query postgres -c 'CREATE EXTENSION pgtap'
install -m 644 "$here"/*.sql "$work"
as_postgres pg_prove -h "$work" -U owner -d mail "$work"/*.sql
