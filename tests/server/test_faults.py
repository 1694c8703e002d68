"""Whatever befalls the database: an answer in time, never the wrong one, one row for each attempt in the end, and nothing to
restart afterwards."""

import contextlib
import json
import time

import pytest
from answers import ACCEPTED, LATER, REJECTED
from conftest import PASSWORD, cheap_hash
from harness import faults
from harness.clients import Smtp, plain
from harness.cluster import PLUGIN_LOGIN, Cluster, literal
from harness.postfix import sasl_conf

TIMEOUT_MS = 800
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
            "nameless": {"host": "no-such-host.invalid"}}[route])

    def service(self, route):
        """A service of one smtpd process, so that each connection meets the same one."""
        name = f"patient-{route}"
        if name not in self.postfix.services:
            self.postfix.add_service(name, sasl_conf({
                "pgsasl_conninfo_file": None, "pgsasl_conninfo": self.conninfo(route), "pgsasl_timeout_ms": TIMEOUT_MS,
                "pgsasl_spool_file": self.spool}), processes=1, syslog_name=f"postfix/{name}")
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


RENAME = "ALTER FUNCTION pgsasl.find_user(text, inet) RENAME TO {}", "ALTER FUNCTION pgsasl.{}(text, inet) RENAME TO find_user"

# Name: the way to the database, and the fault. In all of these nothing is known of the user.
BLIND = {
    "server stopped": ("direct", lambda patient: faults.stopped(patient.cluster)),
    "server frozen": ("direct", lambda patient: faults.frozen(patient.cluster)),
    "listener that says nothing": ("relay", lambda patient: patient.relay.silent()),
    "port that drops packets": ("far", lambda patient: patient.network.dropping()),
    "look-up blocked on a lock": ("direct", lambda patient: faults.locked(patient.cluster, "smtp_users")),
    "wrong database password": ("direct", lambda patient: faults.changed(
        patient.cluster, f"ALTER ROLE {PLUGIN_LOGIN} PASSWORD 'another'",
        f"ALTER ROLE {PLUGIN_LOGIN} PASSWORD '{patient.cluster.plugin_password}'")),
    "no login allowed": ("direct", lambda patient: faults.changed(
        patient.cluster, f"ALTER ROLE {PLUGIN_LOGIN} NOLOGIN", f"ALTER ROLE {PLUGIN_LOGIN} LOGIN")),
    "too many connections": ("direct", lambda patient: faults.changed(
        patient.cluster, f"ALTER ROLE {PLUGIN_LOGIN} CONNECTION LIMIT 0", f"ALTER ROLE {PLUGIN_LOGIN} CONNECTION LIMIT -1")),
    "no such function": ("direct", lambda patient: faults.changed(
        patient.cluster, "ALTER FUNCTION pgsasl.find_user(text, inet) RENAME TO lost_user",
        "ALTER FUNCTION pgsasl.lost_user(text, inet) RENAME TO find_user")),
    "no privilege to look up": ("direct", lambda patient: faults.changed(
        patient.cluster, f"REVOKE EXECUTE ON FUNCTION pgsasl.find_user(text, inet) FROM {PLUGIN_LOGIN}",
        f"GRANT EXECUTE ON FUNCTION pgsasl.find_user(text, inet) TO {PLUGIN_LOGIN}")),
}

# In these the look-up works, and the row can't be stored.
RECORD = "pgsasl.record_failure(uuid, timestamptz, text, text, text, text[], text, inet, integer, inet, text, text, text)"
DEAF = {
    "audit table locked": lambda patient: faults.locked(patient.cluster, "auth_failures"),
    "audit table gone": lambda patient: faults.changed(
        patient.cluster, "ALTER TABLE pgsasl.auth_failures RENAME TO lost", "ALTER TABLE pgsasl.lost RENAME TO auth_failures"),
    "no privilege to record": lambda patient: faults.changed(
        patient.cluster, f"REVOKE EXECUTE ON FUNCTION {RECORD} FROM {PLUGIN_LOGIN}",
        f"GRANT EXECUTE ON FUNCTION {RECORD} TO {PLUGIN_LOGIN}"),
    "disk full": lambda patient: patient.disk.full(),
    "read-only server": lambda patient: faults.changed(
        patient.cluster, f"ALTER ROLE {PLUGIN_LOGIN} SET default_transaction_read_only = on",
        f"ALTER ROLE {PLUGIN_LOGIN} RESET default_transaction_read_only"),
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


@pytest.mark.parametrize("when", ["before", "in the middle"])
@pytest.mark.parametrize("fault", BLIND)
def test_nothing_known(patient, fault, when):
    """454 for everybody, in time, with a row each; afterwards the first attempt of the same smtpd is accepted."""
    route, befall = BLIND[fault]
    name = patient.user()
    mechanism = "PLAIN" if when == "before" else "LOGIN"
    with Smtp(patient.service(route)) as smtp:
        if when == "in the middle":
            assert answer(smtp, mechanism, name, "wrong") == REJECTED
        with befall(patient):
            assert answer(smtp, mechanism, name, PASSWORD) == LATER
            assert answer(smtp, mechanism, name, "wrong") == LATER
        assert answer(smtp, mechanism, name, PASSWORD) == ACCEPTED
    settled(patient, name)
    before = ["wrong_password"] if when == "in the middle" else []
    assert patient.reasons(name) == before + ["backend_unavailable"] * 2


def test_name_that_does_not_resolve(patient):
    """A host name that nobody knows."""
    name = patient.user()
    with Smtp(patient.service("nameless")) as smtp:
        for mechanism in ("PLAIN", "LOGIN"):
            assert answer(smtp, mechanism, name, PASSWORD) == LATER
    settled(patient, name)
    assert patient.reasons(name) == ["backend_unavailable"] * 2


@pytest.mark.parametrize("when", ["before", "in the middle"])
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
