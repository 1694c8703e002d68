# shellcheck shell=bash
# Debian's Exim with Cyrus SASL in it, for the tests. Sourced after packages.sh.
#
# Exim and Postfix both provide "mail-transport-agent", so the package cannot be installed beside Postfix: its program is
# unpacked into a directory of its own, and nothing is set up or started.

EXIM_PACKAGE=exim4-daemon-heavy
EXIM_CACHE=/var/cache/pgsasl

# exim_fetch: downloads the package into the current directory. apt downloads as a user of its own.
exim_fetch() {
    chmod 755 . && chown _apt . || return
    apt-get -q update && apt-get -q download "$EXIM_PACKAGE"
}

# exim_libraries PACKAGE-FILE: the packages that the program needs, without those that would set up a mail server.
exim_libraries() {
    dpkg-deb -f "$1" Depends | tr ',' '\n' | sed -E 's/\|.*//; s/\(.*//; s/[[:space:]]//g' | grep -vE '^(exim4-.*|debconf)$'
}

# exim_user: creates the user whose name Debian compiles into Exim; Exim does not start without it.
exim_user() {
    getent passwd Debian-exim >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim
}

# exim_unpack: makes $EXIM_CACHE/exim4 and what it needs, once.
exim_unpack() (
    [[ ! -x $EXIM_CACHE/exim4 ]] || exit 0
    new=$(mktemp -d) || exit
    trap 'rm -rf "$new"' EXIT
    cd "$new" || exit
    exim_fetch || exit
    mapfile -t libraries < <(exim_libraries "$EXIM_PACKAGE"_*.deb)
    packages_install "${libraries[@]}" || exit
    dpkg -x "$EXIM_PACKAGE"_*.deb . || exit
    # Not setuid: only the tests start it, as root.
    install -d -m 0755 "$EXIM_CACHE" && install -m 0755 usr/sbin/exim4 "$EXIM_CACHE/exim4"
)

# packages_exim: sets PGSASL_EXIM to an Exim with the driver cyrus_sasl, an installed one if there is one. Prints nothing if
# nothing has to be done.
# shellcheck disable=SC2034 # for the script that sources this
packages_exim() {
    local said
    if [[ $(packages_missing "$EXIM_PACKAGE") == '' ]]; then
        PGSASL_EXIM=/usr/sbin/exim4
        return
    fi
    said=$(exim_user 2>&1 && exim_unpack 2>&1) || {
        printf '%s\n' "$said" "Exim cannot be unpacked" >&2
        return 1
    }
    PGSASL_EXIM=$EXIM_CACHE/exim4
}
