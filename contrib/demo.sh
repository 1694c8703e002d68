#!/bin/bash
# Shows pgsasl at work on real servers: builds it, starts a private PostgreSQL and a private Postfix with it, logs in
# with swaks and curl, makes each failure happen and prints what the client saw beside the row of the audit table.
# Everything is in one temporary directory and on ports of 127.0.0.1; nothing is left running.
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

# show COMMAND...: runs it, and prints it before where -v asks for that, as it can be pasted.
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

harness() {
    PYTHONPATH=$top/tests/server PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m harness "$@"
}

# Builds in a copy, so that the checkout stays as it is.
build() {
    mkdir "$work/build"
    tar -C "$top" --exclude=./.git -cf - . | tar -C "$work/build" --no-same-owner -xf -
    (
        cd "$work/build"
        show autoreconf -fi
        show ./configure --quiet
        show make -s -j"$(nproc)"
    ) >"$work/build.log" 2>&1 || {
        cat "$work/build.log"
        return 1
    }
    export PGSASL_BUILD=$work/build
}

start() {
    harness up "$work"
    # shellcheck disable=SC1091
    show source "$work/settings" # ports, and PGHOST and the like for psql
}

sql() {
    show psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

readonly password='right horse battery'

add_users() {
    sql "SELECT pgsasl.add_account('Good Ltd'), pgsasl.add_account('Late Ltd', 'past_due'),
                pgsasl.add_account('Bad Ltd', 'suspended'), pgsasl.add_account('Gone Ltd', 'closed')" >/dev/null
    local user account more
    while read -r user account more; do
        sql "SELECT pgsasl.add_user('$user', '$password', account_id$more)
             FROM pgsasl.accounts WHERE name = '$account Ltd'" >/dev/null
    done <<-END
	alice Good
	judy Good
	bob Good , enabled => false
	carol Good
	dave Late
	erin Bad
	frank Gone
	grace Good , allowed_networks => '{192.0.2.0/24}'
	END
    sql "DELETE FROM pgsasl.smtp_users WHERE username = 'carol'"
    sql "INSERT INTO mail_users VALUES ('heidi', '\$6\$', true, 'good')"
}

# The clients. Each takes MECHANISM USER PASSWORD, sends a message where it may, and prints the whole dialogue.
via_swaks() {
    show swaks --server 127.0.0.1 --port "$port_submission" --tls --tls-verify --tls-ca-path "$cafile" \
        --from app@customer.test --to someone@elsewhere.test \
        --auth "$1" --auth-user "$2" --auth-password "$3"
}

via_curl() {
    show curl --silent --show-error --verbose --url "smtp://127.0.0.1:$port_submission" --ssl-reqd --cacert "$cafile" \
        --mail-from app@customer.test --mail-rcpt someone@elsewhere.test --upload-file "$work/message" \
        --login-options "AUTH=$1" --user "$2:$3" "${@:4}"
}

# An app on another machine.
via_curl_elsewhere() {
    via_curl "$@" --interface 127.0.0.7
}

via_curl_for_root() {
    via_curl "$@" --sasl-authzid root
}

# The rarer failures have a service of their own, each with one option changed.
via_swaks_wants_tls() {
    show swaks --server 127.0.0.1 --port "$port_wants_tls" --quit-after AUTH \
        --auth "$1" --auth-user "$2" --auth-password "$3"
}

via_swaks_own_table() {
    show swaks --server 127.0.0.1 --port "$port_own_table" --quit-after AUTH \
        --auth "$1" --auth-user "$2" --auth-password "$3"
}

# answer: of a dialogue on stdin, the server's last answer to AUTH without its constant words, and whether it took a
# message.
answer() {
    awk '{ sub(/\r$/, "") }
        /^<[^ ]* +(235|454|535) / { sub(/^<[^ ]* +/, ""); auth = $0 }
        /^<[^ ]* +250 .*queued as/ { sent = ", message accepted" }
        END {
            sub(/ [0-9.]+ (Error: authentication failed: |Temporary authentication failure: )?/, " ", auth)
            print auth sent
        }'
}

# row_since TIME [CONDITION]: the audit rows of attempts since then.
row_since() {
    sql "SELECT concat_ws(' ', reason, nullif(format('(%s)', array_to_string(failed_checks[2:], ', ')), '()'))
         FROM pgsasl.auth_failures WHERE occurred_at > '$1' ${2:+AND $2}"
}

# judge WHAT CODE REASON CLIENT SEEN ROW: one line of the table. REASON "-" wants a message accepted and no row.
judge() {
    line "$1" "$4" "$5" "${6:-(none)}"
    if [[ $5 != "$2 "* || ${6%% *} != "${3#-}" || ($3 == - && $5 != *'message accepted') ]]; then
        echo "  WRONG: wanted $2 and ${3/#-/a message accepted, no row}"
        failed=1
    fi
}

# attempt WHAT CODE REASON CLIENT MECHANISM USER PASSWORD: logs in, and prints what came of it.
attempt() {
    local what=$1 code=$2 reason=$3 client=$4 since seen
    shift 4
    since=$(sql 'SELECT clock_timestamp()')
    seen=$("via_$client" "$@" 2>&1 | tee -a "$work/dialogues" | answer) || true
    judge "$what" "$code" "$reason" "${client%%_*} $1" "$seen" "$(row_since "$since")"
}

line() {
    printf '%-33s  %-11s  %-47s  %s\n' "$@"
}

# The row waits in the spool until the database is back.
outage() {
    local since seen
    since=$(sql 'SELECT clock_timestamp()')
    harness database-down "$work"
    seen=$(via_swaks PLAIN alice "$password" 2>&1 | tee -a "$work/dialogues" | answer) || true
    harness database-up "$work"
    attempt 'the database was stopped; started' 235 - swaks PLAIN alice "$password"
    judge '... and while it was stopped' 454 backend_unavailable 'swaks PLAIN' "$seen" \
        "$(row_since "$since" "reason = 'backend_unavailable'")"
}

tour() {
    local mechanism long
    long=$(printf 'x%.0s' {1..1025})
    cat <<'EOF'
535 is short for "535 5.7.8 Error: authentication failed: ...", 454 for "454 4.7.0 Temporary authentication failure: ...".

EOF
    line 'what was tried' 'client' 'what the client saw' 'audit row: reason (other failed checks)'
    line '--------------' '------' '-------------------' '---------------------------------------'
    for mechanism in PLAIN LOGIN; do
        attempt 'right password' 235 - swaks $mechanism alice "$password"
        attempt 'right password' 235 - curl $mechanism alice "$password"
        attempt 'wrong password' 535 wrong_password swaks $mechanism alice wrong
        attempt 'wrong password' 535 wrong_password curl $mechanism alice wrong
        attempt 'no such user' 535 unknown_user swaks $mechanism mallory "$password"
        attempt 'an e-mail address for a name' 535 username_has_at swaks $mechanism alice@customer.test "$password"
        attempt 'a blank after the name' 535 username_whitespace swaks $mechanism 'alice ' "$password"
        attempt 'deleted user' 535 deleted_user swaks $mechanism carol "$password"
        attempt 'disabled user' 535 disabled_user swaks $mechanism bob "$password"
        attempt 'account past due' 535 account_past_due swaks $mechanism dave "$password"
        attempt 'suspended, and wrong password' 535 account_suspended swaks $mechanism erin wrong
        attempt 'account closed' 535 account_closed swaks $mechanism frank "$password"
        attempt 'not from this address' 535 ip_not_authorized swaks $mechanism grace "$password"
        attempt 'over-long password' 535 malformed_response swaks $mechanism alice "$long"
        attempt 'pgsasl_require_tls, and no TLS' 535 tls_required swaks_wants_tls $mechanism alice "$password"
        attempt 'stored hash is cut short' 454 unusable_hash swaks_own_table $mechanism heidi "$password"
    done
    attempt 'acting for another user' 535 authzid_mismatch curl_for_root PLAIN alice "$password"
    outage
}

# A rotation with two clients, one of them late.
rotation() {
    local new
    cat <<'EOF'

A rotation: judy gets another password and the old one an hour's grace. One of her two apps is late.

EOF
    new=$(sql "SELECT pgsasl.rotate_password('judy', interval '1 hour')")
    attempt 'new password' 235 - swaks PLAIN judy "$new"
    attempt 'old password, in its grace' 235 - curl_elsewhere LOGIN judy "$password"
    show_table 127.0.0.7 'SELECT username, last_used_from, last_used_at FROM pgsasl.rotation_stragglers'
    sql "SELECT pgsasl.end_rotation('judy')" >/dev/null
    attempt 'new password' 235 - swaks PLAIN judy "$new"
    attempt 'old password, the grace is over' 535 stale_password curl_elsewhere LOGIN judy "$password"
    show_table rotated "SELECT occurred_at::timestamp(0), client_addr, what_failed, what_to_do
FROM pgsasl.explain('judy', within => interval '1 minute') ORDER BY occurred_at DESC LIMIT 1"
}

# show_table WORD QUERY: prints what people would read. WORD has to be in it, soon: logins are noted without waiting.
show_table() {
    local table tries
    for tries in {1..50}; do
        table=$(show psql -X -q -v ON_ERROR_STOP=1 -P pager=off -c "$2")
        [[ $table != *"$1"* ]] || break
        sleep 0.1
    done
    printf '\n%s\n\n%s\n\n' "$2" "$table"
    if ((tries == 50)); then
        echo "  WRONG: nothing of $1"
        failed=1
    fi
}

how_to_go_on() {
    cat <<EOF

The servers are still up. Log in and send:
  swaks --server 127.0.0.1 --port $port_submission --tls --from app@customer.test --to someone@elsewhere.test \\
      --auth PLAIN --auth-user alice --auth-password '$password'
Query:
  psql 'postgresql://$PGUSER:$PGPASSWORD@127.0.0.1:$PGPORT/$PGDATABASE' \\
      -c 'SELECT occurred_at, username, reason, failed_checks, client_addr FROM pgsasl.auth_failures'
Look:
  configuration $postfix_config, mail log $mail_log
Stop:
  contrib/demo.sh --stop $work
EOF
}

# stop DIRECTORY: stops the servers and removes the directory.
stop() {
    if [[ ! -d $1/postgresql && ! -d $1/postfix ]]; then
        echo "demo.sh: $1 is not what --keep left" >&2
        return 2
    fi
    harness down "$1"
    rm -rf "$1"
}

clean_up() {
    harness down "$work" && rm -rf "$work"
}

main() {
    while (($#)); do
        case $1 in
        -v) verbose=yes ;;
        --keep) keep=yes ;;
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
    printf 'From: app@customer.test\r\nTo: someone@elsewhere.test\r\nSubject: a demo\r\n\r\nIt works.\r\n' >"$work/message"
    if [[ -z ${PGSASL_BUILD-} ]]; then
        echo 'building ...'
        build
    fi
    echo 'starting PostgreSQL and Postfix ...'
    start
    add_users
    echo
    tour
    rotation
    if [[ $keep == yes ]]; then
        trap - EXIT
        how_to_go_on
    fi
    if ((failed)); then
        printf '\nSomething was not as it should be.\n'
        return 1
    fi
    printf '\nEverything was as it should be.\n'
}

export LC_ALL=C.UTF-8
verbose=no
keep=no
failed=0
work=
# What "harness up" settles.
port_submission='' port_wants_tls='' port_own_table='' cafile='' mail_log='' postfix_config=''
exec 3>&1 # where -v shows commands, also those whose output is read by others
main "$@"
