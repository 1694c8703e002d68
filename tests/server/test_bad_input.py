"""What hostile and broken clients send, through Postfix: the right answer, one row, one log line, no crash."""

import uuid
from dataclasses import dataclass

import pytest
from harness.answers import ACCEPTED, MALFORMED, REJECTED
from harness.clients import encode, plain


@dataclass
class Case:
    """Octets as sent; {id} in them is replaced by a name never used before, {user} by that of a real user."""

    message: object  # bytes: PLAIN; a tuple of two: LOGIN
    reply: object
    reason: str
    shown: str = None  # username of the row; default: not looked at


FORGED = (
    "x\r\nNov 24 00:00:00 mail postfix/smtpd[1]: warning: SASL authentication failure: "
    'pgsasl: rejected reason=forged username="{id}"'
)

CASES = {
    "SQL in the name": Case(
        b"\0{id}'; DELETE FROM pgsasl.smtp_users; --\0pw",
        REJECTED,
        "unknown_user",
        "{id}'; DELETE FROM pgsasl.smtp_users; --",
    ),
    "SQL in the name, LOGIN": Case((b"{id}' OR '1'='1", b"pw"), REJECTED, "unknown_user", "{id}' OR '1'='1"),
    "SQL in the password": Case(b"\0{user}\0' OR '1'='1", REJECTED, "wrong_password", "{user}"),
    "backslash and quotes in the name": Case(b"\0{id}\\'\"$$\\x41\0pw", REJECTED, "unknown_user", "{id}\\'\"$$\\x41"),
    "a pattern for a name": Case(b"\0{id}%_%\0pw", REJECTED, "unknown_user", "{id}%_%"),
    "a format for a name": Case(b"\0{id}%n%s%s%n\0pw", REJECTED, "unknown_user", "{id}%n%s%s%n"),
    "UTF-8 in the name": Case("\0{id}-zoë-日本-🙂\0pw".encode(), REJECTED, "unknown_user", "{id}-zoë-日本-🙂"),
    "UTF-8 in the password": Case("\0{user}\0zoë-日本-🙂".encode(), REJECTED, "wrong_password", "{user}"),
    "invalid UTF-8 in the name": Case(b"\0{id}\xe9x\0pw", MALFORMED, "malformed_response", "{id}\\xe9x"),
    "invalid UTF-8 in the name, LOGIN": Case((b"{id}\xe9x", b"pw"), MALFORMED, "malformed_response", "{id}\\xe9x"),
    "UTF-8 cut short in the name": Case(b"\0{id}\xe6\x97\0pw", MALFORMED, "malformed_response", "{id}\\xe6\\x97"),
    "over-long UTF-8 in the name": Case(b"\0{id}\xc0\xaf\0pw", MALFORMED, "malformed_response", "{id}\\xc0\\xaf"),
    "a surrogate in the name": Case(b"\0{id}\xed\xa0\x80\0pw", MALFORMED, "malformed_response", "{id}\\xed\\xa0\\x80"),
    "invalid UTF-8 in the password": Case(b"\0{user}\0caf\xe9", MALFORMED, "malformed_response", "{user}"),
    "UTF-8 cut short in the password": Case((b"{user}", b"caf\xc3"), MALFORMED, "malformed_response", "{user}"),
    "a forged log line in the name": Case(b"\0" + FORGED.encode() + b"\0pw", REJECTED, "unknown_user", FORGED),
    "a forged log line, LOGIN": Case((FORGED.encode(), b"pw"), REJECTED, "unknown_user", FORGED),
    "CR LF at the end of the name": Case(b"\0{id}\r\n\0pw", REJECTED, "username_whitespace", "{id}\r\n"),
    "an escape sequence in the name": Case(b"\0{id}\x1b[2Jx\0pw", REJECTED, "unknown_user", "{id}\x1b[2Jx"),
    "empty name": Case(b"\0\0pw", MALFORMED, "malformed_response"),
    "empty name, LOGIN": Case((b"", b"pw"), MALFORMED, "malformed_response"),
    "blank name": Case(b"\0 \0pw", REJECTED, "username_whitespace", " "),
    "blank name, LOGIN": Case((b"   ", b"pw"), REJECTED, "username_whitespace", "   "),
    "empty password": Case(b"\0{user}\0", MALFORMED, "malformed_response", "{user}"),
    "empty password, LOGIN": Case((b"{user}", b""), MALFORMED, "malformed_response", "{user}"),
    "one-byte password": Case(b"\0{user}\0x", REJECTED, "wrong_password", "{user}"),
    "one-byte password, LOGIN": Case((b"{user}", b"x"), REJECTED, "wrong_password", "{user}"),
    "longest name": Case(b"\0" + b"n" * 255 + b"\0pw", REJECTED, "unknown_user", "n" * 255),
    "name a byte too long": Case(b"\0" + b"n" * 256 + b"\0pw", MALFORMED, "malformed_response"),
    "4 kB name": Case(b"\0" + b"n" * 4096 + b"\0pw", MALFORMED, "malformed_response"),
    "4 kB name, LOGIN": Case((b"n" * 4096, b"pw"), MALFORMED, "malformed_response"),
    "4 kB name of bytes to escape": Case(b"\0" + b"\xff" * 4096 + b"\0pw", MALFORMED, "malformed_response"),
    "longest password": Case(b"\0{user}\0" + b"p" * 1024, REJECTED, "wrong_password", "{user}"),
    "password a byte too long": Case(b"\0{user}\0" + b"p" * 1025, MALFORMED, "malformed_response", "{user}"),
    "4 kB password": Case(b"\0{user}\0" + b"p" * 4096, MALFORMED, "malformed_response", "{user}"),
    "4 kB password, LOGIN": Case((b"{user}", b"p" * 4096), MALFORMED, "malformed_response", "{user}"),
    "4 kB authzid": Case(b"z" * 4096 + b"\0{user}\0pw", MALFORMED, "malformed_response"),
    "NUL in a LOGIN name": Case((b"{user}\0x", b"pw"), MALFORMED, "malformed_response"),
    "NUL before a LOGIN name": Case((b"\0{user}", b"pw"), MALFORMED, "malformed_response"),
    "NUL in a LOGIN password": Case((b"{user}", b"pw\0x"), MALFORMED, "malformed_response", "{user}"),
    "PLAIN of nothing": Case(b"", MALFORMED, "malformed_response"),
    "PLAIN with 0 NULs": Case(b"{user}", MALFORMED, "malformed_response"),
    "PLAIN with 1 NUL": Case(b"{user}\0pw", MALFORMED, "malformed_response"),
    "PLAIN with 3 NULs": Case(b"\0{user}\0pw\0x", MALFORMED, "malformed_response"),
    "PLAIN of 900 NULs": Case(b"\0" * 900, MALFORMED, "malformed_response"),
    "authzid unlike the authcid": Case(b"another\0{user}\0right horse battery", REJECTED, "authzid_mismatch", "{user}"),
    "authzid of another case": Case(b"{USER}\0{user}\0right horse battery", REJECTED, "authzid_mismatch", "{user}"),
}


