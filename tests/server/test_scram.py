"""SCRAM-SHA-256 is a mechanism of ours: same checks, audit, throttle and stamps as PLAIN, and its challenges tell nothing."""

import base64
import smtplib

import pytest
from harness.answers import ACCEPTED, LATER, MALFORMED, NOT_AUTHORIZED, REJECTED
from harness.clients import Scram, Smtp, encode, gsasl, msmtp, plain
from harness.cluster import literal
from harness.exim import Exim, find_exim, scram_authenticator
from harness.hashes import PASSWORD, cheap_hash, verifier
from harness.postfix import sanitizer_of
from harness.processes import wait_for

ELSEWHERE = ["192.0.2.0/24"]


def test_right_password(connect, desk, make_user):
    """Accepted without a row; the server's signature is right; and the same user by PLAIN and LOGIN."""
    user = make_user(stored=verifier())
    outcome = desk.attempt(connect("scram").scram, user.name, PASSWORD)
    assert (outcome.reply, outcome.rows) == (ACCEPTED, [])
    assert connect("scram").authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    assert connect("plain").authenticate("LOGIN", *user.octets) == ACCEPTED


@pytest.mark.parametrize("client", [gsasl, msmtp])
def test_real_clients(service, desk, make_user, client):
    """gsasl and msmtp log in, and hear the usual answer to a wrong password, which is one row."""
    user = make_user(stored=verifier())
    login = client(service["scram"], user.name, PASSWORD, "SCRAM-SHA-256", None)
    assert login.reply == ACCEPTED, login.transcript
    outcome = desk.attempt(client, service["scram"], user.name, "wrong", "SCRAM-SHA-256", None)
    assert outcome.reply.reply == REJECTED, outcome.reply.transcript
    assert (outcome.row.reason, outcome.row.mechanism, outcome.row.username) == (
        "wrong_password",
        "SCRAM-SHA-256",
        user.name,
    )


def test_login_stamp(connect, db, make_user):
    """A login by SCRAM is noted as any other: idle_users, and the clean-up that is made of it, do not see the user."""
    user = make_user(stored=verifier())
    assert connect("scram").scram(user.name, PASSWORD) == ACCEPTED
    address = f"SELECT host(last_login_from) FROM pgsasl.smtp_users WHERE user_id = {user.user_id}"
    assert wait_for(lambda: db.value(address), "the stamp") == "127.0.0.1"


