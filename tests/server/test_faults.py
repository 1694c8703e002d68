"""Whatever befalls the database: an answer in time, never the wrong one, one row for each attempt in the end, and nothing to
restart afterwards."""

import contextlib
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from answers import ACCEPTED, LATER, REJECTED
from conftest import PASSWORD, cheap_hash
from harness import faults
from harness.clients import Smtp, plain
from harness.cluster import PLUGIN_LOGIN, Cluster, literal
from harness.postfix import LogMark, sasl_conf
from harness.processes import wait_for

TIMEOUT_MS = 600
SLACK_S = 1.2  # a busy machine, and the hash


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
        self.account = self.cluster.sql("SELECT pgsasl.add_account('patients')")
        # The throttle looks into the audit table at every look-up; here it does, and finds nothing.
        self.cluster.sql("UPDATE pgsasl.settings SET throttle_user_client = 10000, throttle_client = 10000")
        self.spool = workdir / "patient.spool"
        self.number = 0

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
                "pgsasl_spool_file": self.spool} | options), processes=processes, syslog_name=f"postfix/{name}",
                smtpd_peername_lookup="no")
        return self.postfix.services[name]

    def user(self):
        """Another user."""
        self.number += 1
        name = f"patient-{self.number}"
        self.cluster.sql("INSERT INTO pgsasl.smtp_users (username, password_hash, account_id) "
                         f"VALUES ('{name}', {literal(cheap_hash(PASSWORD))}, {self.account})")
        return name

    def reasons(self, name):
        """What the audit table has of a name, in the order of the attempts."""
        return self.cluster.sql("SELECT reason FROM pgsasl.auth_failures "
                                f"WHERE username = '{name}' ORDER BY occurred_at").split()

    def details(self, name):
        """What those of them say that stand for an outage."""
        return self.cluster.sql("SELECT detail FROM pgsasl.auth_failures "
                                f"WHERE username = '{name}' AND reason = 'backend_unavailable'").splitlines()

    def waiting(self):
        """The lines in the spool."""
        lines = self.spool.read_text(encoding="utf-8").splitlines()
        drained = int(json.loads(lines[0])["drained"])
        return "" if drained >= self.spool.stat().st_size else lines[1:]


@pytest.fixture(scope="module", name="patient")
def fixture_patient(workdir, postfix):
    """The cluster that everything happens to."""
    patient = Patient(workdir, postfix)
    yield patient
    patient.close()


HOST_NAME = "database.pgsasl.test"  # which nobody knows


def sql(change, undo):
    """A fault made by SQL."""
    return lambda patient: faults.changed(patient.cluster, change, undo.format(password=patient.cluster.plugin_password))


ROLE = f"ALTER ROLE {PLUGIN_LOGIN}"
FIND_USER = "FUNCTION pgsasl.find_user(text, inet)"
READ_ONLY = sql(  # as a standby is
    f"{ROLE} SET default_transaction_read_only = on", f"{ROLE} RESET default_transaction_read_only")

# Name: the way to the database, the fault, and what the rows' detail says. In all of these nothing is known of the user.
BLIND = {
    "server stopped": ("direct", lambda patient: faults.stopped(patient.cluster), "Connection refused"),
    "server frozen": ("direct", lambda patient: faults.frozen(patient.cluster), "the server does not answer a "),
    "listener that says nothing": ("relay", lambda patient: patient.relay.silent(), "the server does not answer a "),
    "port that drops packets": ("far", lambda patient: patient.network.dropping(), "the server does not answer a "),
    "look-up blocked on a lock": (
        "direct", lambda patient: faults.locked(patient.cluster, "smtp_users"),
        "canceling statement due to statement timeout"),
    "wrong database password": (
        "direct", sql(f"{ROLE} PASSWORD 'another'", f"{ROLE} PASSWORD '{{password}}'"), "password authentication failed"),
    "no login allowed": ("direct", sql(f"{ROLE} NOLOGIN", f"{ROLE} LOGIN"), "is not permitted to log in"),
    "too many connections": (
        "direct", sql(f"{ROLE} CONNECTION LIMIT 0", f"{ROLE} CONNECTION LIMIT -1"), "too many connections for role"),
    "no such function": (
        "direct", sql(f"ALTER {FIND_USER} RENAME TO lost", "ALTER FUNCTION pgsasl.lost(text, inet) RENAME TO find_user"),
        r"function pgsasl.find_user\(.*\) does not exist"),
    "no privilege to look up": (
        "direct",
        sql(f"REVOKE EXECUTE ON {FIND_USER} FROM {PLUGIN_LOGIN}", f"GRANT EXECUTE ON {FIND_USER} TO {PLUGIN_LOGIN}"),
        "permission denied for function find_user"),
    "read-only server where a writable one is asked for": ("writer", READ_ONLY, "session is read-only"),
}

