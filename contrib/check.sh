#!/bin/bash
# Installs what is missing on a machine with Debian 12 or 13, then builds pgsasl and runs every check it has.
# The checkout stays as it is: all work is done on a copy in a directory of its own, removed unless something failed.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=contrib/packages.sh
source "$top/contrib/packages.sh"
# shellcheck source=contrib/packages-exim.sh
source "$top/contrib/packages-exim.sh"
# shellcheck source=contrib/release.sh
source "$top/contrib/release.sh"

# name: what it does
steps=(
    'lint: scripts, manual page, format of C and Python, headers, layering'
    'gcc: build with gcc, unit tests; what configure says of missing libraries'
    'clang: build with clang, unit tests'
    'sanitizers: build with ASan and UBSan, unit tests'
    'fuzz: a million inputs to what reads messages, hashes, options and files'
    'sql: the schema, by pgTAP'
    'server: real PostgreSQL, Postfix and Exim; a small SASL host under valgrind'
    'server-sanitizers: the same, the module under ASan and UBSan'
    'threads: the small SASL hosts under TSan'
    'chaos: two minutes of logins while PostgreSQL is killed, frozen and restarted; no row missing or double'
    'distcheck: the tarball builds, tests, installs and uninstalls'
    'trixie: gcc, sql and server once more, on Debian 13'
)

usage() {
    cat <<EOF
usage: contrib/check.sh [--list] [--keep] [--on RELEASE] [STEP...]
  Runs the steps named, or all. --list names them. --keep leaves the working directory.
  --on RELEASE runs them (gcc, sql and server if none is named) on that release of Debian, such as trixie: in a directory
  that debootstrap makes below $RELEASE_DIRECTORY, with mounts and processes of its own. It needs root.
  With CI=true in the environment a test that is skipped for want of a server is a failure.
EOF
}

in_git() {
    git -c safe.directory='*' -C "$top" "$@"
}

# copy_sources DIRECTORY: the files of the checkout, or of the tarball.
copy_sources() {
    local file
    mkdir -p "$1"
    if in_git rev-parse --git-dir >/dev/null 2>&1; then
        in_git ls-files -co --exclude-standard -z |
            while IFS= read -r -d '' file; do
                [[ ! -e $top/$file ]] || printf '%s\0' "$file"
            done |
            tar -C "$top" --null -T - -cf - | tar -C "$1" --no-same-owner -xf -
    else
        tar -C "$top" -cf - . | tar -C "$1" --no-same-owner -xf -
    fi
}

# The copy of the sources, with configure in it.
prepare_sources() {
    [[ ! -e $work/src/configure ]] || return 0
    copy_sources "$work/src"
    (cd "$work/src" && autoreconf -fi >"$work/autoreconf.log" 2>&1) || {
        cat "$work/autoreconf.log"
        return 1
    }
}

# build NAME CONFIGURE-ARGUMENT...: builds the module and the test programs in $work/NAME, once.
build() {
    local name=$1
    shift
    [[ ! -e $work/$name/.built ]] || return 0
    prepare_sources
    mkdir -p "$work/$name"
    (
        cd "$work/$name"
        "$work/src/configure" --quiet --enable-tests --enable-werror "$@"
        make -j"$jobs" --no-print-directory all check TESTS=
    )
    touch "$work/$name/.built"
}

build_gcc() {
    build gcc CC=gcc
}

build_sanitizers() {
    build sanitizers CC=gcc CFLAGS='-O1 -g' --enable-sanitizers
}

unit_tests() {
    make -C "$work/$1" -j"$jobs" --no-print-directory VERBOSE=1 check
}

# lint WHAT COMMAND...: runs a lint; what it prints and its status are the finding.
lint_failed=0
lint() {
    local what=$1
    shift
    "$@" || {
        echo "lint: $what" >&2
        lint_failed=1
    }
}

