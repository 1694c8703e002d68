# shellcheck shell=bash
# The Debian packages that demo.sh and check.sh need, and how the missing ones get onto the machine. Sourced.
#
# Nothing that is already there is touched, nothing is removed, and no daemon of a newly installed package is started
# or set up: the scripts run private clusters and a private Postfix of their own.

# shellcheck disable=SC2034 # for the scripts that source this
PACKAGES_BUILD=(gcc libc6-dev make autoconf automake libtool pkg-config
    libsasl2-dev libpq-dev libssl-dev libcrypt-dev libargon2-dev)

# shellcheck disable=SC2034
PACKAGES_DEMO=(postgresql postgresql-contrib postfix libsasl2-modules swaks libnet-ssleay-perl libauthen-sasl-perl
    curl openssl python3)

# shellcheck disable=SC2034
PACKAGES_CHECK=(black clang clang-format libclang-rt-14-dev libcmocka-dev binutils shellcheck mandoc valgrind
    iproute2 postgresql-15-pgtap libtap-parser-sourcehandler-pgtap-perl msmtp gsasl sasl2-bin python3-pytest
    dovecot-core dovecot-pgsql pgbouncer)

# tests/bench/compare's peers, and what the stock sql plugin is linked with; the plugin itself is only unpacked.
# shellcheck disable=SC2034
PACKAGES_BENCH=(dovecot-core dovecot-pgsql libmariadb3 libsqlite3-0 linux-perf)

# packages_missing PACKAGE...: prints those that are not installed.
packages_missing() {
    local package status
    for package; do
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

# packages_get PACKAGE...: fetches and installs them.
packages_get() {
    apt-get -q update || return
    if [[ " $* " == *" postfix "* ]]; then
        # Without a configuration of its own the packaged Postfix stays asleep.
        apt-get -qq -y install --no-install-recommends --no-remove debconf || return
        echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections || return
    fi
    packages_quietly apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends --no-remove "$@"
}

# packages_install PACKAGE...: brings in what is missing; needs root and the network only where something is. What the
# packages have to say while they are set up is shown only where that fails.
packages_install() {
    local missing said status=0
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        echo "not installed: ${missing[*]}; run this as root, or install them" >&2
        return 1
    fi
    echo "installing: ${missing[*]}"
    said=$(packages_get "${missing[@]}" 2>&1) || status=$?
    ((status == 0)) || printf '%s\n' "$said" >&2
    return "$status"
}
