"""A rotation with two clients, one of them late: which passwords work, and what the desk sees."""

import pytest
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.clients import MECHANISMS, plain
from harness.cluster import Session, literal
from harness.hashes import cheap_hash
from harness.processes import wait_for

OLD, NEW, EVEN_NEWER = b"old horse battery", b"new horse battery", b"even newer battery"
PUNCTUAL, LATE = "127.0.0.1", "127.0.0.7"


@pytest.fixture(name="rotate")
def fixture_rotate(db):
    """Gives a user another password by plain SQL, as a web panel would; grace None leaves rotation_grace alone."""

    def rotate(user, password, grace=None):
        more = f", rotation_grace = {literal(grace)}" if grace else ""
        db.sql(
            f"UPDATE pgsasl.smtp_users SET password_hash = {literal(cheap_hash(password.decode()))}{more} "
            f"WHERE username = {literal(user.name)}"
        )

    return rotate


@pytest.fixture(name="app")
def fixture_app(make_user):
    """A user with the old password."""
    return make_user(password=OLD.decode())


def login(connect, user, password, source=PUNCTUAL, mechanism="PLAIN"):
    """One AUTH on a connection of its own."""
    with connect(source=source) as smtp:
        return smtp.log_in(mechanism, user.name, password)


def columns(db, table, condition, *names):
    """The one row of table under condition, as text."""
    (row,) = db.rows(f"SELECT {', '.join(names)} FROM pgsasl.{table} WHERE {condition}")
    return tuple(row[name] for name in names)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_grace(connect, desk, db, app, rotate, mechanism):
    """Both log in during the grace; the late client is listed; afterwards the old password is stale."""
    rotate(app, NEW, grace="1 hour")
    assert login(connect, app, NEW, mechanism=mechanism) == ACCEPTED
    assert login(connect, app, OLD, LATE, mechanism) == ACCEPTED
    mine = f"username = {literal(app.name)}"
    wait_for(lambda: db.rows(f"SELECT * FROM pgsasl.rotation_stragglers WHERE {mine}"), "the straggler to be named")
    assert columns(db, "rotation_stragglers", mine, "last_used_from") == (LATE,)
    assert db.value(f"SELECT pgsasl.end_rotation({literal(app.name)})") == 1
    outcome = desk.attempt(login, connect, app, OLD, LATE, mechanism)
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "stale_password")
    assert outcome.row.failed_checks == ["stale_password"]
    assert outcome.row.detail.startswith("the password was rotated at 20")
    assert login(connect, app, NEW, mechanism=mechanism) == ACCEPTED
    said = str(db.rows(f"SELECT * FROM pgsasl.explain({literal(app.name)})"))
    assert LATE in said and "rotat" in said, said


def test_no_grace(connect, desk, app, rotate):
    """Without a grace the old password fails at once, with the reason stale_password."""
    rotate(app, NEW)
    outcome = desk.attempt(login, connect, app, OLD)
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "stale_password")
    assert login(connect, app, NEW) == ACCEPTED


def test_two_rotations(connect, desk, db, app, rotate):
    """The newest retired passwords are recognized; older ones are wrong passwords."""
    kept = db.value("SELECT retired_kept FROM pgsasl.settings")
    passwords = [f"horse battery number {number}".encode() for number in range(kept + 2)]
    for password in passwords:
        rotate(app, password)
    reasons = [desk.attempt(login, connect, app, password).row.reason for password in reversed(passwords[:-1])]
    assert reasons == ["stale_password"] * kept + ["wrong_password"]


BEATS = {
    "disabled": ("UPDATE pgsasl.smtp_users SET enabled = false WHERE user_id = {user_id}", "disabled_user"),
    "suspended": (
        "UPDATE pgsasl.accounts SET standing = 'suspended' WHERE account_id = {account_id}",
        "account_suspended",
    ),
    "deleted": ("DELETE FROM pgsasl.smtp_users WHERE user_id = {user_id}", "deleted_user"),
}


@pytest.mark.parametrize("what", BEATS)
def test_other_checks_apply_during_a_grace(connect, desk, db, app, rotate, what):
    """A grace lets nobody log in who is disabled, suspended or deleted."""
    statement, reason = BEATS[what]
    rotate(app, NEW, grace="1 hour")
    assert login(connect, app, OLD) == ACCEPTED
    db.sql(statement.format(**vars(app)))
    for password in (OLD, NEW):
        outcome = desk.attempt(login, connect, app, password)
        assert (outcome.reply, outcome.row.reason) == (REJECTED, reason)


def test_rotate_password(connect, db, app):
    """The function creates a password that works, and the old one works during its grace."""
    made = db.value(f"SELECT pgsasl.rotate_password({literal(app.name)}, interval '1 hour') AS made").encode()
    assert login(connect, app, made) == ACCEPTED
    assert login(connect, app, OLD) == ACCEPTED


WHITE = {
    "blank after": b"%s ",
    "blank before": b" %s",
    "tab and CR": b"\t%s\r",
    "no-break space": b"\xc2\xa0%s",
    "zero-width space": b"%s\xe2\x80\x8b",
    "byte order mark": b"\xef\xbb\xbf%s",
}


@pytest.mark.parametrize("what", WHITE)
def test_password_whitespace(connect, desk, app, what):
    """The password is right apart from invisible characters at its ends."""
    outcome = desk.attempt(login, connect, app, WHITE[what] % OLD)
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "password_whitespace")


