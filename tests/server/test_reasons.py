"""Each reason of DESIGN's table by a real login: what the client hears, the row, the log line."""

import time
from dataclasses import dataclass, field

import pytest
from answers import LATER, MALFORMED, NOT_AUTHORIZED, REJECTED
from conftest import cheap_hash
from harness.clients import plain
from harness.cluster import literal
from harness.postfix import HOSTNAME

ELSEWHERE = ["192.0.2.0/24", "2001:db8::/32"]


@dataclass
class Case:
    """A user, what his client sends, and what has to come of it."""

    reason: str
    reply: object
    checks: list = None  # of failed_checks; default: the reason alone
    user: dict = field(default_factory=dict)  # for make_user
    name: str = "{}"
    password: bytes = None  # default: the right one
    authzid: bytes = b""
    service: str = "plain"
    known: bool = True  # the row has the user's id
    mechanisms: tuple = ("PLAIN", "LOGIN")


CASES = {
    "no such user": Case("unknown_user", REJECTED, name="nobody-{}", known=False),
    "deleted": Case("deleted_user", REJECTED, user={"deleted": True}),
    "disabled": Case("disabled_user", REJECTED, user={"enabled": False}),
    "disabled, wrong password": Case("disabled_user", REJECTED, ["disabled_user", "wrong_password"],
                                     user={"enabled": False}, password=b"wrong"),
    "an address for a name": Case("username_has_at", REJECTED, name="{}@customer.test", known=False),
    "blank after the name": Case("username_whitespace", REJECTED, name="{} ", known=False),
    "blank before the name": Case("username_whitespace", REJECTED, name=" {}", known=False),
    "tab after the name": Case("username_whitespace", REJECTED, name="{}\t", known=False),
    "no-break space after the name": Case("username_whitespace", REJECTED, name="{}\u00a0", known=False),
    "zero-width space before the name": Case("username_whitespace", REJECTED, name="\u200b{}", known=False),
    "account past due": Case("account_past_due", REJECTED, user={"standing": "past_due"}),
    "account suspended": Case("account_suspended", REJECTED, user={"standing": "suspended"}),
    "account closed": Case("account_closed", REJECTED, user={"standing": "closed"}),
    "suspended, disabled, wrong password, elsewhere": Case(
        "account_suspended", REJECTED, ["account_suspended", "disabled_user", "wrong_password", "ip_not_authorized"],
        user={"standing": "suspended", "enabled": False, "networks": ELSEWHERE}, password=b"wrong"),
    "wrong password": Case("wrong_password", REJECTED, password=b"wrong"),
    "wrong password, elsewhere": Case("wrong_password", REJECTED, ["wrong_password", "ip_not_authorized"],
                                      user={"networks": ELSEWHERE}, password=b"wrong"),
    "right password, elsewhere": Case("ip_not_authorized", NOT_AUTHORIZED, user={"networks": ELSEWHERE}),
    "acting for another": Case("authzid_mismatch", REJECTED, authzid=b"another", mechanisms=("PLAIN",)),
    "TLS wanted, none told of": Case("tls_required", REJECTED, service="wants-tls"),
    "TLS wanted, acting for another": Case("authzid_mismatch", REJECTED, ["authzid_mismatch", "tls_required"],
                                           authzid=b"another", service="wants-tls", mechanisms=("PLAIN",)),
    "over-long name": Case("malformed_response", MALFORMED, name="{}" + "x" * 250, known=False),
    "the hash is nothing": Case("unusable_hash", LATER, service="bare-table", known=False),
    "the database is out": Case("backend_unavailable", LATER, service="audit-elsewhere"),
}

TABLE = [(name, mechanism) for name, case in CASES.items() for mechanism in case.mechanisms]


@pytest.fixture(name="outcome")
def fixture_outcome(connect, desk, make_user, db, name, mechanism):
    """Runs the case: its user, and what came of the attempt."""
    case = CASES[name]
    user = make_user(**case.user)
    db.sql(f"INSERT INTO bare VALUES ({literal(user.name)}, '')")
    smtp = connect(case.service)
    authcid = case.name.format(user.name).encode()
    password = user.octets[1] if case.password is None else case.password
    message = [plain(authcid, password, case.authzid)] if mechanism == "PLAIN" else [authcid, password]
    outcome = desk.attempt(smtp.authenticate, mechanism, *message)
    outcome.user, outcome.sent, outcome.port = user, authcid.decode(), smtp.socket.getsockname()[1]
    return outcome


@pytest.mark.parametrize("name, mechanism", TABLE)
def test_reason(outcome, name, mechanism):
    """The reply is DESIGN's, the row is committed before it and complete, and the log has one line of the same."""
    case = CASES[name]
    assert outcome.reply == case.reply
    row, line = outcome.row, outcome.line()
    assert (row.reason, row.failed_checks) == (case.reason, case.checks or [case.reason])
    if case.reason != "malformed_response":
        assert row.username == outcome.sent
    assert (row.mechanism, row.service, row.attempts) == (mechanism, "smtp", 1)
    assert (row.client_addr, row.client_port) == ("127.0.0.1", outcome.port)
    assert row.server_addr == "127.0.0.1"
    assert row.server_host == HOSTNAME
    if case.known:
        assert (row.user_id, row.account_id) == (outcome.user.user_id, outcome.user.account_id)
    assert (line["reason"], line["mechanism"], line["attempt"]) == (case.reason, mechanism, row.attempt_id)
    assert line["client"].startswith("127.0.0.1")


