#!/bin/bash
# Shows pgsasl at work on real servers: builds it, starts a private PostgreSQL and a private Postfix with it, logs in
# with swaks and curl, provokes each failure, and prints what the client saw beside the row of the audit table.
# Everything is in one temporary directory and on ports of 127.0.0.1; no server is left running.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=contrib/packages.sh
source "$top/contrib/packages.sh"

usage() {
    cat <<EOF
usage: contrib/demo.sh [-v] [--keep]
       contrib/demo.sh --stop DIRECTORY
  -v      show every command
  --keep  leave the servers up, and say how to log in, query and stop them
  --stop  stop and remove what --keep left in DIRECTORY
  PGSASL_BUILD=DIRECTORY in the environment: use the module built there and build nothing.
EOF
}

# show COMMAND...: runs it. With -v it is first printed, quoted so that it can be pasted.
show() {
    local word
    if [[ $verbose == yes ]]; then
        printf '+'
        for word; do
            [[ $word =~ ^[[:alnum:]_./:=@%+,-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
            printf ' %s' "$word"
        done
        printf '\n'
    fi >&3
    "$@"
}

# The servers, the clients and the cases are those of the tests.
harness() {
    PYTHONPATH=$top/tests/server PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m harness "$@"
}

# Builds in a copy, so that the checkout stays as it is.
build() {
    echo "building in $work/build: autoreconf ..."
    mkdir "$work/build"
    tar -C "$top" --exclude=./.git -cf - . | tar -C "$work/build" --no-same-owner -xf -
    (
        cd "$work/build"
        show autoreconf -fi
        echo '    configure ...' >&3
        show ./configure --quiet
        echo '    make ...' >&3
        show make -s -j"$(nproc)"
    ) >"$work/build.log" 2>&1 || {
        cat "$work/build.log"
        return 1
    }
    export PGSASL_BUILD=$work/build
}

# stop DIRECTORY: stops the servers and removes the directory.
stop() {
    if [[ ! -d $1/postgresql && ! -d $1/postfix ]]; then
        echo "demo.sh: $1 is not what --keep left" >&2
        return 2
    fi
    harness stop "$1"
    rm -rf "$1"
}

clean_up() {
    harness stop "$work" && rm -rf "$work"
}

main() {
    local status=0
    while (($#)); do
        case $1 in
        -v) verbose=yes ;;
        --keep) keep=(--keep) ;;
        --stop)
            stop "$(realpath "${2:?--stop wants a directory}")"
            return
            ;;
        -h | --help)
            usage
            return
            ;;
        *)
            usage >&2
            return 2
            ;;
        esac
        shift
    done
    if ((EUID != 0)); then
        echo 'demo.sh: run it as root; PostgreSQL and Postfix change to users of their own' >&2
        return 1
    fi
    [[ $verbose == no ]] || export PGSASL_SHOW_COMMANDS=yes

    packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_DEMO[@]}"
    work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-demo.XXXXXX")
    trap clean_up EXIT
    [[ -n ${PGSASL_BUILD-} ]] || build
    harness demo "${keep[@]}" "$work" || status=$?
    # Servers that did not start are removed even with --keep.
    ((${#keep[@]} == 0 || status > 1)) || trap - EXIT
    return $((status > 0))
}

export LC_ALL=C.UTF-8
verbose=no
keep=()
work=
exec 3>&1 # the terminal, while the build's output goes to a file
main "$@"
