"""The promises once more on Exim, which starts libsasl anew for every AUTH, as its own user."""

import contextlib
import json
import pwd
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from conftest import BARE_QUERY, PASSWORD, cheap_hash
from harness import faults
from harness.audit import Audit, Desk
from harness.clients import CLIENTS, Reply, Smtp, encode, plain
from harness.cluster import PLUGIN_LOGIN, Cluster, literal
from harness.exim import USER, Exim, find_exim
from harness.postfix import HOSTNAME, LogMark, sanitizer_of
from harness.processes import wait_for
from test_cache import SLOW_HASH
from test_faults import FIND_USER, RECORD

ACCEPTED = Reply(235, "Authentication succeeded")
REJECTED = Reply(535, "Incorrect authentication data")
LATER = Reply(435, "Unable to authenticate at present")
NOT_OFFERED = Reply(503, "AUTH command used when not advertised")

MECHANISMS = ("PLAIN", "LOGIN")
TIMEOUT_MS = 800
SLACK_S = 1.5  # a busy machine, the hash, and Exim's start of libsasl
ELSEWHERE = ["192.0.2.0/24"]


@pytest.fixture(name="configure")
def fixture_configure(exim):
    """Changes options of the sample's SASL configuration, which stands again after the test."""
    yield exim.configure
    exim.configure()


@pytest.fixture(name="clear")
def fixture_clear(exim, configure):
    """The port without TLS, with TLS not asked for either."""
    configure(pgsasl_require_tls="no")
    return exim.services["clear"]


@pytest.fixture(name="exim_desk")
def fixture_exim_desk(exim, db):
    """Gathers what the client, the audit table and the log say of an attempt."""
    return Desk(exim, Audit(db))


def message(mechanism, name, password, authzid=b""):
    """The responses of either mechanism."""
    return [plain(name, password, authzid)] if mechanism == "PLAIN" else [name, password]


def log_in(service, mechanism, *responses, certificate=None):
    """The answer to one AUTH on a connection of its own, and the client's port."""
    with Smtp(service, certificate) as smtp:
        return smtp.authenticate(mechanism, *responses), smtp.socket.getsockname()[1]


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
    """The sample's server_advertise_condition: nothing reaches us in clear."""
    with Smtp(replace(exim.services["submission"], tls="none")) as smtp:
        assert smtp.mechanisms() == []
        assert smtp.command(b"AUTH " + mechanism.encode()) == NOT_OFFERED


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_require_tls(exim, exim_desk, user, mechanism):
    """pgsasl_require_tls: refused where Exim reports no TLS, whatever it offered; the password is right."""
    outcome = exim_desk.attempt(log_in, exim.services["clear"], mechanism, *message(mechanism, *user.octets))
    assert outcome.reply[0] == REJECTED
    assert (outcome.row.reason, outcome.line()["reason"]) == ("tls_required", "tls_required")


@dataclass
class Case:
    """A user, what his client sends, and what has to come of it."""

    reason: str
    reply: object = REJECTED
    checks: list = None  # of failed_checks; default: the reason alone
    user: dict = field(default_factory=dict)  # for make_user
    name: str = "{}"
    password: bytes = None  # default: the right one
    authzid: bytes = b""
    options: dict = field(default_factory=dict)
    known: bool = True  # the row has the user's id
    mechanisms: tuple = MECHANISMS


