"""Each reason by a real login: what the client hears, the row, the log line."""

import pytest
from harness.answers import LATER, MALFORMED, POSTFIX, REJECTED
from harness.cases import CASES, TABLE, check_case, run_case
from harness.clients import MECHANISMS, plain
from harness.cluster import literal
from harness.hashes import cheap_hash
from harness.postfix import CpuMeter


@pytest.mark.parametrize("name, mechanism", TABLE)
def test_reason(connect, desk, name, mechanism):
    """The reply fits the reason, the row is complete and committed before it, and the log has one line."""
    case = CASES[name]
    smtp = connect(case.service)
    outcome, user = run_case(case, mechanism, desk, smtp)
    assert outcome.reply == POSTFIX.to(case.reason)
    check_case(case, mechanism, outcome, user, smtp.port)


# Those that need more than one attempt, or another mechanism: test_rotation, test_abandoned, test_traps and test_scram.
ELSEWHERE_TESTED = {"stale_password", "abandoned_exchange", "mechanism_not_offered", "no_scram_verifier"}


def test_every_reason_has_its_login(db):
    """Every reason of the schema has a test with a real login."""
    reasons = {row["reason"] for row in db.rows("SELECT reason FROM pgsasl.reasons")}
    assert {case.reason for case in CASES.values()} - {None} | ELSEWHERE_TESTED == reasons


# These look the same to a client.
ALIKE = (
    "no such user",
    "deleted user",
    "disabled user",
    "account suspended",
    "account closed",
    "account past due",
    "wrong password",
    "an e-mail address for a name",
    "a blank after the name",
)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_replies_are_alike(connect, make_user, mechanism):
    """The whole dialogue is the same, byte for byte, whatever was wrong."""
    dialogues = set()
    for name in ALIKE:
        case = CASES[name]
        user = make_user(**case.user)
        smtp = connect()
        dialogue = [smtp.banner, smtp.greeting, smtp.log_in(mechanism, case.name.format(user.name), "wrong")]
        dialogues.add("\n".join(str(reply) for reply in dialogue))
    assert len(dialogues) == 1, dialogues


STORED = {
    "empty": "",
    "star": "*",
    "bang": "!",
    "bare $6$": "$6$",
    "cut bcrypt": "$2b$10$short",
    "NULL": None,
    "DES": "abJnggxhB/yWI",
    "MD5": "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
    "clear text": "right horse battery",
    "plain prefix": "{PLAIN}right horse battery",
    "cut sha256-crypt": cheap_hash("right horse battery")[:-1],
    "unknown scheme": "$99$abc$def",
}


@pytest.mark.parametrize("password", [b"", b"x", b"right horse battery"], ids=["empty", "one byte", "right"])
@pytest.mark.parametrize("stored", STORED)
def test_unusable_hash(connect, desk, db, make_user, stored, password):
    """Such a hash rejects every password. An empty password is malformed first."""
    name = make_user().name
    db.sql(f"INSERT INTO bare VALUES ({literal(name)}, {literal(STORED[stored])})")
    outcome = desk.attempt(connect("bare-table").authenticate, "PLAIN", plain(name.encode(), password))
    wanted = (LATER, "unusable_hash") if password else (MALFORMED, "malformed_response")
    assert (outcome.reply, outcome.row.reason) == wanted
    assert outcome.line()["username"] == name


def test_standing_is_read_every_time(connect, db, user):
    """An UPDATE of the account takes effect at the next AUTH, and so does undoing it."""
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


def test_same_work_for_nobody(service, connect, db, make_user):
    """An unknown, a deleted and a disabled user cost as much CPU time as a wrong password: a decoy is hashed."""

    def stored():
        return db.sql("SELECT pgsasl.hash_password('right horse battery')")

    db.sql("DELETE FROM pgsasl.smtp_users")  # a decoy is like any user's hash: here all are alike
    users = {
        "wrong": make_user(stored=stored()),
        "disabled": make_user(stored=stored(), enabled=False),
        "deleted": make_user(stored=stored(), deleted=True),
        "latest": make_user(stored=stored()),
    }
    names = {what: user.name for what, user in users.items()} | {"unknown": "nobody-at-all"}
    best = {}
    for _ in range(4):
        for what, name in names.items():
            smtp = connect()  # a new one: Postfix answers slowly after ten errors
            cpu = CpuMeter(service["plain"])
            assert smtp.log_in("PLAIN", name, "wrong") == REJECTED
            best[what] = min(best.get(what, 60), sum(cpu.used().values()))
    assert max(best.values()) < 1.5 * min(best.values()), best
