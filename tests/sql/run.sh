#!/usr/bin/env bash
# Tests contrib/sql on a PostgreSQL cluster of its own, in a temporary directory on a private socket: loads the schema as
# a database owner who is no superuser, runs the pgTAP files of this folder, each in a fresh copy of that database and once
# more under hostile settings, then the examples of docs/sql.md. The cluster is stopped whatever happens.
#
#   tests/sql/run.sh [FILE.sql...]
#   tests/sql/run.sh --write-inventory      after a change to a table: writes the list of contrib/sql/inventory.sql
#
# Needs PostgreSQL's server programs, pgTAP and pg_prove, and the test programs of `make check` in the build directory that
# PGSASL_BUILD names, or else in the source tree; as root it runs the server as the user postgres.
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

# inventory_of FOLDER: the list of inventory.sql, from a load of these files that is not checked.
inventory_of() {
    rm -rf "$work/unchecked"
    cp -r "$1" "$work/unchecked"
    sed -i '/check_schema(/,/^$/d' "$work/unchecked/pgsasl.sql"
    sql postgres postgres -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS unchecked' \
        -c 'CREATE DATABASE unchecked OWNER mail_owner'
    sql mail_owner unchecked -f "$work/unchecked/pgsasl.sql"
    sql mail_owner unchecked -At <<'EOF'
SELECT format('        (%L, %L, %L)', kind, object, definition)
    || CASE WHEN row_number() OVER in_order < count(*) OVER () THEN ',' ELSE '' END
FROM pgsasl.schema_objects()
WINDOW in_order AS (ORDER BY split_part(object, '.', 1) COLLATE "C", kind <> 'table', kind <> 'column', kind COLLATE "C",
    object COLLATE "C")
ORDER BY row_number() OVER in_order
EOF
}

# write_inventory FOLDER: puts it there.
write_inventory() {
    inventory_of "$1" >"$work/inventory"
    sed -i -e '/BEGIN LIST objects/,/END LIST objects/{/LIST objects/!d}' -e "/BEGIN LIST objects/r $work/inventory" \
        "$1/inventory.sql"
}

test_inventory() {
    inventory_of "$top/contrib/sql" >"$work/inventory"
    [[ $(wc -l <"$work/inventory") -ge 100 ]] || fail 'the inventory is short'
    sed '1,/BEGIN LIST objects/d; /END LIST objects/,$d' "$top/contrib/sql/inventory.sql" |
        diff - "$work/inventory" || fail 'inventory.sql is not up to date: run tests/sql/run.sh --write-inventory'
    echo 'ok: inventory.sql lists what is there'
}

# The list of migrations is that of the files, and numbers them from 1.
test_migrations() {
    local listed
    listed=$(sed -n 's/^\\set migration \([^ ]*\) \\set breaks_plugin \(yes\|no\) \\ir migrate.sql$/\1/p' \
        "$top/contrib/sql/migrations.sql")
    diff <(cut -d- -f1 <<<"$listed") <(seq -f '%04.0f' "$(wc -l <<<"$listed")") ||
        fail 'the numbers of the migrations are not 0001, 0002 and so on'
    diff <(sed '1d; s/$/.sql/' <<<"$listed") <(cd "$top/contrib/sql" && find migrations -type f -printf '%f\n' 2>&- | sort) ||
        fail 'migrations.sql does not list the files of contrib/sql/migrations'
    echo 'ok: migrations.sql lists each migration'
}

# dump_schema DATABASE: what the catalogues hold, for comparison.
dump_schema() {
    "$bin/pg_dump" -U postgres --schema-only "$1" | grep -Ev '^(--|[\\]|$)'
}

# refused DATABASE FOLDER MESSAGE: the files in FOLDER do not load into it, say that message, and change nothing.
refused() {
    dump_schema "$1" >"$work/before"
    ! sql mail_owner "$1" -f "$2/pgsasl.sql" >"$work/notice" 2>&1 || fail "these files load: $3"
    grep -qF "$3" "$work/notice" || fail "not '$3', but: $(<"$work/notice")"
    dump_schema "$1" | diff "$work/before" - || fail "a load that failed left something: $3"
}

# altered STATEMENT...: a database "altered", loaded and then changed.
altered() {
    local statement
    sql postgres postgres -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS altered' \
        -c 'CREATE DATABASE altered TEMPLATE pgsasl OWNER mail_owner'
    for statement; do
        PGOPTIONS='-c client_min_messages=warning' sql mail_owner altered -c "$statement"
    done
}