# In these the look-up works, and the row can't be stored.
RECORD = "pgsasl.record_failure(uuid, timestamptz, text, text, text, text[], text, inet, integer, inet, text, text, text)"
DEAF = {
    "audit table locked": lambda patient: faults.locked(patient.cluster, "auth_failures"),
    "audit table gone": sql(
        "ALTER TABLE pgsasl.auth_failures RENAME TO lost", "ALTER TABLE pgsasl.lost RENAME TO auth_failures"),
    "no privilege to record": sql(
        f"REVOKE EXECUTE ON FUNCTION {RECORD} FROM {PLUGIN_LOGIN}", f"GRANT EXECUTE ON FUNCTION {RECORD} TO {PLUGIN_LOGIN}"),
    "disk full": lambda patient: patient.disk.full(),
    "read-only server": READ_ONLY,
}


def message(mechanism, name, password):
    """The responses of either mechanism."""
    octets = name.encode(), password.encode()
    return [plain(*octets)] if mechanism == "PLAIN" else list(octets)


def answer(smtp, mechanism, name, password):
    """The answer to one AUTH, which has to come in time."""
    began = time.monotonic()
    reply = smtp.authenticate(mechanism, *message(mechanism, name, password))
    took = time.monotonic() - began
    assert took < TIMEOUT_MS / 1000 + SLACK_S, f"{reply} after {took:.1f} s"
    return reply


def settled(patient, name):
    """Waits until nothing is in the spool any more, as one login after the other moves it on."""
    for _ in range(20):
        if not patient.waiting():
            return
        time.sleep(0.2)  # the plugin leaves an audit database alone for a second after it failed
        with Smtp(patient.service("direct")) as smtp:
            assert answer(smtp, "PLAIN", name, PASSWORD) == ACCEPTED
    pytest.fail(f"still in the spool: {patient.waiting()}")


MECHANISMS = {"before": ("PLAIN", "LOGIN"), "in the middle": ("LOGIN", "PLAIN")}


@pytest.mark.parametrize("when", MECHANISMS)
@pytest.mark.parametrize("fault", BLIND)
def test_nothing_known(patient, fault, when):
    """454 for everybody, in time, with a row each; afterwards the first attempt of the same smtpd is accepted."""
    route, befall, said = BLIND[fault]
    name = patient.user()
    one, other = MECHANISMS[when]
    with Smtp(patient.service(route)) as smtp:
        if when == "in the middle":
            assert answer(smtp, one, name, "wrong") == REJECTED
        with befall(patient):
            assert answer(smtp, one, name, PASSWORD) == LATER
            assert answer(smtp, other, name, "wrong") == LATER
        assert answer(smtp, one, name, PASSWORD) == ACCEPTED
    settled(patient, name)
    before = ["wrong_password"] if when == "in the middle" else []
    assert patient.reasons(name) == before + ["backend_unavailable"] * 2
    for detail in patient.details(name):
        assert re.search(said, detail)


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
    befall, most = NAME_SERVERS[name_server]
    service = patient.service("named", name=f"named-{len(name_server)}")
    with Smtp(service) as smtp:
        with befall(patient):
            for mechanism, password in (("PLAIN", PASSWORD), ("LOGIN", PASSWORD), ("PLAIN", "wrong")):
                assert answer(smtp, mechanism, name, password) == LATER
        with faults.files(patient.postfix.base / "queue/etc", {"hosts": f"127.0.0.1 {HOST_NAME}\n"}):
            again = 0
            while (reply := answer(smtp, "PLAIN", name, PASSWORD)) == LATER and again < most:
                again += 1
            assert reply == ACCEPTED
    settled(patient, name)
    assert patient.reasons(name) == ["backend_unavailable"] * (3 + again)