# The layers of plugin/: a folder, the folders that its files may include, and the libraries (FILE<LIBRARY: for that file
# alone). The C library is for all.
layers=(
    'sasl: sasl auth base <sasl/'
    'auth: auth hash pg file base'
    'hash: hash base <openssl/ <crypt.h <argon2.h'
    'pg: pg base <libpq-fe.h tls.c<openssl/'
    'file: file base'
    'base: base secret.c<openssl/ mac.c<openssl/'
)

# includes_point_down: prints each #include of plugin/ that its folder's layer does not allow.
includes_point_down() {
    local layer folder rule allowed status=0
    local foreign='<\(sasl/\|openssl/\|libpq-fe\.h\|crypt\.h\|argon2\.h\)'
    for layer in "${layers[@]}"; do
        folder=${layer%%:*} allowed=(-e 'include <')
        for rule in ${layer#*:}; do
            case $rule in
            *'<'*) allowed+=(-e "/${rule%%<*}.* LIBRARY <${rule#*<}") ;;
            *) allowed+=(-e " \"$rule/") ;;
            esac
        done
        grep '^#include' plugin/"$folder"/*.[ch] | sed "s,include $foreign,include LIBRARY <\\1," |
            grep -v "${allowed[@]}" && status=1
    done
    [[ $(find plugin -mindepth 1 -maxdepth 1 -type d | wc -l) == "${#layers[@]}" ]] || {
        echo 'plugin/ has a folder without a layer'
        status=1
    }
    return "$status"
}

headers_stand_alone() {
    local header
    for header in plugin/*/*.h; do
        gcc -std=gnu11 -Wall -Wextra -Werror -Iplugin -I"$(pg_config --includedir)" -fsyntax-only -x c "$header" || return
    done
}

functions_are_short() {
    awk 'FNR == 1 { start = 0 }
        /^\{/ { start = FNR }
        /^\}/ && start { if (FNR - start > 61) { print FILENAME ":" start ": a function of " FNR - start - 1 " lines"; bad = 1 }; start = 0 }
        END { exit bad }' plugin/*/*.c
}

# comments_fit FILE...: a comment behind code ends on that line, and no declaration is broken to make room for one: a
# comment that does not fit goes above its line. clang-format knows neither rule.
comments_fit() {
    awk 'function finding(what) { print FILENAME ":" FNR ": " what; bad = 1 }
        FNR == 1 { previous = "" }
        { gsub(/"([^"\\]|\\.)*"/, "\"\""); code = $0; sub(/\/\*.*/, "", code) }
        /\/\*/ && !/\*\// && code ~ /[^[:space:]]/ { finding("a comment behind code that goes on in the next line") }
        /;[[:space:]]*\/\*/ && previous ~ /^[[:space:]]+([[:alpha:]_][[:alnum:]_]*[[:space:]]?)+$/ {
            finding("a declaration that is broken for its comment")
        }
        { previous = $0 }
        END { exit bad }' "$@"
}

# The Python files of the tests, with those that have no suffix.
python_is_formatted() {
    local files found
    mapfile -t files < <({ find tests -name '*.py' && grep -lrE '^#!.*python3' tests; } | sort -u)
    found=$(black --check "${files[@]}" 2>&1) || {
        grep -E '^(would reformat|error)' <<<"$found"
        echo 'to format them: black FILE...'
        return 1
    }
}

step_lint() {
    local scripts sources
    cd "$top"
    mapfile -t scripts < <(grep -lrE '^#!.*\b(ba)?sh\b|^# shellcheck shell=' .ci contrib tests)
    lint 'shellcheck' shellcheck -x "${scripts[@]}"
    if compgen -G 'docs/*.5' >/dev/null; then
        lint 'manual pages' mandoc -Tlint -Wwarning docs/*.5
    fi
    mapfile -t sources < <(find plugin tests -name '*.[ch]')
    lint 'clang-format' clang-format-19 --dry-run -Werror "${sources[@]}"
    lint 'comments behind code' comments_fit "${sources[@]}"
    lint 'each header compiles alone' headers_stand_alone
    lint 'functions of 60 lines at most' functions_are_short
    lint 'includes point downwards' includes_point_down
    lint 'black' python_is_formatted
    return "$lint_failed"
}

step_gcc() {
    build_gcc
    "$top/tests/configure.sh" "$work/src"
    unit_tests gcc
}

step_clang() {
    build clang CC=clang
    unit_tests clang
}

step_sanitizers() {
    build_sanitizers
    unit_tests sanitizers
}

step_fuzz() {
    bash "$top/tests/fuzz/run.sh"
}

# Whoever has the tarball can run what is in the clone.
tarball_is_complete() {
    local absent
    in_git rev-parse --git-dir >/dev/null 2>&1 || return 0
    absent=$(in_git ls-files -- ':!.ci' ':!.gitignore' | sort |
        comm -23 - <(tar -tzf "$work"/gcc/pgsasl-*.tar.gz | sed 's,^[^/]*/,,' | sort)) || return
    [[ -z $absent ]] || {
        printf 'not in the tarball, see EXTRA_DIST:\n%s\n' "$absent"
        return 1
    }
}

