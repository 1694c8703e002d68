"""The database goes away and comes back: 454 meanwhile, nothing to restart after, and rows before answers."""

import pytest
from harness import faults
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.clients import MECHANISMS, Smtp, encode, plain
from harness.cluster import Session
from harness.postfix import LogMark
from harness.processes import wait_for


@pytest.fixture(scope="module", name="single")
def fixture_single(postfix):
    """A service of one process, which every connection gets."""
    return postfix.add_service("single", processes=1)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("warm", [True, False], ids=["connection kept before", "never connected"])
def test_stopped(postfix, cluster, user, mechanism, warm):
    """454 and a line of the log while it is down; after it is back the first AUTH of the same process succeeds."""
    syslog_name = f"postfix/{mechanism}-{warm}"
    service = postfix.add_service(f"{mechanism}-{warm}", processes=1, syslog_name=syslog_name)
    if warm:
        with Smtp(service) as smtp:
            assert smtp.log_in(mechanism, user.name, user.password) == ACCEPTED
    log = LogMark(postfix)
    with Smtp(service) as smtp:
        with faults.stopped(cluster):
            assert smtp.log_in(mechanism, user.name, user.password) == LATER
            assert smtp.log_in(mechanism, user.name, "wrong") == LATER
            assert smtp.log_in(mechanism, "nobody", user.password) == LATER
        assert smtp.log_in(mechanism, user.name, user.password) == ACCEPTED
    log.wait_for(f"{syslog_name}/smtpd.*disconnect from")
    lines = log.lines(rf"{syslog_name}/smtpd\[\d+\]: .*pgsasl: rejected reason=backend_unavailable")
    assert len(lines) == 3
    # Nothing was restarted: one process from first to last.
    assert len({line.split("smtpd[")[1].split("]")[0] for line in log.lines(f"{syslog_name}/smtpd")}) == 1


def test_malformed_needs_no_database(cluster, single):
    """A malformed message is a 535 without the database."""
    with Smtp(single) as smtp, faults.stopped(cluster):
        assert smtp.authenticate("PLAIN", b"no NUL at all").code == 535


def test_restarted_between(cluster, desk, user, single):
    """A dead connection is replaced within the attempt: no client notices."""
    name, password = user.octets
    for _ in range(2):
        with Smtp(single) as smtp:
            outcome = desk.attempt(smtp.authenticate, "PLAIN", plain(name, b"wrong"))
            assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")
            with faults.stopped(cluster):
                pass
            assert smtp.authenticate("PLAIN", plain(name, password)) == ACCEPTED
        with faults.stopped(cluster):
            pass


def test_never_there(connect, user, desk):
    """A database that was never reachable: 454, in time."""
    outcome = desk.attempt(connect("no-database").authenticate, "PLAIN", plain(*user.octets))
    assert outcome.reply == LATER
    assert outcome.line()["reason"] == "backend_unavailable"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_row_before_answer(cluster, db, connect, user, mechanism):
    """While the row cannot be committed the client gets no answer; then it gets both."""
    smtp = connect()
    name, _ = user.octets
    with Session(cluster) as holder:
        holder.sql("BEGIN; LOCK TABLE pgsasl.auth_failures IN ACCESS EXCLUSIVE MODE")
        if mechanism == "PLAIN":
            smtp.send(b"AUTH PLAIN " + encode(plain(name, b"wrong")))
        else:
            smtp.command(b"AUTH LOGIN")
            smtp.command(encode(name))
            smtp.send(encode(b"wrong"))
        wait_for(lambda: db.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the insert to meet the lock")
        assert smtp.silent(0.3)
        holder.sql("COMMIT")
    assert smtp.reply() == REJECTED
    assert db.value(f"SELECT count(*) FROM pgsasl.auth_failures WHERE username = '{user.name}'") == 1


def test_one_connection_a_process(db, postfix, user):
    """Fifty logins over ten sessions of one smtpd use one backend."""
    service = postfix.add_service("kept", processes=1)
    backends = set()
    for _ in range(10):
        with Smtp(service) as smtp:
            for _ in range(4):
                smtp.authenticate("PLAIN", plain(user.octets[0], b"wrong"))
            assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
            backends.add(
                db.value(
                    """SELECT max(backend_start) AS latest FROM pg_stat_activity
                                     WHERE usename = 'pgsasl_plugin'"""
                )
            )
    assert len(backends) == 1, backends
