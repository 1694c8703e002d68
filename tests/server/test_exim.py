"""The same on Exim, which starts libsasl for every AUTH, as its own user."""

import contextlib
import pwd
import re
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from harness import faults
from harness.answers import EXIM
from harness.audit import Audit, Desk
from harness.cases import CASES, TABLE, check_case, run_case
from harness.clients import CLIENTS, MECHANISMS, Reply, Smtp, encode, log_in
from harness.cluster import Cluster
from harness.exim import SAMPLES, USER, Exim, find_exim
from harness.hashes import PASSWORD, slow_hash
from harness.postfix import LogMark, sanitizer_of
from harness.processes import run, wait_for
from harness.services import services
from harness.spool import Spool
from harness.users import add_user

ACCEPTED, REJECTED, LATER = EXIM.accepted, EXIM.rejected, EXIM.later
NOT_OFFERED = Reply(503, "AUTH command used when not advertised")

TIMEOUT_MS = 800
LIMIT_S = TIMEOUT_MS / 1000 + 1.5  # a busy machine, the hash, and Exim's start of libsasl


@pytest.fixture(name="configure")
def fixture_configure(exim):
    """Changes options of the sample's SASL configuration; the sample is restored after the test."""
    yield exim.configure
    exim.configure()


@pytest.fixture(name="clear")
def fixture_clear(exim, configure):
    """The port without TLS; the plugin does not require TLS."""
    configure(pgsasl_require_tls="no")
    return exim.services["clear"]


@pytest.fixture(name="exim_desk")
def fixture_exim_desk(exim, db):
    """Gathers what the client, the audit table and the log say of an attempt."""
    return Desk(exim, Audit(db))


