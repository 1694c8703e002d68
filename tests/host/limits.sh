#!/bin/sh
# A host under limits, without a database: its standard streams are closed, or its files may not grow. Run by `make check` in
# the build directory.
set -eu

work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-limits.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/plugins"
ln -s "$PWD/.libs/libpgsasl.so" "$work/plugins/libpgsasl.so"
SASL_PATH=$work/plugins
export SASL_PATH
failed=0

# configure OPTION...: the SASL configuration of the host, whose database does not exist.
configure() {
    printf '%s\n' 'mech_list: PLAIN LOGIN' 'auxprop_plugin: pgsasl' 'pgsasl_timeout_ms: 300' \
        'pgsasl_conninfo: host=localhost port=1' "$@" >"$work/host.conf"
}

# expect WHAT WANTED: compares WANTED with standard input.
expect() {
    got=$(cat)
    [ "$got" = "$2" ] || {
        echo "$1: $got" >&2
        failed=1
    }
}

configure "pgsasl_spool_file: $work/spool" "pgsasl_verified_cache: $work/cache"
tests/host/guest streams "$work" host user password 5 2>/dev/null |
    expect 'descriptors 0 to 2 closed' '0 wrong codes, 20 for now, 0 streams open, 0 intruders'

# A SIGXFSZ would end the host. The limit is one block of 512 bytes.
rm -f "$work/spool" "$work/cache"
(ulimit -f 1 && tests/host/saslhost "$work" host 3 user password 2>/dev/null) |
    expect 'RLIMIT_FSIZE' 'code -24, other 0'
[ "$(ls "$work")" = "$(printf 'host.conf\nplugins\nspool')" ] || {
    echo "RLIMIT_FSIZE: left behind: $(ls "$work")" >&2
    failed=1
}

exit "$failed"