# altered_is_refused STATEMENT DIFFERENCE: changed by the statement, it does not load, and that is named.
altered_is_refused() {
    altered "$1"
    refused altered "$top/contrib/sql" "this database claims version 1 of the schema, but $2"
}

test_altered() {
    altered_is_refused 'ALTER TABLE pgsasl.smtp_users DROP COLUMN enabled CASCADE' 'column smtp_users.enabled is missing'
    altered_is_refused \
        'ALTER TABLE pgsasl.accounts DROP COLUMN name CASCADE, ADD COLUMN title varchar(20) NOT NULL' \
        'column accounts.name is missing; column accounts.title does not belong to it'
    altered_is_refused 'ALTER TABLE pgsasl.deleted_users ALTER COLUMN deleted_by DROP NOT NULL' \
        'column deleted_users.deleted_by is "text", not "text NOT NULL"'
    altered_is_refused 'ALTER TABLE pgsasl.reasons DROP CONSTRAINT reasons_pkey CASCADE' \
        'primary key reasons.reasons_pkey is missing'
    altered_is_refused 'ALTER TABLE pgsasl.smtp_users DROP CONSTRAINT smtp_users_username_no_at' \
        'check smtp_users.smtp_users_username_no_at is missing'
    altered_is_refused \
        'CREATE TRIGGER left_over BEFORE TRUNCATE ON pgsasl.accounts EXECUTE FUNCTION pgsasl.refuse_truncate()' \
        'trigger accounts.left_over does not belong to it'
    altered_is_refused 'DROP TABLE pgsasl.recent_guesses; CREATE TABLE pgsasl.recent_guesses (id integer)' \
        'column recent_guesses.attempt_id is missing; column recent_guesses.id does not belong to it; column'
    altered 'DELETE FROM pgsasl.migrations'
    refused altered "$top/contrib/sql" 'this database has tables of pgsasl but no rows in pgsasl.migrations'
    echo 'ok: where the objects of a database are not those of its version, the error names them'
}

# What a load restores, and what a site may have of its own.
test_restored() {
    altered 'DROP TABLE pgsasl.recent_guesses' 'DROP INDEX pgsasl.deleted_users_username_idx' \
        'DROP TRIGGER user_deleted ON pgsasl.smtp_users' 'DROP VIEW pgsasl.failures_in_words' \
        'ALTER TABLE pgsasl.auth_failures DROP CONSTRAINT auth_failures_reason_word'
    sql mail_owner altered -f "$schema" || fail 'what is missing is not restored'
    dump_schema pgsasl >"$work/fresh"
    dump_schema altered | diff "$work/fresh" - || fail 'what is missing is not restored'
    altered 'CREATE TABLE pgsasl.our_notes (note text)' 'CREATE INDEX ON pgsasl.smtp_users (app)' \
        'CREATE SCHEMA ours' \
        "CREATE FUNCTION ours.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'" \
        'CREATE TRIGGER ours AFTER UPDATE ON pgsasl.smtp_users EXECUTE FUNCTION ours.t()' \
        "ALTER TABLE pgsasl.smtp_users ADD CHECK (username <> 'root')"
    sql mail_owner altered -f "$schema" || fail 'a site may have a table, an index, a trigger and a constraint of its own'
    echo 'ok: a load restores what was dropped, and tolerates what a site has added'
}

# make_version_2 FOLDER: contrib/sql with a made-up version 2: a new column, a changed one, and a function with another
# signature.
make_version_2() {
    cp -r "$top/contrib/sql" "$1"
    mkdir -p "$1/migrations"
    cat >"$1/migrations/0002-floors.sql" <<'EOF'
ALTER TABLE pgsasl.accounts ADD COLUMN floor integer NOT NULL DEFAULT 0;
UPDATE pgsasl.accounts SET floor = 2 WHERE name = 'shop';
UPDATE pgsasl.smtp_users SET note = '' WHERE note IS NULL;
ALTER TABLE pgsasl.smtp_users ALTER COLUMN note SET DEFAULT '', ALTER COLUMN note SET NOT NULL;
DROP FUNCTION pgsasl.add_account(text, text);
EOF
    sed -i '/^\\set migration 0001/a \\\\set migration 0002-floors \\set breaks_plugin yes \\ir migrate.sql' \
        "$1/migrations.sql"
    sed -i -e '/^CREATE TABLE IF NOT EXISTS pgsasl.accounts/,/^)/s/^)/    , floor integer NOT NULL DEFAULT 0)/' \
        -e "s/^    note  *text,/    note text NOT NULL DEFAULT '',/" "$1/tables.sql"
    sed -i "s/add_account(name text, standing/add_account(name text, floor integer DEFAULT 0, standing/" "$1/people.sql"
    sed -i 's/add_account(text, text)/add_account(text, integer, text)/' "$1/roles.sql"
    write_inventory "$1"
}