def test_local_part(connect, desk, app):
    """The detail says when an e-mail address begins with an existing user name."""
    for name, known in ((app.name, True), ("nobody-" + app.name, False)):
        with connect() as smtp:
            outcome = desk.attempt(smtp.authenticate, "PLAIN", plain(f"{name}@customer.test".encode(), OLD))
        assert (outcome.row.reason, bool(outcome.row.detail)) == ("username_has_at", known)


@pytest.fixture(name="undiagnosed")
def fixture_undiagnosed(postfix):
    """A service with pgsasl_diagnose: no."""
    if "undiagnosed" not in postfix.services:
        base = (postfix.config / "sasl/plain.conf").read_text(encoding="utf-8")
        postfix.add_service("undiagnosed", base + "pgsasl_diagnose: no\n")
    return "undiagnosed"


def test_undiagnosed(connect, desk, app, rotate, undiagnosed):
    """Both are wrong passwords then; a grace still works."""
    name = app.name.encode()
    rotate(app, NEW, grace="1 hour")
    assert connect(undiagnosed).authenticate("PLAIN", plain(name, OLD)) == ACCEPTED
    rotate(app, EVEN_NEWER, grace="0")
    for password in (NEW, EVEN_NEWER + b" "):
        outcome = desk.attempt(connect(undiagnosed).authenticate, "PLAIN", plain(name, password))
        assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")


def stamps(db, user):
    """When and from where the user was last seen."""
    return columns(db, "smtp_users", f"user_id = {user.user_id}", "last_login_at", "last_login_from")


def test_last_login(connect, db, app):
    """A login records its time and address; another one soon after does not; a failure never does."""
    assert login(connect, app, b"wrong") == REJECTED
    assert stamps(db, app) == (None, None)
    assert login(connect, app, OLD, LATE) == ACCEPTED
    wait_for(lambda: stamps(db, app)[1] == LATE, "the stamp")
    first = stamps(db, app)
    for _ in range(3):
        assert login(connect, app, OLD) == ACCEPTED
    assert stamps(db, app) == first


def test_a_stamp_waits_for_nobody(connect, cluster, db, app):
    """A lock on the user's row does not delay a login; it is noted later."""
    with Session(cluster) as holder:
        holder.sql(f"BEGIN; SELECT * FROM pgsasl.smtp_users WHERE user_id = {app.user_id} FOR UPDATE")
        with connect() as smtp:
            for _ in range(3):
                assert smtp.authenticate("PLAIN", plain(app.name.encode(), b"wrong")) == REJECTED
            assert smtp.authenticate("PLAIN", plain(app.name.encode(), OLD)) == ACCEPTED
        assert stamps(db, app) == (None, None)
        holder.sql("COMMIT")
    assert login(connect, app, OLD) == ACCEPTED
    wait_for(lambda: stamps(db, app)[1] == PUNCTUAL, "the stamp")


@pytest.fixture(name="limits")
def fixture_limits(db):
    """Sets the limits of throttling for one test; the others have none."""

    def limits(user_client, client):
        db.sql(
            f"UPDATE pgsasl.settings SET throttle_user_client = {literal(user_client)}, "
            f"throttle_client = {literal(client)}"
        )

    yield limits
    limits(None, None)


THROTTLED = "127.0.0.21"


def test_throttled_user(connect, db, app, limits):
    """Past the limit even the right password gets 454, from that address only; rows are merged."""
    limits(3, None)
    for _ in range(3):
        assert login(connect, app, b"wrong", THROTTLED) == REJECTED
    for number in range(1, 8):
        assert login(connect, app, OLD, THROTTLED, ("PLAIN", "LOGIN")[number % 2]) == LATER
        (row,) = db.rows(
            "SELECT count(*) AS rows, sum(attempts) AS attempts FROM pgsasl.auth_failures "
            f"WHERE reason = 'throttled' AND username = {literal(app.name)}"
        )
        assert row["attempts"] == number and row["rows"] <= 2  # a minute may turn in between
    assert login(connect, app, OLD, "127.0.0.22") == ACCEPTED


def test_throttled_client(connect, db, make_user, limits):
    """Many names from one address; existing and unknown names are throttled alike."""
    limits(None, 4)
    users = [make_user(password=OLD.decode()) for _ in range(2)]
    for number in range(4):
        with connect(source="127.0.0.23") as smtp:
            assert smtp.authenticate("PLAIN", plain(f"guess-{number}".encode(), b"x")) == REJECTED
    for name in (users[0].name, users[1].name, "guess-again"):
        with connect(source="127.0.0.23") as smtp:
            assert smtp.authenticate("PLAIN", plain(name.encode(), OLD)) == LATER
    assert login(connect, users[0], OLD, "127.0.0.24") == ACCEPTED
    assert (
        db.value(
            "SELECT sum(attempts) FROM pgsasl.auth_failures WHERE reason = 'throttled' "
            "AND client_addr = '127.0.0.23'"
        )
        == 3
    )


def test_stale_counts_once(connect, app, rotate, limits):
    """An app with the old password is no attacker: its failures stay 535 and throttle nobody."""
    rotate(app, NEW)
    limits(3, None)
    for _ in range(8):
        assert login(connect, app, OLD, "127.0.0.25") == REJECTED
    assert login(connect, app, NEW, "127.0.0.25") == ACCEPTED
