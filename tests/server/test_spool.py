"""An outage loses no row: it is in the spool before the client gets its answer, and in the table afterwards."""

import fcntl
import threading

import pytest
from harness import faults
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.audit import Audit
from harness.clients import Smtp
from harness.postfix import LogMark, sasl_conf
from harness.processes import wait_for
from harness.spool import Spool, failures

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


@pytest.fixture(scope="module", name="backlog")
def fixture_backlog(workdir):
    """The spool of a service of one process, for what a long outage leaves."""
    return Spool(workdir / "backlog.jsonl")


@pytest.fixture(name="log_in")
def fixture_log_in(postfix, cluster, backlog, user):
    """One login after the other at a service that has this spool."""
    service = postfix.services.get("backlog") or postfix.add_service(
        "backlog",
        sasl_conf(
            {"pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo(), "pgsasl_spool_file": backlog.path}
        ),
        processes=1,
    )

    def log_in(password=user.password):
        with Smtp(service) as smtp:
            return smtp.log_in("PLAIN", user.name, password)

    assert log_in() == ACCEPTED  # the spool is there
    return log_in


def drain(log_in, spool, most):
    """Logs in until nothing waits; how many logins that took."""
    for number in range(1, most + 1):
        assert log_in() == ACCEPTED
        if not spool.lines():
            return number
    raise AssertionError(f"{len(spool.lines())} lines wait after {most} logins")


def test_a_long_outage_is_drained_in_a_minute(log_in, backlog, db):
    """One login a second moves 10,000 lines within a minute, each of them once."""
    backlog.fill(failures("long-outage", 10000))
    drain(log_in, backlog, 60)
    assert db.value("SELECT count(*) FROM pgsasl.auth_failures WHERE username = 'long-outage'") == 10000
    assert db.value("SELECT count(DISTINCT xmin::text) FROM pgsasl.auth_failures WHERE username = 'long-outage'") < 1000


def test_the_desk_hears_of_what_waits(log_in, backlog, db, user):
    """While rows wait at a mail server the desk's questions say so, and no longer when they have arrived."""

    def said():
        return (
            db.value("SELECT count(*) FROM pgsasl.relays"),
            db.value(f"SELECT count(*) FROM pgsasl.user_status('{user.name}') WHERE item = 'still to arrive'"),
            db.value(f"SELECT count(*) FROM pgsasl.explain('{user.name}') WHERE what_failed LIKE '%still to arrive%'"),
        )

    db.sql("DELETE FROM pgsasl.relays")  # another test may have ended before its note was gone
    assert said() == (0, 0, 0)
    backlog.fill(failures("waiting", 5000))
    assert log_in() == ACCEPTED
    wait_for(lambda: said() == (1, 1, 1), "the login to be noted")
    assert 100000 < db.value("SELECT spool_waiting FROM pgsasl.relays") < 5000 * 500
    drain(log_in, backlog, 60)
    assert log_in() == ACCEPTED
    wait_for(lambda: said() == (0, 0, 0), "the note to be gone")
    backlog.fill(failures("waiting", 5000))
    assert log_in("wrong") == REJECTED
    assert said() == (1, 1, 1)
    drain(log_in, backlog, 60)
    assert log_in("wrong") == REJECTED
    assert said() == (0, 0, 0)


# What the database refuses for good, each in another way; with words of the log's line.
POISON = {
    "no uuid": ({"attempt_id": "poison-1"}, "spooled line skipped, invalid input syntax for type uuid"),
    "no time": ({"occurred_at": "poison-2"}, "spooled line skipped, invalid input syntax for type timestamp"),
    "no attempt": ({"attempt_id": None}, "spooled line skipped, record_failure needs an attempt_id"),
}


def test_poison_takes_nothing_with_it(log_in, backlog, db, postfix):
    """Rows that are refused, at the beginning, in a row, at the end; one that comes twice; a stretch that is no row."""
    rows = failures("poisoned", 600)
    good = {row["attempt_id"] for row in rows} - {rows[place]["attempt_id"] for place in (0, 300, 301, 599)}
    for place, change in zip((0, 300, 301, 599), [*POISON.values(), POISON["no uuid"]]):
        rows[place] |= change[0]
    log = LogMark(postfix)
    backlog.fill(rows[:100] + rows[50:60])  # ten of them twice in one transaction
    with backlog.path.open("ab") as file:
        file.write(bytes(17000) + b"\n")
    backlog.fill(rows[100:])
    drain(log_in, backlog, 10)
    found = [
        row["attempt_id"]
        for row in db.rows(
            "SELECT attempt_id, attempts FROM pgsasl.auth_failures WHERE username = 'poisoned' AND attempts = 1"
        )
    ]
    assert sorted(found) == sorted(good)
    assert len(log.lines("spooled line skipped")) == 4
    for _, words in POISON.values():
        assert log.lines(words)
    (stretch,) = log.lines("pgsasl_spool_file: ")
    assert "17001 bytes from byte" in stretch and "are no rows and are skipped" in stretch


def test_rows_of_one_transaction_are_all_or_none(log_in, backlog, db, cluster):
    """The server ends in the middle of a batch: what was not committed comes again, and counts once."""
    backlog.fill(failures("torn-batch", 2000))
    assert log_in() == ACCEPTED
    faults.end_connections(cluster)
    drain(log_in, backlog, 20)
    backlog.fill(rows := failures("replayed-batch", 300))
    drain(log_in, backlog, 10)
    backlog.fill(rows)
    drain(log_in, backlog, 10)
    assert db.value("SELECT count(*) FROM pgsasl.auth_failures WHERE username = 'torn-batch'") == 2000
    assert db.value("SELECT sum(attempts) FROM pgsasl.auth_failures WHERE username = 'replayed-batch'") == 300


def test_batches_without_prepared_statements(postfix, cluster, db, user, workdir):
    """As behind a pooler: each row is parsed by itself, and they are one transaction even so."""
    spool = Spool(workdir / "unprepared.jsonl")
    options = {"pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo(), "pgsasl_prepared_statements": "no"}
    service = postfix.add_service(
        "unprepared-backlog", sasl_conf(options | {"pgsasl_spool_file": spool.path}), processes=1
    )

    def log_in():
        with Smtp(service) as smtp:
            return smtp.log_in("PLAIN", user.name, user.password)

    assert log_in() == ACCEPTED
    rows = failures("unprepared", 500)
    rows[250]["attempt_id"] = "poison"
    spool.fill(rows)
    drain(log_in, spool, 20)
    counted = "FROM pgsasl.auth_failures WHERE username = 'unprepared'"
    assert db.value(f"SELECT count(*) {counted}") == 499
    assert db.value(f"SELECT count(DISTINCT xmin::text) {counted}") < 100


def test_a_refused_commit_is_halved(log_in, backlog, db):
    """Where the database refuses a whole transaction and does not say which row is at fault, halving finds it."""
    db.sql(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.username = 'refused' THEN RAISE data_exception; END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON pgsasl.auth_failures DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()"""
    )
    try:
        rows = failures("halved", 400)
        rows[123]["username"] = "refused"
        backlog.fill(rows)
        drain(log_in, backlog, 20)
        assert db.value("SELECT count(*) FROM pgsasl.auth_failures WHERE username = 'halved'") == 399
        assert db.value("SELECT count(*) FROM pgsasl.auth_failures WHERE username = 'refused'") == 0
    finally:
        db.sql("DROP TRIGGER late ON pgsasl.auth_failures; DROP FUNCTION refuse()")


def test_a_file_that_is_no_spool(postfix, cluster, user, workdir):
    """The option names another file: it stays as it is, the log says so, and logins are answered 454."""
    precious = workdir / "precious"
    precious.write_bytes(b"precious line of a file that is no spool\n" * 10)
    precious.chmod(0o600)
    before = precious.read_bytes()
    log = LogMark(postfix)
    service = postfix.add_service(
        "precious",
        sasl_conf({"pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo(), "pgsasl_spool_file": precious}),
    )
    with Smtp(service) as smtp:
        assert smtp.log_in("PLAIN", user.name, user.password) == LATER
    assert precious.read_bytes() == before
    assert log.lines("pgsasl_spool_file .*precious: is no spool of pgsasl, and stays as it is; logins are answered")