# Those that need more than one attempt; test_rotation.py has them. No check reports expired_user yet.
ELSEWHERE_TESTED = {"stale_password", "password_whitespace", "throttled", "expired_user"}


def test_every_reason_has_its_login(db):
    """No reason of the schema is left without a test by a real login."""
    reasons = {row["reason"] for row in db.rows("SELECT reason FROM pgsasl.reasons")}
    assert {case.reason for case in CASES.values()} | ELSEWHERE_TESTED == reasons


# To an onlooker all of these are one.
ALIKE = ("no such user", "deleted", "disabled", "account suspended", "account closed", "account past due",
         "wrong password", "an address for a name", "blank after the name")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_replies_are_alike(connect, make_user, mechanism):
    """The whole dialogue reads the same, to the octet, whatever was wrong."""
    dialogues = set()
    for name in ALIKE:
        case = CASES[name]
        user = make_user(**case.user)
        authcid = case.name.format(user.name).encode()
        responses = [plain(authcid, b"wrong")] if mechanism == "PLAIN" else [authcid, b"wrong"]
        smtp = connect()
        dialogue = [smtp.banner, smtp.greeting, smtp.authenticate(mechanism, *responses)]
        dialogues.add("\n".join(str(reply) for reply in dialogue))
    assert len(dialogues) == 1, dialogues


STORED = {"empty": "", "star": "*", "bang": "!", "bare $6$": "$6$", "cut bcrypt": "$2b$10$short", "NULL": None,
          "DES": "abJnggxhB/yWI", "MD5": "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "clear text": "right horse battery",
          "plain prefix": "{PLAIN}right horse battery", "cut sha256-crypt": cheap_hash("right horse battery")[:-1],
          "unknown scheme": "$99$abc$def"}


@pytest.mark.parametrize("password", [b"", b"x", b"right horse battery"], ids=["empty", "one byte", "right"])
@pytest.mark.parametrize("stored", STORED)
def test_unusable_hash(connect, desk, db, make_user, stored, password):
    """Such a hash denies every password. An empty one never comes that far."""
    name = make_user().name
    db.sql(f"INSERT INTO bare VALUES ({literal(name)}, {literal(STORED[stored])})")
    outcome = desk.attempt(connect("bare-table").authenticate, "PLAIN", plain(name.encode(), password))
    wanted = (LATER, "unusable_hash") if password else (MALFORMED, "malformed_response")
    assert (outcome.reply, outcome.row.reason) == wanted
    assert outcome.line()["username"] == name


def test_standing_is_read_every_time(connect, db, user):
    """One UPDATE on the account holds from the next AUTH on, and so does its undoing."""
    for standing, wanted in (("good", 235), ("suspended", 535), ("good", 235), ("closed", 535)):
        db.sql(f"UPDATE pgsasl.accounts SET standing = '{standing}' WHERE account_id = {user.account_id}")
        assert connect().authenticate("PLAIN", plain(*user.octets)).code == wanted


def test_changes_hold_from_the_next_attempt(connect, db, user):
    """Disable, enable, new password, delete: no reload, no restart."""
    table = f"pgsasl.smtp_users {{}} WHERE user_id = {user.user_id}"
    for statement, wanted in (
        ("UPDATE " + table.format("SET enabled = false"), 535),
        ("UPDATE " + table.format("SET enabled = true"), 235),
        ("UPDATE " + table.format(f"SET password_hash = {literal(cheap_hash('another one entirely'))}"), 535),
        ("UPDATE " + table.format(f"SET password_hash = {literal(cheap_hash(user.password))}"), 235),
        ("DELETE FROM " + table.format(""), 535),
    ):
        db.sql(statement)
        assert connect().authenticate("PLAIN", plain(*user.octets)).code == wanted, statement


def test_same_work_for_nobody(connect, db, make_user):
    """An unknown, a deleted and a disabled user cost as much time as a wrong password: a decoy is hashed."""
    def stored():
        return db.sql("SELECT pgsasl.hash_password('right horse battery')")

    users = {"wrong": make_user(stored=stored()), "disabled": make_user(stored=stored(), enabled=False),
             "deleted": make_user(stored=stored(), deleted=True), "latest": make_user(stored=stored())}
    names = {what: user.name for what, user in users.items()} | {"unknown": "nobody-at-all"}
    best = {}
    for _ in range(4):
        for what, name in names.items():
            smtp = connect()  # anew, for Postfix answers slowly after ten errors
            began = time.monotonic()
            assert smtp.authenticate("PLAIN", plain(name.encode(), b"wrong")) == REJECTED
            best[what] = min(best.get(what, 60), time.monotonic() - began)
    assert max(best.values()) < 1.5 * min(best.values()), best
