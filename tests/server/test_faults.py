"""Whatever fault the database has: an answer in time, never the wrong one, one row for each attempt in the end, and nothing to
restart afterwards."""

import contextlib
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
from harness.spool import Spool
from harness.users import add_user

TIMEOUT_MS = 600
LIMIT_S = TIMEOUT_MS / 1000 + 1.2  # a busy machine, and the hash


class Patient:
    """A cluster of its own, with all that can be done to it, and the smtpd services that ask it."""

    def __init__(self, workdir, postfix):
        self.workdir, self.postfix = workdir, postfix
        self.cluster = Cluster.create(workdir / "patient")
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
        # The throttle looks into the audit table at every look-up; here it does, and finds nothing.
        self.cluster.sql("UPDATE pgsasl.settings SET throttle_user_client = 10000, throttle_client = 10000")
        self.spool = Spool(workdir / "patient.spool")

    def close(self):
        """Undoes all of it, in turn."""
        self.open.close()

    def conninfo(self, route):
        """How the plugin gets to the cluster."""
        return self.cluster.conninfo(**{
            "direct": {}, "relay": {"port": self.relay.port},
            "far": {"host": self.network.ADDRESS, "port": self.far_relay.port},
            "writer": {"target_session_attrs": "read-write"}, "named": {"host": HOST_NAME}}[route])

    def service(self, route, name=None, processes=1, **options):
        """A service of one smtpd process, so that each connection meets the same one."""
        name = f"patient-{name or route}"
        if name not in self.postfix.services:
            self.postfix.add_service(name, sasl_conf({
                "pgsasl_conninfo_file": None, "pgsasl_conninfo": self.conninfo(route), "pgsasl_timeout_ms": TIMEOUT_MS,
                "pgsasl_spool_file": self.spool.path} | options), processes=processes, syslog_name=f"postfix/{name}",
                smtpd_peername_lookup="no")
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


@pytest.fixture(scope="module", name="patient")
def fixture_patient(workdir, postfix):
    """The cluster that everything happens to."""
    patient = Patient(workdir, postfix)
    yield patient
    patient.close()


HOST_NAME = "database.pgsasl.test"  # which nobody knows


def of_cluster(fault):
    """A fault of a cluster, as a fault of a patient."""
    return lambda patient: fault(patient.cluster)


def another_password(patient):
    """The plugin's role has another password."""
    return faults.of_role("PASSWORD 'another'", f"PASSWORD '{patient.cluster.plugin_password}'")(patient.cluster)


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

# Name: the way to the database, the fault, and what the rows' detail says. In all of these nothing is known of the user.
LOOK_UP_FAULTS = {name: ("direct", of_cluster(fault), DETAILS[name]) for name, fault in faults.LOOK_UP_FAULTS.items()} | {
    "listener that says nothing": ("relay", lambda patient: patient.relay.silent(), "the server does not answer a "),
    "port that drops packets": ("far", lambda patient: patient.network.dropping(), "the server does not answer a "),
    "wrong database password": ("direct", another_password, "password authentication failed"),
    "read-only server where a writable one is asked for": (
        "writer", of_cluster(faults.read_only), "session is read-only"),
}

# In these the look-up works, and the row cannot be stored.
AUDIT_FAULTS = {name: of_cluster(fault) for name, fault in faults.AUDIT_FAULTS.items()} | {
    "disk full": lambda patient: patient.disk.full()}


def wait_until_drained(patient, name):
    """Waits until nothing is in the spool any more, as one login after the other moves it on."""
    for _ in range(20):
        if not patient.spool.waiting():
            return
        time.sleep(0.2)  # the plugin leaves an audit database alone for a second after it failed
        with patient.connect("direct") as smtp:
            assert smtp.log_in("PLAIN", name, PASSWORD) == ACCEPTED
    pytest.fail(f"still in the spool: {patient.spool.waiting()}")


# When the fault begins: before the first login of a session or after it; and the mechanisms of the logins.
WHEN = {"before": ("PLAIN", "LOGIN"), "in the middle": ("LOGIN", "PLAIN")}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("fault", LOOK_UP_FAULTS)
def test_nothing_known(patient, fault, when):
    """454 for everybody, in time, with a row each; afterwards the first attempt of the same smtpd is accepted."""
    route, make_fault, detail_pattern = LOOK_UP_FAULTS[fault]
    name = patient.user()
    one, other = WHEN[when]
    with patient.connect(route) as smtp:
        if when == "in the middle":
            assert smtp.log_in(one, name, "wrong") == REJECTED
        with make_fault(patient):
            assert smtp.log_in(one, name, PASSWORD) == LATER
            assert smtp.log_in(other, name, "wrong") == LATER
        assert smtp.log_in(one, name, PASSWORD) == ACCEPTED
    wait_until_drained(patient, name)
    before = ["wrong_password"] if when == "in the middle" else []
    assert patient.reasons(name) == before + ["backend_unavailable"] * 2
    for detail in patient.details(name):
        assert re.search(detail_pattern, detail)


@contextlib.contextmanager
def silent_name_server(patient):
    """The name server is behind the port that drops packets. Where smtpd is, the root of all files is its chroot."""
    with patient.network.dropping(), faults.files(patient.postfix.base / "queue/etc", {
            "resolv.conf": f"nameserver {patient.network.ADDRESS}\noptions timeout:1 attempts:1\n"}):
        yield


# What a name server does, and how often its host stays unknown afterwards at most.
NAME_SERVERS = {
    "knows no such name": (lambda patient: contextlib.nullcontext(), 0),
    "never answers": (silent_name_server, 10),
}


