# shellcheck shell=bash
# The Debian packages that demo.sh and check.sh need, and how the missing ones get onto the machine. Sourced.
#
# Nothing that is already there is touched, nothing is removed, and no daemon of a newly installed package is started
# or set up: the scripts run private clusters and a private Postfix of their own.

# What depends on the release: NN stands for the version that its postgresql or clang has (packages_named).
# shellcheck disable=SC2034 # for the scripts that source this
{
    PACKAGES_BUILD=(gcc libc6-dev make autoconf automake libtool pkg-config
        libsasl2-dev libpq-dev libssl-dev libcrypt-dev libargon2-dev)
    PACKAGES_DEMO=(postgresql postfix libsasl2-modules swaks libnet-ssleay-perl libauthen-sasl-perl
        curl openssl procps python3)

    # What the steps of check.sh need beside PACKAGES_BUILD.
    PACKAGES_UNIT=(binutils libcmocka-dev python3)
    PACKAGES_CLANG=(clang)
    PACKAGES_FUZZ=(clang libclang-rt-NN-dev)
    PACKAGES_SQL=(postgresql postgresql-NN-pgtap libtap-parser-sourcehandler-pgtap-perl)
    PACKAGES_SERVER=("${PACKAGES_DEMO[@]}" dovecot-core dovecot-pgsql gsasl iproute2 msmtp pgbouncer python3-pytest sasl2-bin
        valgrind)
    # Debian 12 and 13 both have this clang-format; another one lays out some lines otherwise.
    PACKAGES_LINT=(black clang-format-19 mandoc shellcheck)
}

# tests/bench/compare's peers, and what the stock sql plugin is linked with; the plugin itself is only unpacked.
# shellcheck disable=SC2034
PACKAGES_BENCH=(dovecot-core dovecot-pgsql libmariadb3 libsqlite3-0 linux-perf)

# packages_version PACKAGE NAME: the number in the first package "NAME-number" that PACKAGE depends on, whether it is
# installed or only known to apt.
packages_version() {
    { dpkg-query -W -f '${Depends}\n' "$1"; apt-cache show --no-all-versions "$1"; } 2>/dev/null |
        grep -oPm1 "\b$2-\K[0-9]+\b" | head -n 1
}

# packages_named PACKAGE...: prints the names as this release has them.
packages_named() {
    local package version
    for package; do
        case $package in
        postgresql-NN-*) version=$(packages_version postgresql postgresql) ;;
        libclang-rt-NN-*) version=$(packages_version clang clang) ;;
        *) version= ;;
        esac
        printf '%s\n' "${package/NN/$version}"
    done
}

# packages_missing PACKAGE...: prints those that are not installed, by their names.
packages_missing() {
    local package status
    for package in $(packages_named "$@"); do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=none
        [[ $status == installed ]] || printf '%s\n' "$package"
    done
}

# packages_quietly COMMAND...: runs it while no package may start a daemon, ask a question or make a cluster.
packages_quietly() (
    policy=/usr/sbin/policy-rc.d
    createcluster=/etc/postgresql-common/createcluster.d/pgsasl.conf
    trap '[[ -z ${our_policy-} ]] || rm -f "$policy"; rm -f "$createcluster"' EXIT
    if [[ ! -e $policy ]]; then
        our_policy=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    mkdir -p "${createcluster%/*}"
    echo 'create_main_cluster = false' >"$createcluster"
    export DEBIAN_FRONTEND=noninteractive
    "$@"
)

# packages_progress: reads the lines that apt writes to APT::Status-Fd, and prints one for each tenth of the way.
packages_progress() {
    local kind what percent text at=-1
    while IFS=: read -r kind what percent text; do
        [[ $kind == dlstatus || $kind == pmstatus ]] || continue
        percent=${percent%%.*}
        ((percent / 10 != at)) || continue
        at=$((percent / 10))
        printf '    %3d %%  %s\n' "$percent" "$text"
    done
}

# packages_get PACKAGE...: fetches and installs them, and shows how far it is.
packages_get() {
    if [[ " $* " == *" postfix "* ]]; then
        # Without a configuration of its own the packaged Postfix stays asleep.
        apt-get -qq -y install --no-install-recommends --no-remove debconf || return
        echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections || return
    fi
    packages_quietly apt-get -q -y -o Dpkg::Use-Pty=0 -o APT::Status-Fd=3 install --no-install-recommends --no-remove \
        "$@" 3> >(packages_progress >&4)
}

# packages_install PACKAGE...: installs what is missing; needs root and the network only if something is. The output of the
# installation is shown only if it fails.
packages_install() {
    local missing said status=0
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        echo "not installed: ${missing[*]}; run this as root, or install them" >&2
        return 1
    fi
    {
        said=$(apt-get -q update 2>&1) || status=$?
        mapfile -t missing < <(packages_missing "$@") # apt knows the release's names now
        echo "installing: ${missing[*]}"
        ((status)) || said=$(packages_get "${missing[@]}" 2>&1) || status=$?
    } 4>&1
    ((status == 0)) || printf '%s\n' "$said" >&2
    return "$status"
}