def fill(octets, user, unique):
    """octets with the placeholders replaced."""
    return (
        octets.replace(b"{id}", unique.encode())
        .replace(b"{user}", user.encode())
        .replace(b"{USER}", user.upper().encode())
    )


@pytest.mark.parametrize("name", CASES)
def test_bad_input(connect, desk, db, user, name):
    """The answer, the row and the line; afterwards the session and the database still work."""
    case, unique = CASES[name], f"id-{uuid.uuid4().hex[:8]}"
    parts = case.message if isinstance(case.message, tuple) else (case.message,)
    mechanism = "LOGIN" if len(parts) == 2 else "PLAIN"
    users = db.value("SELECT count(*) FROM pgsasl.smtp_users")
    smtp = connect()

    outcome = desk.attempt(smtp.authenticate, mechanism, *(fill(part, user.name, unique) for part in parts))

    assert outcome.reply == case.reply
    row, line = outcome.row, outcome.line()
    assert (row.reason, row.mechanism, row.attempts) == (case.reason, mechanism, 1)
    assert (line["reason"], line["attempt"]) == (case.reason, row.attempt_id)
    if case.shown is not None:
        assert row.username == case.shown.replace("{id}", unique).replace("{user}", user.name)
    assert len((row.username or "").encode()) <= 1100
    assert len(outcome.lines()) == 1
    assert db.value("SELECT count(*) FROM pgsasl.smtp_users") == users
    assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED


def test_authzid_equal(connect, desk, user):
    """An authzid equal to the user name is accepted (RFC 4616)."""
    outcome = desk.attempt(connect().authenticate, "PLAIN", plain(*user.octets, user.octets[0]))
    assert (outcome.reply, outcome.rows) == (ACCEPTED, [])


def test_name_in_another_case(connect, desk, user):
    """User names are case-sensitive."""
    outcome = desk.attempt(connect().authenticate, "PLAIN", plain(user.name.upper().encode(), user.octets[1]))
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "unknown_user")


@pytest.mark.parametrize("length, wanted", [(72, ACCEPTED), (73, REJECTED), (80, REJECTED)])
def test_bcrypt_is_not_cut(connect, db, make_user, length, wanted):
    """bcrypt reads 72 bytes; a longer password that begins with the right 72 is refused."""
    user = make_user("p" * 72, stored=db.sql(f"SELECT pgsasl.hash_password('{'p' * 72}')"))
    assert connect().authenticate("PLAIN", plain(user.octets[0], b"p" * length)) == wanted


# Postfix answers these alone; docs/troubleshooting.md says so. No row, no line.
BY_THE_HOST = {
    "broken base64 as initial response": ([b"AUTH PLAIN A"], 535),
    "unsupported mechanism": ([b"AUTH CRAM-MD5"], 535),
}


@pytest.mark.parametrize("name", BY_THE_HOST)
def test_answered_by_the_host(connect, desk, name):
    """The plugin never sees it."""
    lines, code = BY_THE_HOST[name]
    smtp = connect()
    outcome = desk.attempt(lambda: [smtp.command(line) for line in lines][-1])
    assert (outcome.reply.code, outcome.rows) == (code, [])
    assert outcome.log.lines("pgsasl: ") == []