step_distcheck() {
    build_gcc
    make -C "$work/gcc" -j"$jobs" --no-print-directory distcheck >"$work/distcheck.log" 2>&1 || {
        tail -n 60 "$work/distcheck.log"
        return 1
    }
    grep 'ready for distribution' "$work/distcheck.log"
    tarball_is_complete
}

step_sql() {
    if [[ ! -e $top/tests/sql/run.sh ]]; then
        skip 'tests/sql/run.sh is not there'
        return
    fi
    build_gcc
    PGSASL_BUILD=$work/gcc bash "$top/tests/sql/run.sh"
}

# server_tests BUILD [PYTEST-ARGUMENT...]: the tests find the module by PGSASL_BUILD.
server_tests() {
    local build=$1 tests=("${@:2}")
    if ! compgen -G "$top/tests/server/test_*.py" >/dev/null; then
        skip 'there are no tests in tests/server'
        return
    fi
    (
        cd "$top"
        packages_exim || PGSASL_EXIM= # the tests say so
        export PGSASL_EXIM PGSASL_BUILD=$work/$build PYTHONDONTWRITEBYTECODE=1
        /usr/bin/python3 -m pytest -p no:cacheprovider --basetemp "$work/pytest-$build" -v -rs \
            "${tests[@]-tests/server}" | tee "$work/server-$build.log"
    )
    if [[ ${CI-} == true ]] && grep -q '^SKIPPED' "$work/server-$build.log"; then
        echo 'in CI a skipped test is a failed one' >&2
        return 1
    fi
}

step_server() {
    build_gcc
    server_tests gcc
}

step_server-sanitizers() {
    build_sanitizers
    server_tests sanitizers
}

step_threads() {
    build threads CC=gcc CFLAGS='-O1 -g' --enable-sanitizers=thread
    server_tests threads tests/server/test_host.py -k '(test_guest and not lives) or test_fork'
}

step_chaos() {
    build_gcc
    PGSASL_BUILD=$work/gcc "$top/tests/bench/chaos" --minutes 2
}

# check_on RELEASE ARGUMENT...: this script in the directory of that release.
check_on() {
    local copy=$RELEASE_DIRECTORY/${1:?}/srv/pgsasl
    ((EUID == 0)) || {
        echo 'check.sh: --on needs root' >&2
        return 1
    }
    release_make "$1"
    rm -rf "$copy"
    copy_sources "$copy"
    release_run "$1" bash /srv/pgsasl/contrib/check.sh "${@:2}"
}

on_steps=(gcc sql server)

step_trixie() {
    if [[ $(. /etc/os-release && echo "${VERSION_CODENAME-}") == trixie ]]; then
        echo 'this is Debian 13'
        return
    fi
    check_on trixie "${on_steps[@]}"
}

# skip WHY: ends a step that has nothing to run; in CI that is a failure.
skip() {
    echo "skipped: $1"
    [[ ${CI-} != true ]]
}

