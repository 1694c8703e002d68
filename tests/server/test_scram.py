"""The auxprop half: stock libscram gets SCRAM verifiers from us, for users in good standing only."""

import base64
import hashlib
import hmac
import smtplib

import pytest
from harness.answers import ACCEPTED, REJECTED
from harness.clients import plain
from harness.hashes import PASSWORD, cheap_hash


def verifier(password, iterations=4096, salt=b"salt of 16 bytes"):
    """A SCRAM verifier as PostgreSQL writes it (RFC 5802, RFC 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt, stored, server = (base64.b64encode(value).decode() for value in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt}${stored}:{server}"


def test_scram(connect, make_user):
    """The right password, both signatures checked; and the same user by PLAIN and LOGIN."""
    user = make_user(stored=verifier(PASSWORD))
    assert connect("scram").scram(user.name, PASSWORD) == ACCEPTED
    assert connect("scram").authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    assert connect("plain").authenticate("LOGIN", *user.octets) == ACCEPTED


def test_plain_against_a_verifier(connect, desk, make_user):
    """A wrong password against a SCRAM verifier is an ordinary one."""
    user = make_user(stored=verifier(PASSWORD))
    outcome = desk.attempt(connect().authenticate, "PLAIN", plain(user.octets[0], b"wrong"))
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")


REFUSED = {
    "wrong password": {"password": "another"},
    "disabled": {"enabled": False},
    "deleted": {"deleted": True},
    "past due": {"standing": "past_due"},
    "suspended": {"standing": "suspended"},
    "closed": {"standing": "closed"},
    "from elsewhere": {"networks": ["192.0.2.0/24"]},
    "another scheme": {"stored": cheap_hash(PASSWORD)},
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(connect, make_user, case):
    """A user whom PLAIN rejects is rejected by SCRAM, and so is one whose hash is of another scheme."""
    columns = dict(REFUSED[case])
    columns.setdefault("stored", verifier(columns.pop("password", PASSWORD)))
    reply = connect("scram").scram(make_user(**columns).name, PASSWORD)
    assert reply.code == 535


def test_unknown(connect):
    """An unknown user is rejected."""
    assert connect("scram").scram("nobody-at-all", PASSWORD).code == 535


def test_standing_is_read_every_time(connect, db, make_user):
    """A suspension takes effect at the next SCRAM login."""
    user = make_user(stored=verifier(PASSWORD))
    for standing, wanted in (("good", 235), ("suspended", 535), ("good", 235)):
        db.sql(f"UPDATE pgsasl.accounts SET standing = '{standing}' WHERE account_id = {user.account_id}")
        assert connect("scram").scram(user.name, PASSWORD).code == wanted


@pytest.mark.parametrize("secret", ["stored", "password"])
def test_no_secret_for_cram_md5(service, make_user, secret):
    """CRAM-MD5 asks for userPassword: neither the password nor the stored text works as the shared secret."""
    stored = verifier(PASSWORD)
    user = make_user(stored=stored)
    with smtplib.SMTP("127.0.0.1", service["scram"].port) as smtp:
        smtp.ehlo()
        assert "CRAM-MD5" in smtp.esmtp_features["auth"]
        smtp.user, smtp.password = user.name, stored if secret == "stored" else PASSWORD
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.auth("CRAM-MD5", smtp.auth_cram_md5)
