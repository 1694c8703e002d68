# shellcheck shell=bash
# Another Debian release in a directory, for check.sh --on. Sourced.
#
# debootstrap makes the directory once; it is kept below $RELEASE_DIRECTORY and reused. Commands run in it in namespaces
# of their own (mounts, processes, IPC): when the run ends, however it ends, its processes and mounts are gone.

RELEASE_DIRECTORY=/var/cache/pgsasl/releases

# release_repositories: prints the repositories that this machine takes Debian from, its main one first. Empty: not Debian.
release_repositories() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | awk '!seen[$0]++'
}

# release_settings: prints apt's settings there: as this machine reaches them.
release_settings() {
    echo 'APT::Keep-Downloaded-Packages "false";'
    apt-config dump | sed -nE '/^Acquire::(https?::|Check-|Max-ValidTime|Retries)/p'
}

# release_sources RELEASE: prints its sources.list.
release_sources() {
    local repositories
    mapfile -t repositories < <(release_repositories)
    ((${#repositories[@]})) || repositories=(http://deb.debian.org/debian http://deb.debian.org/debian-security)
    printf 'deb %s %s main\n' "${repositories[0]}" "$1"
    [[ $1 != sid ]] || return 0
    printf 'deb %s %s main\n' "${repositories[0]}" "$1-updates"
    printf '%s\n' "${repositories[@]}" | sed -n "/-security/s/.*/deb & $1-security main/p"
}

# release_make RELEASE: makes its directory, unless it is there.
release_make() {
    local root=$RELEASE_DIRECTORY/$1 new=$RELEASE_DIRECTORY/$1.new sources
    [[ ! -d $root ]] || return 0
    packages_install debootstrap || return
    sources=$(release_sources "$1")
    rm -rf "$new"
    mkdir -p "$new"
    echo "making $root by debootstrap"
    debootstrap --variant=minbase --include=ca-certificates "$1" "$new" "$(awk '{ print $2; exit }' <<<"$sources")" 2>&1 |
        tee "$new.log" | sed -un 's/^I: \(.*\(InRelease\|Resolving\|packages\.\|system\.\|successfully\).*\)/    \1/p' || {
        tail -n 20 "$new.log"
        return 1
    }
    printf '%s\n' "$sources" >"$new/etc/apt/sources.list"
    release_settings >"$new/etc/apt/apt.conf.d/90pgsasl"
    rm "$new.log"
    mv "$new" "$root"
}

# What runs first in the namespaces; "/" has to be a mount, as some programs change how it propagates.
# shellcheck disable=SC2016 # for the inner shell
RELEASE_ENTER='
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t tmpfs tmpfs "$root/run"
    exec chroot "$root" env -i --default-signal CI="${CI-}" HOME=/root LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
'

# release_run RELEASE COMMAND...: runs it in the directory, as root. One at a time: dpkg and the files in /tmp are shared.
release_run() (
    root=$RELEASE_DIRECTORY/$1
    exec 9>"$root.lock"
    flock -n 9 || {
        echo "waiting for another run in $root"
        flock 9
    }
    rm -rf "${root:?}"/tmp/*
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    # unshare ignores INT and TERM. When it is killed, the kernel kills all that it started.
    setpriv --pdeathsig KILL unshare --mount --pid --ipc --fork --kill-child --propagation private -- \
        bash -euc "$RELEASE_ENTER" release "$root" "${@:2}" 9>&- &
    trap 'kill -KILL $! 2>/dev/null || :' EXIT
    trap 'exit 143' INT TERM HUP
    wait $!
)
