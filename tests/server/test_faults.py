"""Whatever fails in the database, answers are right and in time, and each attempt has one row in the end.

Nothing needs a restart afterwards.
"""

import contextlib
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import faults
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.audit import Audit
from harness.clients import Smtp
from harness.cluster import Cluster
from harness.hashes import PASSWORD
from harness.postfix import LogMark, sasl_conf
from harness.processes import wait_for
from harness.spool import Spool, header
from harness.users import add_user

TIMEOUT_MS = 600
LIMIT_S = TIMEOUT_MS / 1000 + 1.2  # a busy machine, and the hash


class FaultyCluster:
    """A cluster of its own, the faults that it can have, and the smtpd services that query it."""

    def __init__(self, workdir, postfix):
        self.workdir, self.postfix = workdir, postfix
        self.cluster = Cluster.create(workdir / "faulty")
        self.open = contextlib.ExitStack()
        self.open.callback(self.cluster.stop)
        try:
            self.disk = faults.SmallDisk(self.cluster, workdir / "small-disk")
            self.open.push(lambda *_: (self.cluster.stop(), self.disk.close()))
            self.relay = faults.Relay(self.cluster)
            self.open.callback(self.relay.close)
            self.network = faults.Network()
            self.open.callback(self.network.close)
            self.far_relay = faults.Relay(self.cluster, self.network.ADDRESS, self.network.NAME)
            self.open.callback(self.far_relay.close)
        except BaseException:
            self.close()
            raise
        # The throttle is on, and its limits are never reached.
        self.cluster.sql("UPDATE pgsasl.settings SET throttle_user_client = 10000, throttle_client = 10000")
        self.spool = Spool(workdir / "faulty.spool")

    def close(self):
        """Stops and removes everything."""
        self.open.close()

    def conninfo(self, route):
        """A connection string to the cluster."""
        return self.cluster.conninfo(
            **{
                "direct": {},
                "relay": {"port": self.relay.port},
                "far": {"host": self.network.ADDRESS, "port": self.far_relay.port},
                "writer": {"target_session_attrs": "read-write"},
                "named": {"host": HOST_NAME},
            }[route]
        )

    def service(self, route, name=None, processes=1, **options):
        """A service of one smtpd process, which every connection gets."""
        name = f"faulty-{name or route}"
        if name not in self.postfix.services:
            self.postfix.add_service(
                name,
                sasl_conf(
                    {
                        "pgsasl_conninfo_file": None,
                        "pgsasl_conninfo": self.conninfo(route),
                        "pgsasl_timeout_ms": TIMEOUT_MS,
                        "pgsasl_spool_file": self.spool.path,
                    }
                    | options
                ),
                processes=processes,
                syslog_name=f"postfix/{name}",
                smtpd_peername_lookup="no",
            )
        return self.postfix.services[name]

    def connect(self, route, **options):
        """A connection to such a service, which must answer each AUTH in time."""
        return Smtp(self.service(route, **options), limit_s=LIMIT_S)

    def user(self):
        """The name of another user."""
        return add_user(self.cluster).name

    def reasons(self, name):
        """The reasons of a name's rows, in the order of the attempts."""
        return Audit(self.cluster).reasons(name)

    def details(self, name):
        """The details of those rows that an outage left."""
        return [row.detail for row in Audit(self.cluster).of(name) if row.reason == "backend_unavailable"]


@pytest.fixture(scope="module", name="faulty")
def fixture_faulty(workdir, postfix):
    """The cluster with the faults."""
    faulty = FaultyCluster(workdir, postfix)
    yield faulty
    faulty.close()


HOST_NAME = "database.pgsasl.test"  # in no DNS


def of_cluster(fault):
    """A fault of a cluster, as a fault of a faulty."""
    return lambda faulty: fault(faulty.cluster)


def another_password(faulty):
    """The plugin's role has another password."""
    return faults.of_role("PASSWORD 'another'", f"PASSWORD '{faulty.cluster.plugin_password}'")(faulty.cluster)


# What the rows' detail says of each.
DETAILS = {
    "server stopped": "Connection refused",
    "server frozen": "the server does not answer a ",
    "look-up blocked on a lock": "canceling statement due to statement timeout",
    "no login allowed": "is not permitted to log in",
    "too many connections": "too many connections for role",
    "no such function": r"function pgsasl.find_user\(.*\) does not exist",
    "no privilege to look up": "permission denied for function find_user",
}