@pytest.mark.parametrize("service_name", ["submission", "submissions"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("client", CLIENTS)
def test_log_in_and_send(exim, user, client, mechanism, service_name):
    """The sample as it is: logs in under TLS, sends a message that is accepted, and Exim names the user in its log."""
    log = LogMark(exim)
    login = CLIENTS[client](exim.services[service_name], user.name, user.password, mechanism, exim.certificate)
    assert login.reply == ACCEPTED, login.transcript
    assert login.accepted is not None, login.transcript
    log.wait_for(rf" <= \S+ .* A=pgsasl_{mechanism.lower()}:{user.name} ")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_not_offered_before_tls(exim, mechanism):
    """The sample's server_advertise_condition: AUTH is not offered in clear."""
    with Smtp(replace(exim.services["submission"], tls="none")) as smtp:
        assert smtp.mechanisms() == []
        assert smtp.command(b"AUTH " + mechanism.encode()) == NOT_OFFERED


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_require_tls(exim, exim_desk, user, mechanism):
    """pgsasl_require_tls: a right password is refused where Exim reports no TLS."""
    outcome = exim_desk.attempt(log_in, exim.services["clear"], mechanism, user.name, user.password)
    assert outcome.reply == REJECTED
    assert (outcome.row.reason, outcome.line()["reason"]) == ("tls_required", "tls_required")


# An empty response: to Exim the client has hung up. test_abandoned.py has these.
HUNG_UP = {("empty name", "LOGIN"), ("empty password", "LOGIN")}


@pytest.mark.parametrize("name, mechanism", [entry for entry in TABLE if entry not in HUNG_UP])
def test_reason(exim, exim_desk, cluster, configure, name, mechanism):
    """The answer, one whole row before it, and one line in syslog."""
    case = CASES[name]
    options = services(cluster, exim.sasl / "pgsasl.conninfo")[case.service]
    configure(**{"pgsasl_require_tls": "no"} | options)
    with Smtp(exim.services["clear"]) as smtp:
        outcome, user = run_case(case, mechanism, exim_desk, smtp)
        assert outcome.reply == EXIM.to(case.reason)
        check_case(case, mechanism, outcome, user, smtp.port)


def test_malformed_message(clear, exim_desk):
    """Neither 501 nor Exim's 553 for a mechanism that wants no initial response."""
    for octets in (b"no NUL", b"\0one NUL"):
        with Smtp(clear) as smtp:
            outcome = exim_desk.attempt(smtp.authenticate, "PLAIN", octets)
        assert (outcome.reply, outcome.row.reason) == (REJECTED, "malformed_response")


# Exim answers these alone; contrib/exim/README.md says so. No row, no line.
BY_THE_HOST = {
    "broken base64 as initial response": ([b"AUTH PLAIN A"], 501),
    "unsupported mechanism": ([b"AUTH CRAM-MD5"], 504),
}


@pytest.mark.parametrize("name", BY_THE_HOST)
def test_answered_by_the_host(clear, exim_desk, name):
    """The plugin never sees it."""
    lines, code = BY_THE_HOST[name]
    with Smtp(clear) as smtp:
        outcome = exim_desk.attempt(lambda: [smtp.command(line) for line in lines][-1])
        assert smtp.command(b"NOOP").code == 250
    assert (outcome.reply.code, outcome.rows) == (code, [])
    assert outcome.log.lines("pgsasl: ") == []


def test_who_insists_on_another_mechanism(exim, clear):
    """The command of contrib/exim/README.md finds the client and its mechanism in Exim's log."""
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^(sed -nE .*) /var/log/exim4/mainlog ", readme, re.MULTILINE).group(1)
    log = LogMark(exim)
    with Smtp(clear) as smtp:
        assert smtp.command(b"AUTH CRAM-MD5").code == 504
    (line,) = log.wait_for("SMTP protocol error in ")
    assert run("sh", "-c", command, stdin=line + "\n").stdout == "127.0.0.1 CRAM-MD5\n"


def test_unreadable_configuration(exim, exim_desk, user, configure):
    """contrib/exim/README.md warns of it: libsasl then sees no configuration and does not call the plugin."""
    configure(pgsasl_require_tls="no")
    (exim.sasl / "exim.conf").chmod(0o600)
    outcome = exim_desk.attempt(log_in, exim.services["clear"], "PLAIN", user.name, user.password)
    assert (outcome.reply, outcome.rows) == (REJECTED, [])
    outcome.log.wait_for("sasldb2")


def test_session_goes_on(clear, user):
    """Several failures on one connection, then a right password: one process starts libsasl each time."""
    with Smtp(clear) as smtp:
        for mechanism in ("PLAIN", "LOGIN", "LOGIN"):
            assert smtp.log_in(mechanism, user.name, "wrong") == REJECTED
        assert smtp.log_in("PLAIN", user.name, user.password) == ACCEPTED


# Option: a wrong value.
WRONG = {"pgsasl_timeout_ms": "soon", "pgsasl_conninfo_file": "/nowhere/at-all", "pgsasl_spool_file": "/nowhere/at-all"}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("option", WRONG)
def test_wrong_option(exim, user, configure, option, mechanism):
    """435, and exactly one line for each AUTH."""
    configure(**{"pgsasl_require_tls": "no", option: WRONG[option]})
    for _ in range(2):
        log = LogMark(exim)
        assert log_in(exim.services["clear"], mechanism, user.name, user.password) == LATER
        log.wait_for(exim.AFTER)
        lines = [line for line in log.lines(exim.OURS) if "rejected" not in line]
        assert len(lines) == 1, lines
        assert option in lines[0] and WRONG[option] in lines[0]


def spool_of(exim):
    """The spool file, in a directory of the Exim user."""
    return Spool(exim.base / "queue/pgsasl.spool")


@pytest.fixture(name="spool")
def fixture_spool(exim):
    """A spool that no test has used before."""
    spool = spool_of(exim)
    spool.path.unlink(missing_ok=True)
    return spool


# In these only the look-up fails, and the row is stored.
ROWS_GO_ON = ("no such function", "no privilege to look up")


@contextlib.contextmanager
def silent_listener():
    """A port whose connections the kernel takes and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def answer(service, mechanism, name, password):
    """The answer to one AUTH, which must come in time."""
    return log_in(service, mechanism, name, password, limit_s=LIMIT_S)


def reasons(db, name):
    """What the audit table has of a name, in the order of the attempts."""
    return Audit(db).reasons(name)


@pytest.fixture(name="spooling")
def fixture_spooling(exim, spool, configure):
    """The port without TLS, with a spool and a short deadline."""

    def spooling(**options):
        configure(
            **{"pgsasl_require_tls": "no", "pgsasl_timeout_ms": TIMEOUT_MS, "pgsasl_spool_file": spool.path} | options
        )
        return exim.services["clear"]

    return spooling


@pytest.mark.parametrize("fault", faults.LOOK_UP_FAULTS)
def test_nothing_known(spooling, spool, cluster, db, user, fault):
    """435 for every login, in time; the rows are in the spool, and the next login drains it."""
    service = spooling()
    with faults.LOOK_UP_FAULTS[fault](cluster):
        for number, mechanism in enumerate(MECHANISMS):
            assert answer(service, mechanism, user.name, user.password) == LATER
            assert answer(service, mechanism, user.name, "wrong") == LATER
            if fault not in ROWS_GO_ON:
                assert len(spool.waiting()) == 2 * number + 2
    assert answer(service, "PLAIN", user.name, user.password) == ACCEPTED
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["backend_unavailable"] * 4


# Words of the connection string that lead nowhere.
LOST = {
    "name that does not resolve": {"host": "no-such-host.invalid"},
    "wrong database password": {"password": "another"},
    "no such database": {"dbname": "nowhere"},
    "nobody listens": {"port": 1},
}


@pytest.mark.parametrize("fault", [*LOST, "listener that says nothing"])
def test_never_reached(spooling, spool, cluster, db, user, fault):
    """The same when the connection string leads nowhere."""
    with silent_listener() as silent:
        words = LOST.get(fault, {"port": silent})
        service = spooling(pgsasl_conninfo_file=None, pgsasl_conninfo=cluster.conninfo(**words))
        for mechanism in MECHANISMS:
            assert answer(service, mechanism, user.name, user.password) == LATER
    assert [line["mechanism"] for line in spool.waiting()] == list(MECHANISMS)
    assert answer(spooling(), "LOGIN", user.name, user.password) == ACCEPTED
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["backend_unavailable"] * 2


def test_dropped_packets(spooling, spool, cluster, db, user):
    """The network drops all packets to the database; once it stops, the first login is accepted."""
    with contextlib.ExitStack() as stack:
        network = faults.Network()
        stack.callback(network.close)
        relay = faults.Relay(cluster, network.ADDRESS, network.NAME)
        stack.callback(relay.close)
        service = spooling(
            pgsasl_conninfo_file=None, pgsasl_conninfo=cluster.conninfo(host=network.ADDRESS, port=relay.port)
        )
        with network.dropping():
            for mechanism in MECHANISMS:
                assert answer(service, mechanism, user.name, user.password) == LATER
        assert len(spool.waiting()) == 2
        for _ in range(5):  # a login that waited for the network leaves the rows to the next one
            assert answer(service, "LOGIN", user.name, user.password) == ACCEPTED
            if not spool.waiting():
                break
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["backend_unavailable"] * 2


def test_disk_full(spooling, spool, workdir):
    """There is no room for a row: the answers stay right, and once there is room the spool is drained."""
    cluster = Cluster.create(workdir / "exim-small")
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.stop)
        disk = faults.SmallDisk(cluster, workdir / "exim-small-disk")
        stack.push(lambda *_: (cluster.stop(), disk.close()))
        add_user(cluster, name="small")
        service = spooling(pgsasl_conninfo_file=None, pgsasl_conninfo=cluster.conninfo())
        with disk.full():
            for mechanism in MECHANISMS:
                assert answer(service, mechanism, "small", "wrong") == REJECTED
            assert len(spool.waiting()) == 2
            assert answer(service, "LOGIN", "small", PASSWORD) == ACCEPTED
        assert answer(service, "PLAIN", "small", PASSWORD) == ACCEPTED
        assert spool.waiting() == []
        assert reasons(cluster, "small") == ["wrong_password"] * 2


@pytest.mark.parametrize("fault", faults.AUDIT_FAULTS)
def test_audit_changes_no_verdict(spooling, spool, cluster, db, user, fault):
    """Right is right and wrong is wrong, in time; each wrong one has its row in the end."""
    service = spooling()
    with faults.AUDIT_FAULTS[fault](cluster):
        assert answer(service, "PLAIN", user.name, "wrong") == REJECTED
        assert answer(service, "LOGIN", user.name, "wrong") == REJECTED
        assert len(spool.waiting()) == 2
        assert answer(service, "LOGIN", user.name, user.password) == ACCEPTED
    assert answer(service, "PLAIN", user.name, user.password) == ACCEPTED
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["wrong_password"] * 2


@pytest.mark.parametrize("password, later", [(PASSWORD, ACCEPTED), ("wrong", REJECTED)], ids=["right", "wrong"])
def test_frozen_in_the_middle(spooling, cluster, db, user, password, later):
    """The server freezes between name and password; the next AUTH of the same connection gets the right answer."""
    with Smtp(spooling(), limit_s=LIMIT_S) as smtp:
        smtp.command(b"AUTH LOGIN")
        smtp.command(encode(user.octets[0]))
        with faults.frozen(cluster):
            began = time.monotonic()
            assert smtp.command(encode(password.encode())) == LATER
            assert time.monotonic() - began < LIMIT_S
        assert smtp.log_in("LOGIN", user.name, password) == later
    assert reasons(db, user.name) == ["backend_unavailable"] + (["wrong_password"] if later == REJECTED else [])


def test_many_at_once(spooling, spool, cluster, db, user):
    """Many processes append to one spool and then drain it: no row is lost or counted twice."""
    service, clients = spooling(pgsasl_timeout_ms=20000), 12  # this test is not about the deadline

    def attempt(password):
        return log_in(service, "PLAIN", user.name, password)

    with ThreadPoolExecutor(clients) as pool:
        with faults.stopped(cluster):
            assert set(pool.map(attempt, ["wrong"] * clients)) == {LATER}
            assert len(spool.waiting()) == clients
        assert set(pool.map(attempt, [user.password] * clients)) == {ACCEPTED}
    wait_for(lambda: attempt(user.password) == ACCEPTED and not spool.waiting(), "the spool to empty")
    assert reasons(db, user.name) == ["backend_unavailable"] * clients


def test_start_as_root(workdir, plugins, library, cluster, make_user):
    """The daemon starts libsasl as root: Exim's own user can use the files that it creates then."""
    exim = Exim(workdir / "exim-from-root", find_exim(), plugins, cluster.conninfo(), sanitizer_of(library))
    spool, cache = spool_of(exim), exim.base / "queue/verified"
    options = {"pgsasl_require_tls": "no", "pgsasl_spool_file": spool.path, "pgsasl_verified_cache": cache}
    exim.configure(**options)
    user = make_user(stored=slow_hash())
    try:
        exim.start()
        for path in (spool.path, cache):
            status = path.stat()
            assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (pwd.getpwnam(USER).pw_uid, 0o600)
        log, took = LogMark(exim), []
        for _ in range(5):
            began = time.monotonic()
            assert log_in(exim.services["clear"], "PLAIN", user.name, user.password) == ACCEPTED
            took.append(time.monotonic() - began)
        assert min(took[1:]) < took[0] / 2, took
        exim.configure(**options, pgsasl_conninfo_file=None, pgsasl_conninfo=cluster.conninfo(port=1))
        assert log_in(exim.services["clear"], "PLAIN", user.name, user.password) == LATER
        assert len(spool.waiting()) == 1
        assert "audit=spooled" in log.wait_for(exim.OURS)[0]
    finally:
        exim.stop()