CASES = {
    "no such user": Case("unknown_user", name="nobody-{}", known=False),
    "deleted": Case("deleted_user", user={"deleted": True}),
    "disabled, wrong password": Case("disabled_user", REJECTED, ["disabled_user", "wrong_password"],
                                     user={"enabled": False}, password=b"wrong"),
    "an address for a name": Case("username_has_at", name="{}@customer.test", known=False),
    "blank after the name": Case("username_whitespace", name="{} ", known=False),
    "account past due": Case("account_past_due", user={"standing": "past_due"}),
    "account suspended": Case("account_suspended", user={"standing": "suspended"}),
    "account closed": Case("account_closed", user={"standing": "closed"}),
    "wrong password": Case("wrong_password", password=b"wrong"),
    "blank after the password": Case("password_whitespace", password=b"right horse battery "),
    "right password, elsewhere": Case("ip_not_authorized", user={"networks": ELSEWHERE}),
    "acting for another": Case("authzid_mismatch", authzid=b"another", mechanisms=("PLAIN",)),
    "no NUL in the name": Case("malformed_response", name="{}\0x\0y", known=False),
    "over-long name": Case("malformed_response", name="{}" + "x" * 250, known=False),
    "empty name": Case("malformed_response", name="", known=False),
    "only blanks for a name": Case("username_whitespace", name="  ", known=False),
    "empty password": Case("malformed_response", password=b"", known=False),
    "the hash is nothing": Case("unusable_hash", LATER, options={"pgsasl_user_query": BARE_QUERY}, known=False),
    "throttled": Case("throttled", LATER, options={
        "pgsasl_user_query": "SELECT password_hash, true AS throttled FROM bare WHERE username = $1"}, known=False),
    "a wrong option": Case("backend_unavailable", LATER, options={"pgsasl_timeout_ms": "soon"}, known=False),
}

TABLE = [(name, mechanism) for name, case in CASES.items() for mechanism in case.mechanisms]


@pytest.mark.parametrize("name, mechanism", TABLE)
def test_reason(exim, exim_desk, db, make_user, configure, name, mechanism):
    """The answer, one whole row before it, and one line in syslog."""
    case = CASES[name]
    user = make_user(**case.user)
    db.sql(f"INSERT INTO bare VALUES ({literal(user.name)}, '')")
    configure(pgsasl_require_tls="no", **case.options)
    authcid = case.name.format(user.name).encode()
    password = user.octets[1] if case.password is None else case.password

    outcome = exim_desk.attempt(
        log_in, exim.services["clear"], mechanism, *message(mechanism, authcid, password, case.authzid))

    reply, port = outcome.reply
    assert reply == case.reply
    row, line = outcome.row, outcome.line()
    assert (row.reason, row.failed_checks) == (case.reason, case.checks or [case.reason])
    assert (row.mechanism, row.service, row.server_host, row.attempts) == (mechanism, "smtp", HOSTNAME, 1)
    assert (row.client_addr, row.client_port, row.server_addr) == ("127.0.0.1", port, "127.0.0.1")
    if case.reason != "malformed_response":
        assert row.username == authcid.decode()
    if case.known:
        assert (row.user_id, row.account_id) == (user.user_id, user.account_id)
    assert (line["reason"], line["mechanism"], line["attempt"]) == (case.reason, mechanism, row.attempt_id)


def test_malformed_message(clear, exim_desk):
    """Neither 501 nor Exim's 553 for a mechanism that wants no initial response."""
    for octets in (b"", b"no NUL", b"\0one NUL"):
        outcome = exim_desk.attempt(log_in, clear, "PLAIN", octets)
        assert (outcome.reply[0], outcome.row.reason) == (REJECTED, "malformed_response")