# Name: the way to the database, the fault, and what the rows' detail says. In all of these nothing is known of the
# user.
LOOK_UP_FAULTS = {
    name: ("direct", of_cluster(fault), DETAILS[name]) for name, fault in faults.LOOK_UP_FAULTS.items()
} | {
    "listener that says nothing": ("relay", lambda faulty: faulty.relay.silent(), "the server does not answer a "),
    "port that drops packets": ("far", lambda faulty: faulty.network.dropping(), "the server does not answer a "),
    "wrong database password": ("direct", another_password, "password authentication failed"),
    "read-only server where a writable one is asked for": (
        "writer",
        of_cluster(faults.read_only),
        "session is read-only",
    ),
}

# In these the look-up works, and the row cannot be stored.
AUDIT_FAULTS = {name: of_cluster(fault) for name, fault in faults.AUDIT_FAULTS.items()} | {
    "disk full": lambda faulty: faulty.disk.full()
}


def wait_until_drained(faulty, name):
    """Logs in until the spool is empty."""
    for _ in range(20):
        if not faulty.spool.waiting():
            return
        time.sleep(0.2)  # the plugin leaves an audit database alone for a second after it failed
        with faulty.connect("direct") as smtp:
            assert smtp.log_in("PLAIN", name, PASSWORD) == ACCEPTED
    pytest.fail(f"still in the spool: {faulty.spool.waiting()}")


# When the fault begins: before the first login of a session or after it; and the mechanisms of the logins.
WHEN = {"before": ("PLAIN", "LOGIN"), "in the middle": ("LOGIN", "PLAIN")}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("fault", LOOK_UP_FAULTS)
def test_nothing_known(faulty, fault, when):
    """454 for every login, in time, with a row each; afterwards the first login of the same smtpd is accepted."""
    route, make_fault, detail_pattern = LOOK_UP_FAULTS[fault]
    name = faulty.user()
    one, other = WHEN[when]
    with faulty.connect(route) as smtp:
        if when == "in the middle":
            assert smtp.log_in(one, name, "wrong") == REJECTED
        with make_fault(faulty):
            assert smtp.log_in(one, name, PASSWORD) == LATER
            assert smtp.log_in(other, name, "wrong") == LATER
        assert smtp.log_in(one, name, PASSWORD) == ACCEPTED
    wait_until_drained(faulty, name)
    before = ["wrong_password"] if when == "in the middle" else []
    assert faulty.reasons(name) == before + ["backend_unavailable"] * 2
    for detail in faulty.details(name):
        assert re.search(detail_pattern, detail)


@contextlib.contextmanager
def silent_name_server(faulty):
    """The name server drops all packets. smtpd reads resolv.conf in its chroot."""
    with faulty.network.dropping(), faults.files(
        faulty.postfix.base / "queue/etc",
        {"resolv.conf": f"nameserver {faulty.network.ADDRESS}\noptions timeout:1 attempts:1\n"},
    ):
        yield


# The fault, and how many logins at most still fail after it.
NAME_SERVERS = {
    "knows no such name": (lambda faulty: contextlib.nullcontext(), 0),
    "never answers": (silent_name_server, 10),
}


@pytest.mark.parametrize("name_server", NAME_SERVERS)
def test_name_that_does_not_resolve(faulty, name_server):
    """454 while the host's name does not resolve; once it does, the same smtpd connects.

    It connects at once, or when the C library has given up its earlier query.
    """
    name = faulty.user()
    make_fault, most = NAME_SERVERS[name_server]
    with faulty.connect("named", name=f"named-{len(name_server)}") as smtp:
        with make_fault(faulty):
            for mechanism, password in (("PLAIN", PASSWORD), ("LOGIN", PASSWORD), ("PLAIN", "wrong")):
                assert smtp.log_in(mechanism, name, password) == LATER
        with faults.files(faulty.postfix.base / "queue/etc", {"hosts": f"127.0.0.1 {HOST_NAME}\n"}):
            again = 0
            while (reply := smtp.log_in("PLAIN", name, PASSWORD)) == LATER and again < most:
                again += 1
            assert reply == ACCEPTED
    wait_until_drained(faulty, name)
    assert faulty.reasons(name) == ["backend_unavailable"] * (3 + again)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("fault", AUDIT_FAULTS)