# packages_of STEP: prints the packages that it needs.
packages_of() {
    case $1 in
    gcc | sanitizers | distcheck) set -- "${PACKAGES_UNIT[@]}" ;;
    clang) set -- "${PACKAGES_UNIT[@]}" "${PACKAGES_CLANG[@]}" ;;
    lint) set -- "${PACKAGES_LINT[@]}" ;;
    fuzz) set -- "${PACKAGES_FUZZ[@]}" ;;
    sql) set -- "${PACKAGES_UNIT[@]}" "${PACKAGES_SQL[@]}" ;;
    server | server-sanitizers | threads | chaos) set -- "${PACKAGES_UNIT[@]}" "${PACKAGES_SERVER[@]}" ;;
    trixie) return ;;
    esac
    printf '%s\n' "${PACKAGES_BUILD[@]}" "$@"
}

list_steps() {
    printf '%s\n' "${steps[@]}"
}

# in_group COMMAND...: runs it in a process group of its own, for end_step, and sets status. Not to be called in a
# condition, where bash would go on after a command that failed.
in_group() {
    set -m
    (
        set +m -e
        "$@"
    ) </dev/null &
    set +m
    group=$!
    wait "$group" || status=$?
    group=
}

# run_step NAME: runs it with a header and its duration, and counts it. Not to be called in a condition either.
run_step() {
    local name=$1 step began=$SECONDS status=0
    for step in "${steps[@]}"; do
        [[ ${step%%:*} != "$name" ]] || printf '\n=== %s\n' "$step"
    done
    in_group "step_$name"
    if ((status == 0)); then
        passed+=("$name")
        printf '=== %s: passed, %d s\n' "$name" $((SECONDS - began))
    else
        failed+=("$name")
        printf '=== %s: FAILED (status %d), %d s\n' "$name" "$status" $((SECONDS - began))
    fi
}

# end_step: ends the step that is running, with all that it started, when this script is interrupted.
end_step() {
    [[ -n $group ]] && kill -TERM -- "-$group" || return 0
    for ((i = 0; i < 300; i++)); do
        kill -0 -- "-$group" || break
        sleep 0.1
    done
} 2>/dev/null

# Leaves what is needed to see why something failed.
clean_up() {
    end_step
    if [[ $keep == yes || $all_passed != yes ]]; then
        echo "working directory: $work"
    else
        rm -rf "$work"
    fi
}

main() {
    local chosen=() step packages on='' status=0 failed=() passed=()
    while (($#)); do
        step=$1
        shift
        case $step in
        --list)
            list_steps
            return
            ;;
        --keep) keep=yes ;;
        --on)
            on=${1-}
            shift || true
            if [[ ! $on =~ ^[a-z]+$ ]]; then
                echo 'check.sh: --on wants the name of a release' >&2
                return 2
            fi
            ;;
        -h | --help)
            usage
            return
            ;;
        *)
            if ! list_steps | grep -q "^$step:"; then
                echo "check.sh: no step is called $step; --list names them" >&2
                return 2
            fi
            chosen+=("$step")
            ;;
        esac
    done
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if [[ -n $on ]]; then
        ((${#chosen[@]})) || chosen=("${on_steps[@]}")
        [[ $keep == no ]] || chosen+=(--keep)
        trap end_step EXIT
        in_group check_on "$on" "${chosen[@]}"
        return "$status"
    fi
    if ((${#chosen[@]} == 0)); then
        mapfile -t chosen < <(list_steps | cut -d: -f1)
    fi

    mapfile -t packages < <(for step in "${chosen[@]}"; do packages_of "$step"; done | sort -u)
    packages_install "${packages[@]}"
    work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-check.XXXXXX")
    chmod 755 "$work" # the servers' users look into it
    trap clean_up EXIT
    for step in "${chosen[@]}"; do
        run_step "$step"
    done

    printf '\n%d steps in %d s: %d passed, %d failed%s\n' "${#chosen[@]}" "$SECONDS" "${#passed[@]}" "${#failed[@]}" \
        "${failed[*]:+: ${failed[*]}}"
    ((${#failed[@]} == 0)) || return 1
    all_passed=yes
}

export LC_ALL=C.UTF-8
jobs=$(nproc)
keep=no
all_passed=no
work=
group=
main "$@"