# Exim answers these alone; contrib/exim/README.md says so. No row, no line.
BY_THE_HOST = {
    "broken base64 after 334": ([b"AUTH PLAIN", b"!!!"], 501),
    "broken base64 as initial response": ([b"AUTH PLAIN A"], 501),
    "given up": ([b"AUTH LOGIN", b"*"], 501),
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


def test_unreadable_configuration(exim, exim_desk, user, configure):
    """The one trap, as contrib/exim/README.md warns: to libsasl there is then no configuration, and we are not asked."""
    configure(pgsasl_require_tls="no")
    (exim.sasl / "exim.conf").chmod(0o600)
    outcome = exim_desk.attempt(log_in, exim.services["clear"], "PLAIN", plain(*user.octets))
    assert (outcome.reply[0], outcome.rows) == (REJECTED, [])
    outcome.log.wait_for("sasldb2")


def test_session_goes_on(clear, user):
    """One connection, one failure after another of several kinds, then the right one: a process that starts libsasl often."""
    with Smtp(clear) as smtp:
        assert smtp.authenticate("PLAIN", plain(user.octets[0], b"wrong")) == REJECTED
        assert smtp.authenticate("LOGIN", user.octets[0], b"wrong") == REJECTED
        assert smtp.authenticate("LOGIN", user.octets[0], b"wrong") == REJECTED
        assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED


# Option: a wrong value.
WRONG = {"pgsasl_timeout_ms": "soon", "pgsasl_conninfo_file": "/nowhere/at-all", "pgsasl_spool_file": "/nowhere/at-all"}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("option", WRONG)
def test_wrong_option(exim, user, configure, option, mechanism):
    """435, and one clear line for each AUTH, neither none nor two."""
    configure(**{"pgsasl_require_tls": "no", option: WRONG[option]})
    for _ in range(2):
        log = LogMark(exim)
        assert log_in(exim.services["clear"], mechanism, *message(mechanism, *user.octets))[0] == LATER
        log.wait_for(exim.AFTER)
        lines = [line for line in log.lines(exim.OURS) if "rejected" not in line]
        assert len(lines) == 1, lines
        assert option in lines[0] and WRONG[option] in lines[0]


class Spool:
    """The spool file, in a directory of the Exim user."""

    def __init__(self, exim):
        self.path = exim.base / "queue/pgsasl.spool"

    def waiting(self):
        """The lines that are not in the database yet."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        drained = int(json.loads(lines[0])["drained"])
        return [] if drained >= self.path.stat().st_size else [json.loads(line) for line in lines[1:]]


@pytest.fixture(name="spool")
def fixture_spool(exim):
    """A spool that no test has used before."""
    spool = Spool(exim)
    spool.path.unlink(missing_ok=True)
    return spool


@contextlib.contextmanager
def stopped(cluster, db):
    """Nobody listens. The session of the tests starts anew afterwards."""
    db.close()
    with faults.stopped(cluster):
        yield


def changed(change, undo):
    """Something is changed by SQL inside the block."""
    return lambda cluster, _: faults.changed(cluster, change, undo)


def rename(function, arguments):
    """The function is not there inside the block."""
    return changed(f"ALTER FUNCTION pgsasl.{function}({arguments}) RENAME TO lost",
                   f"ALTER FUNCTION pgsasl.lost({arguments}) RENAME TO {function}")


def without_privilege(function):
    """The plugin may not call the function inside the block."""
    return changed(f"REVOKE EXECUTE ON {function} FROM {PLUGIN_LOGIN}", f"GRANT EXECUTE ON {function} TO {PLUGIN_LOGIN}")


# In all of these nothing is known of the user.
BLIND = {
    "server stopped": stopped,
    "server frozen": lambda cluster, _: faults.frozen(cluster),
    "look-up blocked on a lock": lambda cluster, _: faults.locked(cluster, "smtp_users"),
    "no login allowed": changed(f"ALTER ROLE {PLUGIN_LOGIN} NOLOGIN", f"ALTER ROLE {PLUGIN_LOGIN} LOGIN"),
    "too many connections": changed(f"ALTER ROLE {PLUGIN_LOGIN} CONNECTION LIMIT 0",
                                    f"ALTER ROLE {PLUGIN_LOGIN} CONNECTION LIMIT -1"),
    "no such function": rename("find_user", "text, inet"),
    "no privilege to look up": without_privilege(FIND_USER),
}
ROWS_GO_ON = ("no such function", "no privilege to look up")  # in these only the look-up fails

# In these the look-up works, and the row can't be stored.
DEAF = {
    "audit table locked": lambda cluster, _: faults.locked(cluster, "auth_failures"),
    "audit table gone": changed("ALTER TABLE pgsasl.auth_failures RENAME TO lost",
                                "ALTER TABLE pgsasl.lost RENAME TO auth_failures"),
    "no privilege to record": without_privilege(f"FUNCTION {RECORD}"),
    "read-only server": changed(f"ALTER ROLE {PLUGIN_LOGIN} SET default_transaction_read_only = on",
                                f"ALTER ROLE {PLUGIN_LOGIN} RESET default_transaction_read_only"),
}


@contextlib.contextmanager
def silent_listener():
    """A port whose connections the kernel takes and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def answer(service, mechanism, name, password):
    """The answer to one AUTH, which has to come in time."""
    began = time.monotonic()
    reply, _ = log_in(service, mechanism, *message(mechanism, name.encode(), password.encode()))
    took = time.monotonic() - began
    assert took < TIMEOUT_MS / 1000 + SLACK_S, f"{reply} after {took:.1f} s"
    return reply


def reasons(db, name):
    """What the audit table has of a name, in the order of the attempts."""
    return [row["reason"] for row in db.rows(
        f"SELECT reason FROM pgsasl.auth_failures WHERE username = {literal(name)} ORDER BY occurred_at")]


@pytest.fixture(name="spooling")
def fixture_spooling(exim, spool, configure):
    """The port without TLS; what the database does not take is spooled, and the deadline is short."""
    def spooling(**options):
        configure(**{"pgsasl_require_tls": "no", "pgsasl_timeout_ms": TIMEOUT_MS, "pgsasl_spool_file": spool.path} | options)
        return exim.services["clear"]

    return spooling


@pytest.mark.parametrize("fault", BLIND)
def test_nothing_known(spooling, spool, cluster, db, user, fault):
    """435 for everybody, in time; the rows are in the spool, and the next login drains them."""
    service = spooling()
    with BLIND[fault](cluster, db):
        for number, mechanism in enumerate(MECHANISMS):
            assert answer(service, mechanism, user.name, user.password) == LATER
            assert answer(service, mechanism, user.name, "wrong") == LATER
            if fault not in ROWS_GO_ON:
                assert len(spool.waiting()) == 2 * number + 2
    assert answer(service, "PLAIN", user.name, user.password) == ACCEPTED
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["backend_unavailable"] * 4


# The way to the database is at fault: options that replace the connection string.
LOST = {
    "name that does not resolve": {"host": "no-such-host.invalid"},
    "wrong database password": {"password": "another"},
    "no such database": {"dbname": "nowhere"},
    "nobody listens": {"port": 1},
}


@pytest.mark.parametrize("fault", [*LOST, "listener that says nothing"])
def test_never_reached(spooling, spool, cluster, db, user, fault):
    """The same where the connection string leads nowhere."""
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
    """The way to the database swallows all packets; once it does not, the first login is accepted."""
    with contextlib.ExitStack() as stack:
        network = faults.Network()
        stack.callback(network.close)
        relay = faults.Relay(cluster, network.ADDRESS, network.NAME)
        stack.callback(relay.close)
        service = spooling(pgsasl_conninfo_file=None,
                           pgsasl_conninfo=cluster.conninfo(host=network.ADDRESS, port=relay.port))
        with network.dropping():
            for mechanism in MECHANISMS:
                assert answer(service, mechanism, user.name, user.password) == LATER
        assert len(spool.waiting()) == 2
        for _ in range(5):  # a login that had to wait for the way to be open again leaves the rows to the next
            assert answer(service, "LOGIN", user.name, user.password) == ACCEPTED
            if not spool.waiting():
                break
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["backend_unavailable"] * 2


def test_disk_full(spooling, spool, workdir):
    """No room for a row: right is right and wrong is wrong, and once there is room the rows are moved on."""
    cluster = Cluster.create(workdir / "exim-small")
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.stop)
        disk = faults.SmallDisk(cluster, workdir / "exim-small-disk")
        stack.push(lambda *_: (cluster.stop(), disk.close()))
        cluster.sql("INSERT INTO pgsasl.smtp_users (username, password_hash, account_id) "
                    f"VALUES ('small', {literal(cheap_hash(PASSWORD))}, pgsasl.add_account('small'))")
        service = spooling(pgsasl_conninfo_file=None, pgsasl_conninfo=cluster.conninfo())
        with disk.full():
            for mechanism in MECHANISMS:
                assert answer(service, mechanism, "small", "wrong") == REJECTED
            assert len(spool.waiting()) == 2
            assert answer(service, "LOGIN", "small", PASSWORD) == ACCEPTED
        assert answer(service, "PLAIN", "small", PASSWORD) == ACCEPTED
        assert spool.waiting() == []
        assert cluster.sql("SELECT reason FROM pgsasl.auth_failures WHERE username = 'small'").split() == ["wrong_password"] * 2