@pytest.mark.parametrize("name_server", NAME_SERVERS)
def test_name_that_does_not_resolve(patient, name_server):
    """454 while nobody knows the host's name; once it is known, the same smtpd finds the way.

    At once, or when the C library has given up on the question that it asked before.
    """
    name = patient.user()
    make_fault, most = NAME_SERVERS[name_server]
    with patient.connect("named", name=f"named-{len(name_server)}") as smtp:
        with make_fault(patient):
            for mechanism, password in (("PLAIN", PASSWORD), ("LOGIN", PASSWORD), ("PLAIN", "wrong")):
                assert smtp.log_in(mechanism, name, password) == LATER
        with faults.files(patient.postfix.base / "queue/etc", {"hosts": f"127.0.0.1 {HOST_NAME}\n"}):
            again = 0
            while (reply := smtp.log_in("PLAIN", name, PASSWORD)) == LATER and again < most:
                again += 1
            assert reply == ACCEPTED
    wait_until_drained(patient, name)
    assert patient.reasons(name) == ["backend_unavailable"] * (3 + again)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("fault", AUDIT_FAULTS)
def test_audit_changes_no_verdict(patient, fault, when):
    """Right is right and wrong is wrong, in time; each wrong one has its row in the end."""
    name = patient.user()
    with patient.connect("direct") as smtp:
        if when == "in the middle":
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
        with AUDIT_FAULTS[fault](patient):
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
            assert smtp.log_in("LOGIN", name, "wrong") == REJECTED
            assert patient.spool.waiting()
            assert smtp.log_in("LOGIN", name, PASSWORD) == ACCEPTED
    wait_until_drained(patient, name)
    assert patient.reasons(name) == ["wrong_password"] * (3 if when == "in the middle" else 2)


@pytest.mark.parametrize("table", ["smtp_users", "auth_failures"])
def test_nothing_stays_behind(patient, table):
    """A query that was given up is ended on the server, too: behind a lock no backends of ours gather."""
    name = patient.user()
    with patient.connect("direct") as smtp:
        assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
        with faults.locked(patient.cluster, table):
            for _ in range(2):
                assert smtp.log_in("PLAIN", name, "wrong").code in (454, 535)
            wait_for(lambda: patient.cluster.admin("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0",
                     "the queries to end while the lock is still held", timeout=0.4)
    wait_until_drained(patient, name)
    assert len(patient.reasons(name)) == 3


def test_committed_after_all(patient):
    """The row was committed, and its answer lost on the way: it is spooled, moved on, and counts once."""
    name = patient.user()
    with patient.connect("relay") as smtp:
        with patient.relay.mute("pgsasl_audit"):
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
            assert [row["username"] for row in patient.spool.waiting()] == [name]
        assert patient.reasons(name) == ["wrong_password"]
    wait_until_drained(patient, name)
    assert patient.reasons(name) == ["wrong_password"]


def test_many_processes_at_once(patient):
    """Eight smtpd processes fill the spool at once and empty it at once: each attempt has one row."""
    name = patient.user()
    patient.service("direct", name="many", processes="-")
    begin = threading.Barrier(8)

    def attempts(password, number):
        with patient.connect("direct", name="many", processes="-") as smtp:
            begin.wait()
            return {smtp.log_in("PLAIN", name, password) for _ in range(number)}

    with ThreadPoolExecutor(8) as pool:
        with faults.stopped(patient.cluster):
            assert set.union(*pool.map(attempts, ["wrong"] * 8, [8] * 8)) == {LATER}
        assert set.union(*pool.map(attempts, [PASSWORD] * 8, [1] * 8)) == {ACCEPTED}
    wait_until_drained(patient, name)
    assert patient.reasons(name) == ["backend_unavailable"] * 64


# Why a spool takes no more lines: its file, its size before, the fault, and what the log says.
NO_ROOM = {
    "full": ("full.spool", 64 * 1024, lambda patient: contextlib.nullcontext(), "is full (pgsasl_spool_max_kb)"),
    "its disk full": ("small-disk/full.spool", 4096, lambda patient: patient.disk.full(), "cannot be written"),
}


@pytest.mark.parametrize("case", NO_ROOM)
def test_no_room_in_the_spool(patient, case):
    """Neither database nor spool takes the row: the answer is the same, and the line of the log has all of it."""
    path, size, make_fault, why = NO_ROOM[case]
    spool = patient.workdir / path
    spool.touch(mode=0o600)
    spool.write_bytes(b"." * (size - 1) + b"\n")
    name = "a rather long name, " + "\u00e9" * 100
    options = {"name": path.replace("/", "-"), "pgsasl_spool_file": spool, "pgsasl_spool_max_kb": 64}
    log = LogMark(patient.postfix)
    with patient.connect("direct", **options) as smtp, make_fault(patient), faults.stopped(patient.cluster):
        assert smtp.log_in("PLAIN", name, PASSWORD) == LATER
    (line,) = log.wait_for("audit=lost")
    shown = "".join(chr(octet) if octet < 128 else f"\\x{octet:02x}" for octet in name.encode())
    for field in (f'username="{shown}"', "reason=backend_unavailable", "checks={backend_unavailable}", "client=127.0.0.1",
                  "mechanism=PLAIN", "server=127.0.0.1", "service=smtp", "host=mail.example.test", f'spool="{why}'):
        assert field in line, line
    assert re.search(r'attempt=[0-9a-f-]{36} detail=".+" audit=lost occurred_at="[-0-9 :.]+\+00" .* port=\d+ ', line)