# fill_database DATABASE: an account, users, a retired password, a tombstone and failures.
fill_database() {
    sql mail_owner "$1" -o /dev/null -c "SELECT pgsasl.add_user(name, 'a long password', account_id)
            FROM pgsasl.add_account('shop') AS account_id, unnest(ARRAY['kept', 'gone']) AS name" \
        -c "SELECT pgsasl.set_password('kept', 'another password', '1 day')" \
        -c "DELETE FROM pgsasl.smtp_users WHERE username = 'gone'" \
        -c "SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', gen_random_uuid(), 'occurred_at', moment,
                'username', 'kept', 'user_id', '1', 'reason', 'wrong_password', 'client_addr', '192.0.2.1'))
            FROM unnest(ARRAY[now(), '2001-01-01', now() + interval '7 days']) AS moment"
}

# version_2_loads DATABASE OUTPUT: it does, and says that.
version_2_loads() {
    sql mail_owner "$1" -f "$work/version2/pgsasl.sql" >"$work/notice" 2>&1 || fail "version 2: $(<"$work/notice")"
    [[ $(<"$work/notice") == "$2" ]] || fail "version 2 over $1 says: $(<"$work/notice")"
}

# Version 1 with data in it, upgraded, is version 2 as it is loaded, with the same data in it.
test_upgrade() {
    local data="SELECT to_jsonb(u) - 'note' FROM pgsasl.smtp_users u
        UNION ALL SELECT to_jsonb(a) - 'floor' FROM pgsasl.accounts a UNION ALL SELECT to_jsonb(s) FROM pgsasl.settings s
        UNION ALL SELECT to_jsonb(d) FROM pgsasl.deleted_users d UNION ALL SELECT to_jsonb(f) FROM pgsasl.auth_failures f
        UNION ALL SELECT to_jsonb(r) FROM pgsasl.retired_passwords r
        UNION ALL SELECT to_jsonb(g) FROM pgsasl.recent_guesses g ORDER BY 1"
    local ledger='SELECT number, name, applied_by, breaks_plugin FROM pgsasl.migrations ORDER BY 1'
    make_version_2 "$work/version2"
    sql postgres postgres -c 'CREATE DATABASE upgraded TEMPLATE pgsasl OWNER mail_owner' \
        -c 'CREATE DATABASE fresh OWNER mail_owner'
    fill_database upgraded
    sql mail_owner upgraded -Atc "$data" >"$work/rows"
    [[ $(wc -l <"$work/rows") -ge 9 ]] || fail 'the database of version 1 is not filled'

    version_2_loads upgraded 'pgsasl: migration 0002-floors'
    sql mail_owner upgraded -Atc "$data" | diff "$work/rows" - || fail 'the upgrade changed data'
    [[ $(sql mail_owner upgraded -Atc 'SELECT name, floor FROM pgsasl.accounts') == 'shop|2' ]] || fail 'the new column'
    [[ $(sql mail_owner upgraded -Atc "$ledger") == $'1|new database|mail_owner|f\n2|floors|mail_owner|t' ]] ||
        fail "the ledger of the upgraded database: $(sql mail_owner upgraded -Atc "$ledger")"

    version_2_loads fresh ''
    [[ $(sql mail_owner fresh -Atc "$ledger") == '2|new database|mail_owner|f' ]] ||
        fail "the ledger of a new database: $(sql mail_owner fresh -Atc "$ledger")"
    dump_schema fresh >"$work/fresh"
    dump_schema upgraded | diff "$work/fresh" - || fail 'the upgraded schema is not that of a new one'

    dump_schema upgraded >"$work/once"
    sql mail_owner upgraded -Atc "$data" -c 'TABLE pgsasl.migrations' -c 'TABLE pgsasl.accounts' >"$work/rows"
    version_2_loads upgraded ''
    dump_schema upgraded | diff "$work/once" - || fail 'a second load changes the schema'
    sql mail_owner upgraded -Atc "$data" -c 'TABLE pgsasl.migrations' -c 'TABLE pgsasl.accounts' | diff "$work/rows" - || fail 'a second load changes data'

    refused upgraded "$top/contrib/sql" 'this database has version 2 of the schema, and these files are version 1'
    echo 'ok: version 1 with data in it is brought to a next version, once'
}

