"""An outage costs no row: what the database could not take is in the spool before the client hears, and in the table after."""

import fcntl
import json
import threading

import pytest
from answers import ACCEPTED, LATER, REJECTED
from harness.clients import Smtp, plain
from harness.postfix import sasl_conf
from test_outage import outage


WRITE_LOCK = 1 << 40  # the octet of it, as in plugin/spool.c


@pytest.fixture(scope="module", name="spool")
def fixture_spool(workdir):
    """The spool file; smtpd opens it as root, before its chroot."""
    return workdir / "spool.jsonl"


@pytest.fixture(scope="module", name="spooling")
def fixture_spooling(postfix, cluster, spool):
    """A service of several processes that has the spool."""
    return postfix.add_service("spooling", sasl_conf({
        "pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo(), "pgsasl_spool_file": spool}))


def spooled(spool):
    """The lines that wait, without the spool's own first one."""
    return [json.loads(line) for line in spool.read_text(encoding="utf-8").splitlines()[1:]]


def rows(db, username):
    """What auth_failures has of a name, in order."""
    return db.rows(f"SELECT reason, attempt_id, occurred_at, recorded_at FROM pgsasl.auth_failures "
                   f"WHERE username = '{username}' ORDER BY occurred_at")


def test_outage_is_spooled_and_drained(spooling, spool, cluster, db, user):
    """One line for each attempt, synced before the 454; one row for each afterwards, with its own time."""
    name, password = user.octets
    with Smtp(spooling) as smtp, Smtp(spooling) as other:
        with outage(cluster, db):
            for number, client in enumerate((smtp, other, smtp), start=1):
                assert client.authenticate("PLAIN", plain(name, password)) == LATER
                assert len(spooled(spool)) == number
        lines = spooled(spool)
        assert {line["reason"] for line in lines} == {"backend_unavailable"}
        assert smtp.authenticate("PLAIN", plain(name, password)) == ACCEPTED
    assert spooled(spool) == []
    found = rows(db, user.name)
    assert [row["attempt_id"] for row in found] == [line["attempt_id"] for line in lines]
    assert all(row["occurred_at"] <= row["recorded_at"] for row in found)


def test_a_stalled_writer_costs_no_row(spooling, spool, cluster, db, user):
    """Another process has the write lock and its write takes long, as on a disk that others keep busy."""
    name, password = user.octets
    with Smtp(spooling) as smtp:
        with outage(cluster, db), spool.open("r+b") as other:
            fcntl.lockf(other, fcntl.LOCK_EX, 1, WRITE_LOCK)
            threading.Timer(0.3, fcntl.lockf, (other, fcntl.LOCK_UN, 1, WRITE_LOCK)).start()
            assert smtp.authenticate("PLAIN", plain(name, password)) == LATER
        assert [line["username"] for line in spooled(spool)] == [user.name]
        assert smtp.authenticate("PLAIN", plain(name, password)) == ACCEPTED


def test_replay_counts_once(spooling, spool, cluster, db, user):
    """A line that comes back though its row is there already changes nothing."""
    name, password = user.octets
    with Smtp(spooling) as smtp:
        with outage(cluster, db):
            assert smtp.authenticate("PLAIN", plain(name, password)) == LATER
            line = spool.read_bytes().splitlines(keepends=True)[-1]
        assert smtp.authenticate("PLAIN", plain(name, b"wrong")) == REJECTED
        with spool.open("ab") as file:
            file.write(line)
        assert smtp.authenticate("PLAIN", plain(name, b"wrong")) == REJECTED
    assert spooled(spool) == []
    assert [row["reason"] for row in rows(db, user.name)] == ["backend_unavailable", "wrong_password", "wrong_password"]
