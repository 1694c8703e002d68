#!/bin/bash
# Feeds what comes from outside (client messages, stored hashes, PostgreSQL's texts, options, the files of spool and cache)
# with inputs that libFuzzer thinks up, under ASan and UBSan. The same inputs each time, so that what fails here fails again.
#
#   tests/fuzz/run.sh [RUNS [NAME...]]      RUNS inputs for each (200000), more for a night; NAME.c of this folder, or all
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
runs=${1:-200000}
if (($# > 1)); then
    names=("${@:2}")
else
    mapfile -t names < <(cd "$here" && printf '%s\n' *.c | sed 's/\.c$//')
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/pgsasl-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT

flags=(-D_GNU_SOURCE -std=gnu11 -O1 -g -Wall -Wextra -Werror -fno-sanitize-recover=all "-I$top/plugin")
modules=(libsasl2 libpq libssl libcrypto libargon2 libcrypt)
mapfile -t -d ' ' cflags < <(pkg-config --cflags "${modules[@]}" | tr -d '\n')
mapfile -t -d ' ' libs < <(pkg-config --libs libpq libssl libcrypto libargon2 libcrypt | tr -d '\n')

# The plugin's files are compiled once, for all fuzzers. Two folders may have a file of the same name: each has a folder of
# objects, and the archive takes members of the same name (q).
build() {
    local name folder objects
    for folder in "$top"/plugin/*/; do
        objects=$work/objects/${folder#"$top/plugin/"}
        mkdir -p "$objects"
        printf '%s\0' "$folder"*.c | (cd "$objects" && xargs -0 -n 4 -P "$(nproc)" clang "${flags[@]}" "${cflags[@]}" \
            -fsanitize=fuzzer-no-link,address,undefined -c)
    done
    ar qcs "$work/plugin.a" "$work"/objects/*/*.o
    for name in "${names[@]}"; do
        clang "${flags[@]}" "${cflags[@]}" -fsanitize=fuzzer,address,undefined -o "$work/$name" "$here/$name.c" \
            "$work/plugin.a" "${libs[@]}"
    done
}

# seeds NAME: each of its lines in seeds.txt, with printf's escapes, as a file.
seeds() {
    local name seed number=0
    mkdir "$work/$1.seeds"
    while read -r name seed; do
        [[ $name == "$1" ]] || continue
        number=$((number + 1))
        printf '%b' "$seed" >"$work/$1.seeds/$number"
    done <"$here/seeds.txt"
}

# fuzz NAME: runs it; its output is shown if it found a fault. A file for each input takes its time: a tenth of them.
fuzz() {
    local inputs=$runs
    ! grep -q '"file.h"' "$here/$1.c" || inputs=$((runs / 10))
    seeds "$1"
    if "$work/$1" -runs="$inputs" -seed=1 -timeout=20 -max_len=1200 -artifact_prefix="$work/" "$work/$1.seeds" \
        >"$work/$1.log" 2>&1; then
        sed -n "s/^Done \([0-9]*\) runs in \(.*\) second.*/ok: $1: \1 inputs, \2 s/p" "$work/$1.log"
    else
        tail -n 60 "$work/$1.log"
        echo "not ok: $1" >&2
        return 1
    fi
}

build
for name in "${names[@]}"; do
    fuzz "$name"
done