@pytest.mark.parametrize("when", MECHANISMS)
@pytest.mark.parametrize("fault", DEAF)
def test_audit_changes_no_verdict(patient, fault, when):
    """Right is right and wrong is wrong, in time; each wrong one has its row in the end."""
    name = patient.user()
    with Smtp(patient.service("direct")) as smtp:
        if when == "in the middle":
            assert answer(smtp, "PLAIN", name, "wrong") == REJECTED
        with DEAF[fault](patient):
            assert answer(smtp, "PLAIN", name, "wrong") == REJECTED
            assert answer(smtp, "LOGIN", name, "wrong") == REJECTED
            assert patient.waiting()
            assert answer(smtp, "LOGIN", name, PASSWORD) == ACCEPTED
    settled(patient, name)
    assert patient.reasons(name) == ["wrong_password"] * (3 if when == "in the middle" else 2)


@pytest.mark.parametrize("table", ["smtp_users", "auth_failures"])
def test_nothing_stays_behind(patient, table):
    """A query that was given up is ended on the server, too: behind a lock no backends of ours gather."""
    name = patient.user()
    with Smtp(patient.service("direct")) as smtp:
        assert answer(smtp, "PLAIN", name, "wrong") == REJECTED
        with faults.locked(patient.cluster, table):
            for _ in range(2):
                assert answer(smtp, "PLAIN", name, "wrong").code in (454, 535)
            wait_for(lambda: patient.cluster.admin("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0",
                     "the queries to end while the lock is still held", timeout=0.4)
    settled(patient, name)
    assert len(patient.reasons(name)) == 3


def test_committed_after_all(patient):
    """The row was committed, and its answer lost on the way: it is spooled, moved on, and counts once."""
    name = patient.user()
    with Smtp(patient.service("relay")) as smtp:
        with patient.relay.mute("pgsasl_audit"):
            assert answer(smtp, "PLAIN", name, "wrong") == REJECTED
            assert [json.loads(line)["username"] for line in patient.waiting()] == [name]
        assert patient.reasons(name) == ["wrong_password"]
    settled(patient, name)
    assert patient.reasons(name) == ["wrong_password"]


def test_many_processes_at_once(patient):
    """Eight smtpd processes fill the spool at once and empty it at once: each attempt has one row."""
    name = patient.user()
    service = patient.service("direct", name="many", processes="-")

    begin = threading.Barrier(8)

    def attempts(password, number):
        with Smtp(service) as smtp:
            begin.wait()
            return {answer(smtp, "PLAIN", name, password) for _ in range(number)}

    with ThreadPoolExecutor(8) as pool:
        with faults.stopped(patient.cluster):
            assert set.union(*pool.map(attempts, ["wrong"] * 8, [8] * 8)) == {LATER}
        assert set.union(*pool.map(attempts, [PASSWORD] * 8, [1] * 8)) == {ACCEPTED}
    settled(patient, name)
    assert patient.reasons(name) == ["backend_unavailable"] * 64


# How a spool comes to take no more lines: where it lies, its size before, its limit, and what holds meanwhile.
NO_ROOM = {
    "full": ("full.spool", 64 * 1024, lambda patient: contextlib.nullcontext(), "is full (pgsasl_spool_max_kb)"),
    "its disk full": ("small-disk/full.spool", 4096, lambda patient: patient.disk.full(), "cannot be written"),
}


@pytest.mark.parametrize("case", NO_ROOM)
def test_no_room_in_the_spool(patient, case):
    """Neither database nor spool takes the row: the answer is the same, and the line of the log has all of it."""
    path, size, befall, why = NO_ROOM[case]
    spool = patient.workdir / path
    spool.touch(mode=0o600)
    spool.write_bytes(b"." * (size - 1) + b"\n")
    name = "a rather long name, " + "\u00e9" * 100
    service = patient.service("direct", name=path.replace("/", "-"), pgsasl_spool_file=spool, pgsasl_spool_max_kb=64)
    log = LogMark(patient.postfix)
    with Smtp(service) as smtp, befall(patient), faults.stopped(patient.cluster):
        assert answer(smtp, "PLAIN", name, PASSWORD) == LATER
    (line,) = log.wait_for("audit=lost")
    shown = "".join(chr(octet) if octet < 128 else f"\\x{octet:02x}" for octet in name.encode())
    for field in (f'username="{shown}"', "reason=backend_unavailable", "checks={backend_unavailable}", "client=127.0.0.1",
                  "mechanism=PLAIN", "server=127.0.0.1", "service=smtp", "host=mail.example.test", f'spool="{why}'):
        assert field in line, line
    assert re.search(r'attempt=[0-9a-f-]{36} detail=".+" audit=lost occurred_at="[-0-9 :.]+\+00" .* port=\d+ ', line)