@pytest.mark.parametrize("fault", DEAF)
def test_audit_changes_no_verdict(spooling, spool, cluster, db, user, fault):
    """Right is right and wrong is wrong, in time; each wrong one has its row in the end."""
    service = spooling()
    with DEAF[fault](cluster, db):
        assert answer(service, "PLAIN", user.name, "wrong") == REJECTED
        assert answer(service, "LOGIN", user.name, "wrong") == REJECTED
        assert len(spool.waiting()) == 2
        assert answer(service, "LOGIN", user.name, user.password) == ACCEPTED
    assert answer(service, "PLAIN", user.name, user.password) == ACCEPTED
    assert spool.waiting() == []
    assert reasons(db, user.name) == ["wrong_password"] * 2


@pytest.mark.parametrize("password, later", [("right horse battery", ACCEPTED), ("wrong", REJECTED)], ids=["right", "wrong"])
def test_frozen_in_the_middle(spooling, cluster, db, user, password, later):
    """The server freezes between name and password; the same connection's next AUTH is answered as it should be."""
    with Smtp(spooling()) as smtp:
        smtp.command(b"AUTH LOGIN")
        smtp.command(encode(user.octets[0]))
        with faults.frozen(cluster):
            began = time.monotonic()
            assert smtp.command(encode(password.encode())) == LATER
            assert time.monotonic() - began < TIMEOUT_MS / 1000 + SLACK_S
        assert smtp.authenticate("LOGIN", user.octets[0], password.encode()) == later
    assert reasons(db, user.name) == ["backend_unavailable"] + (["wrong_password"] if later == REJECTED else [])