def test_audit_changes_no_verdict(faulty, fault, when):
    """Right is right and wrong is wrong, in time; each wrong one has its row in the end."""
    name = faulty.user()
    with faulty.connect("direct") as smtp:
        if when == "in the middle":
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
        with AUDIT_FAULTS[fault](faulty):
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
            assert smtp.log_in("LOGIN", name, "wrong") == REJECTED
            assert faulty.spool.waiting()
            assert smtp.log_in("LOGIN", name, PASSWORD) == ACCEPTED
    wait_until_drained(faulty, name)
    assert faulty.reasons(name) == ["wrong_password"] * (3 if when == "in the middle" else 2)


@pytest.mark.parametrize("table", ["smtp_users", "auth_failures"])
def test_nothing_stays_behind(faulty, table):
    """A query that timed out also ends on the server: no backends pile up behind a lock."""
    name = faulty.user()
    with faulty.connect("direct") as smtp:
        assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
        with faults.locked(faulty.cluster, table):
            for _ in range(2):
                assert smtp.log_in("PLAIN", name, "wrong").code in (454, 535)
            wait_for(
                lambda: faulty.cluster.admin("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0",
                "the queries to end while the lock is still held",
                timeout=0.4,
            )
    wait_until_drained(faulty, name)
    assert len(faulty.reasons(name)) == 3


def test_committed_after_all(faulty):
    """The row was committed but the answer got lost: it is spooled, drained, and counted once."""
    name = faulty.user()
    with faulty.connect("relay") as smtp:
        with faulty.relay.mute("pgsasl_audit"):
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
            assert [row["username"] for row in faulty.spool.waiting()] == [name]
        assert faulty.reasons(name) == ["wrong_password"]
    wait_until_drained(faulty, name)
    assert faulty.reasons(name) == ["wrong_password"]


def test_many_processes_at_once(faulty):
    """Eight smtpd processes fill the spool and drain it at the same time: each attempt has one row."""
    name = faulty.user()
    faulty.service("direct", name="many", processes="-")
    begin = threading.Barrier(8)

    def attempts(password, number):
        with faulty.connect("direct", name="many", processes="-") as smtp:
            begin.wait()
            return {smtp.log_in("PLAIN", name, password) for _ in range(number)}

    with ThreadPoolExecutor(8) as pool:
        with faults.stopped(faulty.cluster):
            assert set.union(*pool.map(attempts, ["wrong"] * 8, [8] * 8)) == {LATER}
        assert set.union(*pool.map(attempts, [PASSWORD] * 8, [1] * 8)) == {ACCEPTED}
    wait_until_drained(faulty, name)
    assert faulty.reasons(name) == ["backend_unavailable"] * 64


# Why no line can be written: the spool's file, its size before, the fault, and what the log says.
NO_ROOM = {
    "full": ("full.spool", 64 * 1024, lambda faulty: contextlib.nullcontext(), "is full (pgsasl_spool_max_kb)"),
    "its disk full": ("small-disk/full.spool", 4096, lambda faulty: faulty.disk.full(), "cannot be written"),
}


@pytest.mark.parametrize("case", NO_ROOM)
def test_no_room_in_the_spool(faulty, case):
    """Neither database nor spool accepts the row: the answer is the same, and the log line has the whole row."""
    path, size, make_fault, why = NO_ROOM[case]
    spool = faulty.workdir / path
    spool.touch(mode=0o600)
    spool.write_bytes(header() + b"." * (size - 65) + b"\n")
    name = "a rather long name, " + "\u00e9" * 100
    options = {"name": path.replace("/", "-"), "pgsasl_spool_file": spool, "pgsasl_spool_max_kb": 64}
    log = LogMark(faulty.postfix)
    with faulty.connect("direct", **options) as smtp, make_fault(faulty), faults.stopped(faulty.cluster):
        assert smtp.log_in("PLAIN", name, PASSWORD) == LATER
    (line,) = log.wait_for("audit=lost")
    found = re.search(r'attempt=([0-9a-f-]{36}) detail=".+" audit=lost spool="(.*)" row=(\{.*\})$', line)
    assert found, line
    row = json.loads(found[3])
    assert found[2].startswith(why)
    assert (row["attempt_id"], row["username"], row["reason"]) == (found[1], name, "backend_unavailable")
    assert (row["failed_checks"], row["client_addr"], row["service"]) == (["backend_unavailable"], "127.0.0.1", "smtp")
