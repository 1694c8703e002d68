#!/usr/bin/env bash
# Tests contrib/sql on a PostgreSQL cluster of its own, in a temporary directory on a private socket: loads the schema as
# a database owner who is no superuser, runs the pgTAP files of this folder, each in a fresh copy of that database, then
# the examples of docs/sql.md. The cluster is stopped whatever happens.
#
#   tests/sql/run.sh [FILE.sql...]
#
# Needs PostgreSQL's server programs, pgTAP and pg_prove; as root it runs the server as the user postgres.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
schema=$top/contrib/sql/pgsasl.sql
work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-sql.XXXXXX")
shopt -s nullglob
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
[[ -x $bin/initdb ]] || bin=$(pg_config --bindir)

as_server() {
    if ((EUID == 0)); then
        (cd "$work" && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

clean_up() {
    as_server "$bin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$work"
}

# sql USER DATABASE ARGUMENT...: psql that stops at the first error.
sql() {
    local user=$1 database=$2
    shift 2
    psql -X -q -v ON_ERROR_STOP=1 -U "$user" -d "$database" "$@"
}

fail() {
    printf 'not ok: %s\n' "$*" >&2
    exit 1
}

start_cluster() {
    ((EUID != 0)) || chown postgres "$work"
    as_server "$bin/initdb" -D "$work/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync >"$work/initdb.log"
    as_server "$bin/pg_ctl" -D "$work/data" -w -l "$work/server.log" \
        -o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off" start >/dev/null
    export PGHOST=$work
    unset PGPORT PGUSER PGDATABASE PGSERVICE PGOPTIONS
}

# An owner who may not make roles: the schema loads, and says what an administrator must run. Run that, and load again.
test_owner_without_createrole() {
    sql postgres postgres -c 'CREATE ROLE plain_owner LOGIN' -c 'CREATE DATABASE plain OWNER plain_owner'
    sql plain_owner plain -f "$schema" >"$work/notice" 2>&1 || fail "an owner without CREATEROLE: $(<"$work/notice")"
    sed -n '/^ *CREATE ROLE pgsasl_.*;$/p' "$work/notice" >"$work/roles.sql"
    [[ $(wc -l <"$work/roles.sql") == 3 ]] || fail "no notice of three roles to make: $(<"$work/notice")"
    sql postgres postgres -f "$work/roles.sql"
    sql plain_owner plain -f "$schema" >"$work/notice" 2>&1 || fail "with the roles made: $(<"$work/notice")"
    grep -q '^ *ALTER ROLE pgsasl_plugin SET statement_timeout' "$work/notice" || fail 'no notice of the role settings'
    [[ $(sql pgsasl_plugin plain -Atc "SELECT count(*) FROM pgsasl.find_user('nobody', NULL)") == 1 ]] ||
        fail 'the grants of the second load'
    sql postgres postgres -c 'DROP DATABASE plain' -c 'DROP ROLE pgsasl_plugin, pgsasl_operator, pgsasl_auditor'
    echo 'ok: an owner without CREATEROLE is told what to have run'
}

load_schema() {
    sql postgres postgres -c 'CREATE ROLE mail_owner LOGIN CREATEROLE' -c 'CREATE DATABASE pgsasl OWNER mail_owner'
    sql mail_owner pgsasl -f "$schema" >"$work/notice" 2>&1 || fail "loading the schema: $(<"$work/notice")"
    [[ ! -s $work/notice ]] || fail "the schema does not load quietly: $(<"$work/notice")"
    echo 'ok: the schema loads as an owner who is no superuser'
}

test_other_version() {
    sql postgres postgres -c 'CREATE DATABASE newer TEMPLATE pgsasl OWNER mail_owner'
    sql mail_owner newer -c "CREATE OR REPLACE FUNCTION pgsasl.schema_version() RETURNS integer LANGUAGE sql AS 'SELECT 99'"
    ! sql mail_owner newer -f "$schema" >"$work/notice" 2>&1 || fail 'the file loads over a newer schema'
    grep -q 'holds version 99 of the schema' "$work/notice" || fail "over a newer schema: $(<"$work/notice")"
    echo 'ok: a schema of another version is left alone'
}

test_dump_and_restore() {
    sql postgres postgres -c 'CREATE DATABASE dumped TEMPLATE pgsasl' -c 'CREATE DATABASE restored OWNER mail_owner'
    sql mail_owner dumped -o /dev/null -c "SELECT pgsasl.add_user('kept', 'a long password', pgsasl.add_account('shop'))" \
        -c "SELECT pgsasl.record_failure(gen_random_uuid(), now(), 'kept', '1', 'wrong_password', NULL, 'PLAIN',
                                         '192.0.2.1', 1, '192.0.2.2', 'smtp', 'mx', NULL)"
    "$bin/pg_dump" -U postgres dumped | sql postgres restored -o /dev/null
    [[ $(sql pgsasl_plugin restored -Atc "SELECT user_id FROM pgsasl.find_user('kept', NULL)") == 1 ]] ||
        fail 'the user is not in the restored database'
    [[ $(sql mail_owner restored -Atc 'SELECT username FROM pgsasl.auth_failures') == kept ]] ||
        fail 'the failure is not in the restored database'
    echo 'ok: a dump restores'
}

# Every SQL block of the guides runs: those of sql.md by the schema's owner, those of rotation.md by an operator.
test_documents() {
    sql postgres postgres -c 'CREATE DATABASE examples TEMPLATE pgsasl OWNER mail_owner' \
        -c 'CREATE DATABASE rotation TEMPLATE pgsasl OWNER mail_owner' \
        -c 'CREATE ROLE an_operator LOGIN IN ROLE pgsasl_operator'
    PGUSER=mail_owner PGDATABASE=examples "$here/documented.sh" "$top/docs/sql.md"
    PGUSER=mail_owner PGDATABASE=examples "$here/run_examples.sh" "$top/docs/sql.md" "$top/docs/troubleshooting.md"
    sql mail_owner rotation -o /dev/null -c "SELECT pgsasl.add_account('shop')" \
        -c "SELECT pgsasl.add_user(name, 'a long password', 1, note => 'rotate 2026-02')
            FROM unnest(ARRAY['shop', 'printer', 'leaked']) AS name"
    PGUSER=an_operator PGDATABASE=rotation "$here/run_examples.sh" "$top/docs/rotation.md"
    test_panel
}

# panel ACCOUNT QUERY: its answer to the panel of sql.md in a request for that account.
panel() {
    PGOPTIONS="-c panel.account_id=$1" sql panel examples -Atc "$2"
}

# The panel of sql.md, which has just been set up: it sees and touches one account.
test_panel() {
    sql mail_owner examples -o /dev/null -c "SELECT pgsasl.add_user('theirs', 'a long password', 2)" \
        -c "SELECT pgsasl.set_password('theirs', 'another password', '1 day')" \
        -c "SELECT pgsasl.record_failure(gen_random_uuid(), now(), name, NULL, 'wrong_password', NULL, 'PLAIN', NULL, NULL,
            NULL, NULL, NULL, NULL) FROM unnest(ARRAY['theirs', 'nobody']) AS name"
    local query
    for query in 'SELECT string_agg(username, NULL) FROM pgsasl.smtp_users' \
        'SELECT string_agg(DISTINCT username, NULL) FROM pgsasl.auth_failures' \
        'SELECT string_agg(DISTINCT username, NULL) FROM pgsasl.retired_passwords JOIN pgsasl.smtp_users USING (user_id)' \
        'WITH u AS (UPDATE pgsasl.smtp_users SET enabled = true RETURNING username)
         SELECT string_agg(username, NULL) FROM u'; do
        [[ $(panel 1 "$query") == app1 ]] || fail "the panel of account 1, asked '$query': $(panel 1 "$query")"
        [[ $(panel 2 "$query") == theirs ]] || fail "the panel of account 2, asked '$query': $(panel 2 "$query")"
        [[ -z $(panel '' "$query") ]] || fail "the panel of no account, asked '$query': $(panel '' "$query")"
    done
    for query in "SELECT pgsasl.rotate_password('theirs')" "SELECT pgsasl.end_rotation('theirs')" \
        'SELECT password_hash FROM pgsasl.smtp_users' "SELECT * FROM pgsasl.user_status('theirs')" \
        'UPDATE pgsasl.smtp_users SET account_id = 2'; do
        ! panel 1 "$query" >/dev/null 2>&1 || fail "the panel of account 1 may: $query"
    done
    panel 1 "SELECT pgsasl.rotate_password('app1'), pgsasl.end_rotation('app1')" >/dev/null
    echo 'ok: the panel of sql.md keeps to one account'
}

# fresh_copy DATABASE: a copy of the loaded schema, with pgTAP in it.
fresh_copy() {
    sql postgres postgres -c "CREATE DATABASE $1 TEMPLATE pgsasl OWNER mail_owner"
    sql postgres "$1" -f "$here/helpers.psql"
}

# What other programs hash, for hashes.sql.
export HASH_VECTORS=$top/tests/unit/hash_vectors.h

run_pgtap() {
    local file database failed=0
    for file; do
        database=t_$(basename "$file" .sql)
        fresh_copy "$database"
        PG_PROVE_OPTS='' pg_prove -U postgres -d "$database" "$file" || failed=1
        sql postgres postgres -c "DROP DATABASE $database"
    done
    return "$failed"
}

trap clean_up EXIT
trap 'exit 130' INT TERM
start_cluster
test_owner_without_createrole
load_schema
if (($#)); then
    run_pgtap "$@"
    exit
fi
run_pgtap "$here"/*.sql
test_other_version
test_dump_and_restore
sql postgres postgres -c 'CREATE DATABASE flood TEMPLATE pgsasl OWNER mail_owner'
PGUSER=mail_owner PGDATABASE=flood "$here/flood.sh"
test_documents