def test_many_at_once(spooling, spool, cluster, db, user):
    """As many processes as clients append to one spool, then drain it: nothing is lost and nothing counted twice."""
    service, clients = spooling(pgsasl_timeout_ms=20000), 12  # it is not the deadline that is tried here

    def attempt(password):
        return log_in(service, "PLAIN", plain(user.octets[0], password))[0]

    with ThreadPoolExecutor(clients) as pool:
        with stopped(cluster, db):
            assert set(pool.map(attempt, [b"wrong"] * clients)) == {LATER}
            assert len(spool.waiting()) == clients
        assert set(pool.map(attempt, [user.octets[1]] * clients)) == {ACCEPTED}
    wait_for(lambda: attempt(user.octets[1]) == ACCEPTED and not spool.waiting(), "the spool to empty")
    assert reasons(db, user.name) == ["backend_unavailable"] * clients


def test_start_as_root(workdir, plugins, library, cluster, make_user):
    """The daemon starts libsasl as root: the files that it makes then are of use to Exim's own user."""
    exim = Exim(workdir / "exim-from-root", find_exim(), plugins, cluster.conninfo(), sanitizer_of(library))
    spool, cache = Spool(exim), exim.base / "queue/verified"
    options = {"pgsasl_require_tls": "no", "pgsasl_spool_file": spool.path, "pgsasl_verified_cache": cache}
    exim.configure(**options)
    user = make_user(stored=SLOW_HASH)
    try:
        exim.start()
        for path in (spool.path, cache):
            status = path.stat()
            assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (pwd.getpwnam(USER).pw_uid, 0o600)
        log, took = LogMark(exim), []
        for _ in range(5):
            began = time.monotonic()
            assert log_in(exim.services["clear"], "PLAIN", plain(*user.octets))[0] == ACCEPTED
            took.append(time.monotonic() - began)
        assert min(took[1:]) < took[0] / 2, took
        exim.configure(**options, pgsasl_conninfo_file=None, pgsasl_conninfo=cluster.conninfo(port=1))
        assert log_in(exim.services["clear"], "PLAIN", plain(*user.octets))[0] == LATER
        assert len(spool.waiting()) == 1
        assert "audit=spooled" in log.wait_for(exim.OURS)[0]
    finally:
        exim.stop()