test_dump_and_restore() {
    sql postgres postgres -c 'CREATE DATABASE dumped TEMPLATE pgsasl' -c 'CREATE DATABASE restored OWNER mail_owner'
    fill_database dumped
    "$bin/pg_dump" -U postgres dumped | sql postgres restored -o /dev/null
    [[ $(sql pgsasl_plugin restored -Atc "SELECT user_id FROM pgsasl.find_user('kept', NULL)") == 1 ]] ||
        fail 'the user is not in the restored database'
    [[ $(sql mail_owner restored -Atc 'SELECT count(*) FROM pgsasl.auth_failures') == 3 ]] ||
        fail 'the failures are not in the restored database'
    sql mail_owner restored -f "$schema" || fail 'the schema does not load over a restored one'
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
        -c "SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', gen_random_uuid(), 'occurred_at', now(),
            'username', name, 'reason', 'wrong_password')) FROM unnest(ARRAY['theirs', 'nobody']) AS name"
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

# A schema loaded into a database with hostile settings is the same, and so it is when it is loaded again.
test_hostile_load() {
    sql postgres postgres -c 'CREATE DATABASE hostile OWNER mail_owner'
    set_for hostile "${more_hostile[@]}"
    sql mail_owner hostile -f "$schema" || fail 'the schema does not load under hostile settings'
    sql mail_owner hostile -f "$schema" || fail 'the schema does not load twice under hostile settings'
    sql postgres postgres -c 'ALTER DATABASE hostile RESET ALL'
    dump_schema pgsasl >"$work/fresh"
    dump_schema hostile | diff "$work/fresh" - || fail 'under hostile settings the schema is another'
    echo 'ok: the schema loads under hostile settings'
}

# fresh_copy DATABASE: a copy of the loaded schema, with pgTAP in it.
fresh_copy() {
    sql postgres postgres -c "CREATE DATABASE $1 TEMPLATE pgsasl OWNER mail_owner"
    sql postgres "$1" -f "$here/helpers.psql"
}

# For hashes.sql: what other programs hash, and what the plugin thinks of many more.
export HASH_VECTORS=$top/tests/unit/hash_vectors.h HASH_CORPUS=$work/corpus

make_corpus() {
    local program=${PGSASL_BUILD:-$top}/tests/unit/list_schemes
    [[ -x $program ]] || fail "there is no $program: run 'make check' first, and name the build directory in PGSASL_BUILD"
    "$program" >"$HASH_CORPUS"
}

# Settings that somebody may have made for a database. The files of this folder themselves rely on none of the first list.
hostile=("DateStyle = 'SQL, DMY'" "TimeZone = 'Asia/Kolkata'" 'bytea_output = escape' 'extra_float_digits = -15'
    'search_path = hostile, public' 'transform_null_equals = on' 'plan_cache_mode = force_custom_plan'
    'escape_string_warning = off')
more_hostile=("${hostile[@]}" 'standard_conforming_strings = off' 'quote_all_identifiers = on' 'array_nulls = off'
    'IntervalStyle = iso_8601' 'check_function_bodies = off' 'row_security = off')

# set_for DATABASE SETTING...: for each session to come.
set_for() {
    local database=$1 setting
    shift
    for setting; do
        sql postgres postgres -c "ALTER DATABASE $database SET $setting"
    done
}

# run_pgtap FILE...: each in a database with the settings in the array "settings".
settings=()
run_pgtap() {
    local file database failed=0
    for file; do
        database=t_$(basename "$file" .sql)
        fresh_copy "$database"
        set_for "$database" "${settings[@]}"
        PG_PROVE_OPTS='' pg_prove -U postgres -d "$database" "$file" || failed=1
        sql postgres postgres -c "DROP DATABASE $database"
    done
    return "$failed"
}

trap clean_up EXIT
trap 'exit 130' INT TERM
start_cluster
if [[ ${1-} == --write-inventory ]]; then
    sql postgres postgres -c 'CREATE ROLE mail_owner LOGIN CREATEROLE'
    write_inventory "$top/contrib/sql"
    exit
fi
test_owner_without_createrole
load_schema
make_corpus
if (($#)); then
    run_pgtap "$@"
    exit
fi
run_pgtap "$here"/*.sql
test_hostile_load
settings=("${hostile[@]}")
echo "again, with hostile settings"
run_pgtap "$here"/*.sql
test_inventory
test_migrations
test_altered
test_restored
test_upgrade
test_dump_and_restore
sql postgres postgres -c 'CREATE DATABASE flood TEMPLATE pgsasl OWNER mail_owner'
PGUSER=mail_owner PGDATABASE=flood "$here/flood.sh"
sql postgres postgres -c 'CREATE DATABASE secrets TEMPLATE pgsasl OWNER mail_owner'
PGDATABASE=secrets "$here/secrets.py" "$work/server.log"
test_documents