# What differs from a user who may log in: reason, failed checks behind it, reply, and whether the user is known.
REFUSED = {
    "wrong password": ({}, "wrong_password", [], REJECTED),
    "disabled": ({"enabled": False}, "disabled_user", [], REJECTED),
    "disabled, and wrong password": ({"enabled": False}, "disabled_user", ["wrong_password"], REJECTED),
    "deleted": ({"deleted": True}, "deleted_user", [], REJECTED),
    "past due": ({"standing": "past_due"}, "account_past_due", [], REJECTED),
    "suspended": ({"standing": "suspended"}, "account_suspended", [], REJECTED),
    "closed": ({"standing": "closed"}, "account_closed", [], REJECTED),
    "expired": ({"expires_at": "2026-01-01"}, "expired_user", [], REJECTED),
    "from elsewhere": ({"networks": ELSEWHERE}, "ip_not_authorized", [], NOT_AUTHORIZED),
    "elsewhere, and wrong password": ({"networks": ELSEWHERE}, "wrong_password", ["ip_not_authorized"], REJECTED),
    "another scheme": ({"stored": cheap_hash()}, "no_scram_verifier", [], REJECTED),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(connect, desk, make_user, case):
    """Nobody whom PLAIN would reject gets in; one row and one line, as for PLAIN."""
    columns, reason, more, reply = REFUSED[case]
    user = make_user(**{"stored": verifier()} | columns)
    smtp = connect("scram")
    outcome = desk.attempt(smtp.scram, user.name, "wrong" if "wrong password" in case else PASSWORD)
    assert outcome.reply == reply
    row, line = outcome.row, outcome.line()
    assert (row.reason, row.failed_checks) == (reason, [reason, *more])
    assert (row.username, row.user_id, row.mechanism) == (user.name, user.user_id, "SCRAM-SHA-256")
    assert (row.client_addr, row.client_port, row.service) == ("127.0.0.1", smtp.port, "smtp")
    assert (line["reason"], line["mechanism"], line["attempt"]) == (reason, "SCRAM-SHA-256", row.attempt_id)


def test_nobody(connect, desk):
    """An unknown name, and an e-mail address, get the answer of a wrong password, after the proof."""
    for name, reason in (("nobody-at-all", "unknown_user"), ("nobody@customer.test", "username_has_at")):
        outcome = desk.attempt(connect("scram").scram, name, PASSWORD)
        assert (outcome.reply, outcome.row.reason) == (REJECTED, reason)


def test_unusable_hash(connect, desk, db, make_user):
    """A fault of the table is a temporary failure."""
    name = make_user().name
    db.sql(f"INSERT INTO bare VALUES ({literal(name)}, 'SCRAM-SHA-256$4096:')")
    outcome = desk.attempt(connect("bare-scram").scram, name, PASSWORD)
    assert (outcome.reply, outcome.row.reason) == (LATER, "unusable_hash")


def test_standing_is_read_every_time(connect, db, make_user):
    """A suspension takes effect at the next SCRAM login."""
    user = make_user(stored=verifier())
    for standing, wanted in (("good", 235), ("suspended", 535), ("good", 235)):
        db.sql(f"UPDATE pgsasl.accounts SET standing = '{standing}' WHERE account_id = {user.account_id}")
        assert connect("scram").scram(user.name, PASSWORD).code == wanted


# ---- rotation ----


def rotate(db, user, grace, salt):
    """Replaces the user's password by "new" with the salt given; the old one is accepted for a time."""
    db.sql(
        f"UPDATE pgsasl.smtp_users SET rotation_grace = {literal(grace)}, password_hash = "
        f"{literal(verifier('new', salt=salt))} WHERE user_id = {user.user_id}"
    )


@pytest.mark.parametrize("grace, reply, reason", [("1 hour", ACCEPTED, None), ("0", REJECTED, "stale_password")])
def test_retired_with_the_same_salt(connect, desk, db, make_user, grace, reply, reason):
    """In its grace the old password still logs in, and is noted as such; afterwards it is stale_password."""
    user = make_user(stored=verifier())
    rotate(db, user, grace, b"salt of 16 bytes")
    outcome = desk.attempt(connect("scram").scram, user.name, PASSWORD)
    assert (outcome.reply, [row.reason for row in outcome.rows]) == (reply, [reason] if reason else [])
    assert connect("scram").scram(user.name, "new") == ACCEPTED
    used = f"SELECT last_used_at IS NOT NULL FROM pgsasl.retired_passwords WHERE user_id = {user.user_id}"
    wait_for(lambda: db.value(used) == (reason is None), "the stamp of the retired password")


def test_retired_with_another_salt(connect, desk, db, make_user):
    """One challenge cannot serve two salts: the old password works by PLAIN only, as pgsasl(5) says."""
    user = make_user(stored=verifier())
    rotate(db, user, "1 hour", b"another salt 16b")
    outcome = desk.attempt(connect("scram").scram, user.name, PASSWORD)
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")
    assert connect("scram").authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    assert connect("scram").scram(user.name, "new") == ACCEPTED


# ---- guessing ----


@pytest.fixture(name="limits")
def fixture_limits(db):
    """Twenty failures throttle a user name; afterwards nothing does."""
    db.sql("UPDATE pgsasl.settings SET throttle_user_client = 20")
    yield
    db.sql("UPDATE pgsasl.settings SET throttle_user_client = NULL")


def guess(connect, name, count, password="guess"):
    """The replies to SCRAM attempts from an address of their own; Postfix answers slowly after ten errors."""
    replies, smtp = [], None
    for number in range(count):
        if number % 9 == 0:
            smtp = connect("scram", source="127.0.9.1")
        replies.append(smtp.scram(name, password))
    return replies


def test_guesses_are_rows_and_get_throttled(connect, db, make_user, limits):
    """Thirty wrong proofs: thirty attempts in rows, the last ten of them throttled, and so is the right password."""
    del limits
    user = make_user(stored=verifier())
    assert guess(connect, user.name, 30) == [REJECTED] * 20 + [LATER] * 10
    counted = db.rows(
        f"SELECT reason, sum(attempts)::integer AS attempts FROM pgsasl.auth_failures WHERE username = {literal(user.name)} "
        "GROUP BY reason ORDER BY reason"
    )
    assert counted == [{"reason": "throttled", "attempts": 10}, {"reason": "wrong_password", "attempts": 20}]
    assert guess(connect, user.name, 1, PASSWORD) == [LATER]
    assert connect("scram").scram(user.name, PASSWORD) == ACCEPTED  # from another network


def test_no_verifier_is_no_guess(connect, make_user, limits):
    """Clients that insist on SCRAM do not lock out the same user's right password by PLAIN."""
    del limits
    user = make_user()
    assert guess(connect, user.name, 25) == [REJECTED] * 25
    assert connect("scram", source="127.0.9.1").authenticate("PLAIN", plain(*user.octets)) == ACCEPTED


# ---- messages ----


def final_of(smtp, client):
    """The second message of a client whose first one got a challenge."""
    reply = smtp.command(b"AUTH SCRAM-SHA-256 " + encode(client.first()))
    assert reply.code == 334
    return client.final(reply)


TAMPERED = {
    "nonce": lambda final: final.replace(b",r=", b",r=x", 1),
    "nonce cut short": lambda final: final.replace(final.split(b",")[1], final.split(b",")[1][:-1]),
    "gs2-header": lambda final: final.replace(b"c=biws", b"c=eSws"),
    "proof cut short": lambda final: final[:-4],
    "no proof": lambda final: final.rpartition(b",p=")[0],
    "mandatory extension": lambda final: final.replace(b",p=", b",m=1,p="),
    "a NUL at the end": lambda final: final + b"\0",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampered(connect, desk, make_user, how):
    """Fields that do not fit are malformed; the same with a flipped bit in the proof is a wrong password."""
    user, smtp = make_user(stored=verifier()), connect("scram")
    final = final_of(smtp, Scram(user.name, PASSWORD))
    outcome = desk.attempt(smtp.command, encode(TAMPERED[how](final)))
    assert (outcome.reply, outcome.row.reason, outcome.row.username) == (MALFORMED, "malformed_response", user.name)
    assert smtp.scram(user.name, PASSWORD) == ACCEPTED


def test_flipped_proof(connect, desk, make_user):
    """One bit of the proof."""
    user, smtp = make_user(stored=verifier()), connect("scram")
    head, _, proof = final_of(smtp, Scram(user.name, PASSWORD)).rpartition(b",p=")
    proof = bytearray(base64.b64decode(proof))
    proof[31] ^= 1
    outcome = desk.attempt(smtp.command, encode(head + b",p=" + encode(bytes(proof))))
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")


def test_replayed(connect, desk, make_user):
    """What was accepted once is refused in the next exchange, whose nonce is another."""
    user, first, second = make_user(stored=verifier()), connect("scram"), connect("scram")
    client = Scram(user.name, PASSWORD)
    final = final_of(first, client)
    assert first.command(encode(final)).code == 334
    assert first.command(b"") == ACCEPTED
    assert second.command(b"AUTH SCRAM-SHA-256 " + encode(client.first())).code == 334
    outcome = desk.attempt(second.command, encode(final))
    assert (outcome.reply, outcome.row.reason) == (MALFORMED, "malformed_response")


FIRST = {
    "n,a={user},n={user},r=abcdefgh": 334,
    "y,,n={user},r=abcdefgh": 334,
    "p=tls-unique,,n={user},r=abcdefgh": "malformed_response",
    "n,,m=x,n={user},r=abcdefgh": "malformed_response",
    "n,,n={user}": "malformed_response",
    "{user}": "malformed_response",
    "n,,n=" + 256 * "x" + ",r=abc": "malformed_response",
    "n,,n={user},r=" + 1400 * "x": "malformed_response",
}


@pytest.mark.parametrize("message", FIRST)
def test_first_message(connect, desk, make_user, message):
    """What is taken and what is refused at once."""
    user, smtp = make_user(stored=verifier()), connect("scram")
    line = b"AUTH SCRAM-SHA-256 " + encode(message.replace("{user}", user.name).encode())
    if FIRST[message] == 334:
        outcome = desk.leave(smtp, lambda: smtp.command(line))
        assert (outcome.reply.code, outcome.row.reason) == (334, "abandoned_exchange")
    else:
        outcome = desk.attempt(smtp.command, line)
        assert (outcome.reply, outcome.row.reason) == (MALFORMED, FIRST[message])


def test_another_s_name(connect, desk, make_user):
    """The authorization identity must be the name."""
    user, smtp = make_user(stored=verifier()), connect("scram")
    final = final_of(smtp, Scram(user.name, PASSWORD, header="n,a=root,"))
    outcome = desk.attempt(smtp.command, encode(final))
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "authzid_mismatch")


# ---- challenges ----


def challenge(connect, desk, name, service="scram"):
    """The fields of the challenge for a name."""
    client, smtp = Scram(name, PASSWORD), connect(service)
    desk.leave(smtp, lambda: final_of(smtp, client))
    return client.values


def test_challenges_tell_nothing(connect, desk, make_user):
    """A live user and every other name get the same kind of 334, and each name the same salt each time."""
    users = {
        "live": make_user(stored=verifier(salt=bytes(range(16)))),
        "suspended": make_user(stored=verifier(salt=bytes(range(1, 17))), standing="suspended"),
        "deleted": make_user(stored=verifier(), deleted=True),
        "another scheme": make_user(),
    }
    names = [user.name for user in users.values()] + ["nobody-1", "nobody-2", "nobody@customer.test"]
    salts = {}
    for name in names:
        one, other = challenge(connect, desk, name), challenge(connect, desk, name)
        assert (one["s"], one["i"]) == (other["s"], other["i"])
        assert (one["i"], len(base64.b64decode(one["s"])), len(one["r"])) == ("4096", 16, 24 + 24)
        assert one["r"][24:] != other["r"][24:]
        salts[name] = one["s"]
    assert len(set(salts.values())) == len(names)
    assert base64.b64decode(salts[users["live"].name]) == bytes(range(16))


def test_challenges_of_a_site_s_own_table(connect, desk, db, make_user):
    """Without the columns decoy_key and scram_iterations the same holds."""
    hashed, unknown = make_user().name, "nobody-1"
    db.sql(f"INSERT INTO bare VALUES ({literal(hashed)}, {literal(cheap_hash())})")
    for name in (hashed, unknown):
        one, other = (challenge(connect, desk, name, "bare-scram") for _ in range(2))
        assert (one["s"], one["i"], len(base64.b64decode(one["s"]))) == (other["s"], "4096", 16)


def test_iterations_of_the_settings(connect, desk, db):
    """settings.scram_iterations is what a name without a verifier shows."""
    db.sql("DELETE FROM pgsasl.smtp_users")  # a name whose decoy is a verifier shows that one's count
    db.sql("UPDATE pgsasl.settings SET scram_iterations = 12345")
    assert challenge(connect, desk, "nobody-1")["i"] == "12345"
    db.sql("UPDATE pgsasl.settings SET scram_iterations = DEFAULT")


# ---- other mechanisms ----


@pytest.mark.parametrize("secret", ["stored", "password"])
def test_no_secret_for_cram_md5(service, make_user, secret):
    """Stock CRAM-MD5 asks for userPassword: neither the password nor the stored text works as the shared secret."""
    stored = verifier()
    user = make_user(stored=stored)
    with smtplib.SMTP("127.0.0.1", service["scram"].port) as smtp:
        smtp.ehlo()
        assert "CRAM-MD5" in smtp.esmtp_features["auth"]
        smtp.user, smtp.password = user.name, stored if secret == "stored" else PASSWORD
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.auth("CRAM-MD5", smtp.auth_cram_md5)


# ---- Exim ----


@pytest.fixture(name="scram_exim", scope="module")
def fixture_scram_exim(workdir, cluster, plugins, library, missing):
    """An Exim with the authenticator for SCRAM of contrib/exim/README.md."""
    program = find_exim()
    if program is None:
        missing("Exim with the driver cyrus_sasl is not there: see contrib/packages-exim.sh")
    exim = Exim(
        workdir / "exim-scram", program, plugins, cluster.conninfo(), sanitizer_of(library), scram_authenticator()
    )
    exim.configure(pgsasl_require_tls="no")
    try:
        exim.start()
        yield exim
    finally:
        exim.stop()


def test_exim(scram_exim, db, make_user):
    """The same mechanism under Exim, which calls the last step with the client's empty response."""
    user = make_user(stored=verifier())
    with Smtp(scram_exim.services["submission"], scram_exim.certificate) as smtp:
        assert smtp.scram(user.name, "wrong").code == 535
        assert smtp.scram("nobody-at-all", "wrong").code == 535
        assert smtp.scram(user.name, PASSWORD).code == 235
    assert (
        db.value(
            f"SELECT count(*) FROM pgsasl.auth_failures WHERE username = {literal(user.name)} "
            "AND reason = 'wrong_password' AND mechanism = 'SCRAM-SHA-256'"
        )
        == 1
    )
