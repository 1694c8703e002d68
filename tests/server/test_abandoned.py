"""An exchange that the client breaks off is one row, with its name where the client had sent it."""

import pytest
from harness.answers import ACCEPTED, EXIM, REJECTED
from harness.audit import Audit, Desk
from harness.clients import Scram, Smtp, encode, plain
from harness.cluster import literal
from harness.hashes import verifier


def commands(smtp, lines):
    """The replies to commands that smtp sends one after the other."""
    return [smtp.command(line) for line in lines]


# How far the client gets, and whether the server knows its name then. {name} is base64.
BEGUN = {
    "PLAIN without initial response": ([b"AUTH PLAIN"], False),
    "LOGIN before the name": ([b"AUTH LOGIN"], False),
    "LOGIN after the name": ([b"AUTH LOGIN", b"{name}"], True),
    "LOGIN, name as initial response": ([b"AUTH LOGIN {name}"], True),
    "SCRAM before the name": ([b"AUTH SCRAM-SHA-256"], False),
    "SCRAM after the name": ([b"AUTH SCRAM-SHA-256 {first}"], True),
}
# What the client does then, and the codes of Postfix and of Exim.
ENDS = {
    "*": (b"*", 501, 501),
    "broken base64": (b"!!!", 535, 501),
    "a response over every limit": (b"x" * 70000, 500, 501),
    "hangs up": (None, None, None),
}


def lines_of(begun, user):
    """The lines of BEGUN for a user."""
    name, first = encode(user.octets[0]), encode(Scram(user.name, user.password).first())
    return [line.replace(b"{name}", name).replace(b"{first}", first) for line in BEGUN[begun][0]]


def check(outcome, begun, user, port):
    """One row and one line, complete."""
    mechanism = begun.split()[0].rstrip(",")
    row = outcome.row
    assert (row.reason, row.failed_checks, row.attempts) == ("abandoned_exchange", ["abandoned_exchange"], 1)
    assert row.mechanism.startswith(mechanism)
    assert (row.client_addr, row.client_port, row.service) == ("127.0.0.1", port, "smtp")
    if BEGUN[begun][1]:
        assert (row.username, row.user_id, row.account_id) == (user.name, user.user_id, user.account_id)
    else:
        assert (row.username or "", row.user_id) == ("", None)
    lines = outcome.log.wait_for(outcome.log.server.OURS + "rejected reason=abandoned_exchange")
    assert len(lines) == 1 and f"attempt={row.attempt_id}" in lines[0]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("begun", BEGUN)
def test_postfix(connect, desk, make_user, begun, end):
    """Postfix answers by itself; the row is there at the latest when the connection has ended."""
    user, smtp = make_user(stored=verifier()), connect("scram")
    port, (last, code, _) = smtp.port, ENDS[end]
    outcome = desk.leave(smtp, lambda: commands(smtp, lines_of(begun, user) + ([last] if last else [])))
    if last:
        assert outcome.reply[-1].code == code
    check(outcome, begun, user, port)


def test_the_next_auth_ends_it(connect, desk, user):
    """In the same session the row is there before the answer to the next AUTH, and that one works."""
    smtp = connect()
    commands(smtp, [b"AUTH LOGIN", encode(user.octets[0]), b"*"])
    outcome = desk.attempt(smtp.authenticate, "LOGIN", *user.octets)
    assert (outcome.reply, outcome.row.reason, outcome.row.username) == (ACCEPTED, "abandoned_exchange", user.name)


def test_nothing_after_a_verdict(connect, desk, user):
    """What libsasl disposes of after a verdict leaves nothing more."""
    smtp, moment = connect(), desk.audit.now()
    assert smtp.authenticate("LOGIN", user.octets[0], b"wrong") == REJECTED
    assert smtp.authenticate("PLAIN", plain(user.octets[0], b"wrong")) == REJECTED
    assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    assert smtp.command(b"QUIT").code == 221
    assert [row.reason for row in desk.audit.since(moment)] == ["wrong_password"] * 2


def test_after_the_proof(connect, desk, make_user):
    """A client that has seen the server's signature and goes away was not told that it is in: no login, one row."""
    user, smtp = make_user(stored=verifier()), connect("scram")
    client = Scram(user.name, user.password)
    reply = smtp.command(b"AUTH SCRAM-SHA-256 " + encode(client.first()))
    outcome = desk.leave(smtp, lambda: smtp.command(encode(client.final(reply))))
    assert (outcome.reply.code, outcome.row.reason, outcome.row.username) == (334, "abandoned_exchange", user.name)
    stamp = f"SELECT last_login_at IS NULL FROM pgsasl.smtp_users WHERE user_id = {user.user_id}"
    assert desk.audit.session.value(stamp)


def test_counts_as_a_guess(connect, desk, db, user):
    """Exchanges without an end are counted towards the throttle."""
    for _ in range(3):
        smtp = connect(source="127.0.9.2")
        desk.leave(smtp, lambda smtp=smtp: commands(smtp, [b"AUTH LOGIN", encode(user.octets[0])]))
    guesses = f"SELECT count(*) FROM pgsasl.recent_guesses WHERE username = {literal(user.name)}"
    assert db.value(guesses) == 3


# ---- Exim ----


@pytest.fixture(name="clear")
def fixture_clear(exim):
    """The port without TLS, with TLS not asked for either."""
    exim.configure(pgsasl_require_tls="no")
    yield exim.services["clear"]
    exim.configure()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("begun", [name for name in BEGUN if not name.startswith("SCRAM")])
def test_exim(exim, clear, db, user, begun, end):
    """Exim hands an empty response over when its client hangs up; whatever it does, one row, before its answer."""
    desk, smtp = Desk(exim, Audit(db)), Smtp(clear)
    port, (last, _, code) = smtp.port, ENDS[end]
    outcome = desk.leave(smtp, lambda: commands(smtp, lines_of(begun, user) + ([last] if last else [])))
    if last:
        assert outcome.reply[-1].code == code
    check(outcome, begun, user, port)


def test_exim_goes_on(clear, db, user):
    """The row is committed before Exim answers, and the connection goes on."""
    audit = Audit(db)
    moment = audit.now()
    with Smtp(clear) as smtp:
        assert commands(smtp, [b"AUTH LOGIN", encode(user.octets[0]), b"*"])[-1].code == 501
        assert [row.reason for row in audit.from_port(smtp.port, moment)] == ["abandoned_exchange"]
        assert smtp.log_in("PLAIN", user.name, user.password).code == 235
        assert len(audit.from_port(smtp.port, moment)) == 1


@pytest.mark.parametrize("lines", [[b"AUTH PLAIN", b""], [b"AUTH LOGIN", b""], [b"AUTH LOGIN", b"bm9ib2R5", b""]])
def test_exim_empty_response(clear, db, lines):
    """What Exim hands over when its client hangs up is an empty response, so one that was sent is taken for that."""
    audit = Audit(db)
    moment = audit.now()
    with Smtp(clear) as smtp:
        assert commands(smtp, lines)[-1] == EXIM.rejected
        (row,) = audit.from_port(smtp.port, moment)
    assert (row.reason, row.username or "") == ("abandoned_exchange", "nobody" if len(lines) == 3 else "")
