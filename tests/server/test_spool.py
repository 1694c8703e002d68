"""An outage loses no row: it is in the spool before the client gets its answer, and in the table afterwards."""

import fcntl
import threading

import pytest
from harness import faults
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.audit import Audit
from harness.clients import Smtp
from harness.postfix import sasl_conf
from harness.spool import Spool

WRITE_LOCK = 1 << 40  # its offset, as in plugin/file/spool.c


@pytest.fixture(scope="module", name="spool")
def fixture_spool(workdir):
    """The spool file; smtpd opens it as root, before its chroot."""
    return Spool(workdir / "spool.jsonl")


@pytest.fixture(scope="module", name="spooling")
def fixture_spooling(postfix, cluster, spool):
    """A service of several processes that has the spool."""
    return postfix.add_service(
        "spooling",
        sasl_conf(
            {"pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo(), "pgsasl_spool_file": spool.path}
        ),
    )


def test_outage_is_spooled_and_drained(spooling, spool, cluster, db, user):
    """One line for each attempt, synced before the 454; one row for each afterwards, with its own time."""
    with Smtp(spooling) as smtp, Smtp(spooling) as other:
        with faults.stopped(cluster):
            for number, client in enumerate((smtp, other, smtp), start=1):
                assert client.log_in("PLAIN", user.name, user.password) == LATER
                assert len(spool.waiting()) == number
        lines = spool.waiting()
        assert {line["reason"] for line in lines} == {"backend_unavailable"}
        assert smtp.log_in("PLAIN", user.name, user.password) == ACCEPTED
    assert spool.waiting() == []
    found = db.rows(
        "SELECT attempt_id, occurred_at, recorded_at FROM pgsasl.auth_failures "
        f"WHERE username = '{user.name}' ORDER BY occurred_at"
    )
    assert [row["attempt_id"] for row in found] == [line["attempt_id"] for line in lines]
    assert all(row["occurred_at"] <= row["recorded_at"] for row in found)


def test_a_stalled_writer_costs_no_row(spooling, spool, cluster, db, user):
    """Another process holds the write lock for long, as on a busy disk."""
    with Smtp(spooling) as smtp:
        with faults.stopped(cluster), spool.path.open("r+b") as other:
            fcntl.lockf(other, fcntl.LOCK_EX, 1, WRITE_LOCK)
            threading.Timer(0.3, fcntl.lockf, (other, fcntl.LOCK_UN, 1, WRITE_LOCK)).start()
            assert smtp.log_in("PLAIN", user.name, user.password) == LATER
        assert [line["username"] for line in spool.waiting()] == [user.name]
        assert smtp.log_in("PLAIN", user.name, user.password) == ACCEPTED


def test_replay_counts_once(spooling, spool, cluster, db, user):
    """A line whose row exists already changes nothing."""
    with Smtp(spooling) as smtp:
        with faults.stopped(cluster):
            assert smtp.log_in("PLAIN", user.name, user.password) == LATER
            (line,) = spool.lines()
        assert smtp.log_in("PLAIN", user.name, "wrong") == REJECTED
        with spool.path.open("ab") as file:
            file.write(line)
        assert smtp.log_in("PLAIN", user.name, "wrong") == REJECTED
    assert spool.waiting() == []
    assert Audit(db).reasons(user.name) == ["backend_unavailable", "wrong_password", "wrong_password"]
