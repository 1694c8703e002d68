"""Trap mechanisms: who insists on a mechanism that is not offered is a row with its name, and never gets in."""

import base64
import hmac
import re

import pytest
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.clients import Smtp, encode, plain
from harness.hashes import PASSWORD, verifier
from harness.postfix import STOCK_PLUGINS, LogMark, sasl_conf
from harness.processes import run
from harness.services import TRAP_NAMES, TRAPS

SECRET = "a-t0ken-that-nobody-may-see"


def answer_cram_md5(name, challenge):
    """RFC 2195."""
    return name.encode() + b" " + hmac.new(PASSWORD.encode(), challenge, "md5").hexdigest().encode()


def answer_digest_md5(name, challenge):
    """RFC 2831, as far as anybody looks at it."""
    nonce = re.search(rb'nonce="([^"]+)"', challenge).group(1)
    return b'username="%s",realm="x",nonce="%s",nc=00000001,response=%s' % (name.encode(), nonce, SECRET.encode())


def answer_ntlm(name, challenge):
    """[MS-NLMP] 2.2.1.3, with Unicode."""
    assert challenge[:12] == b"NTLMSSP\0\2\0\0\0"
    user = name.encode("utf-16-le")

    def field(length, at):
        return length.to_bytes(2, "little") * 2 + at.to_bytes(4, "little")

    fields = b"".join((field(0, 64), field(0, 64), field(0, 64), field(len(user), 64), field(0, 64), field(0, 64)))
    return b"NTLMSSP\0\3\0\0\0" + fields + (1).to_bytes(4, "little") + user


# The responses of a client: bytes, or a function of the name and the challenge; and whether they show the name.
TRAPPED = {
    "CRAM-MD5": ([answer_cram_md5], True),
    "DIGEST-MD5": ([answer_digest_md5], True),
    "NTLM": ([b"NTLMSSP\0\1\0\0\0\7\x82\x08\xa2", answer_ntlm], True),
    "XOAUTH2": ([f"user={{name}}\1auth=Bearer {SECRET}\1\1".encode()], True),
    "OAUTHBEARER": ([f"n,a={{name}},\1host=mail\1auth=Bearer {SECRET}\1\1".encode()], True),
    "SCRAM-SHA-1": ([b"n,,n={name},r=abcdefgh"], True),
    "X-OWN": ([b"{name} " + SECRET.encode()], False),
}


def exchange(smtp, mechanism, name):
    """Runs one exchange to its end."""
    reply = smtp.command(b"AUTH " + mechanism.encode())
    for response in TRAPPED[mechanism][0]:
        assert reply.code == 334
        message = (
            response.replace(b"{name}", name.encode())
            if isinstance(response, bytes)
            else response(name, base64.b64decode(reply.text))
        )
        reply = smtp.command(encode(message))
    return reply


@pytest.mark.parametrize("mechanism", TRAPPED)
def test_trapped(connect, desk, make_user, cluster, mechanism):
    """One row with the name, the usual 535, the stock mechanism is not asked; and the session goes on."""
    assert (STOCK_PLUGINS / "libcrammd5.so").exists() and (STOCK_PLUGINS / "libntlm.so").exists()
    user, smtp = make_user(stored=verifier()), connect("traps")
    outcome = desk.attempt(exchange, smtp, mechanism, user.name)
    assert outcome.reply == REJECTED
    row, line = outcome.row, outcome.line()
    shown = user.name if TRAPPED[mechanism][1] else ""
    assert (row.reason, row.failed_checks, row.mechanism) == (
        "mechanism_not_offered",
        ["mechanism_not_offered"],
        mechanism,
    )
    assert (row.username or "", row.user_id) == (shown, user.user_id if shown else None)
    assert (row.client_addr, row.client_port, row.detail) == ("127.0.0.1", smtp.port, None)
    assert (line["reason"], line["mechanism"], line["username"]) == ("mechanism_not_offered", mechanism, shown)
    assert SECRET not in "".join(outcome.log.lines("")) + cluster.log_text()
    assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED


def test_not_announced(connect):
    """The filter of the sample's main.cf keeps the traps out of EHLO."""
    assert sorted(connect("traps").mechanisms()) == ["LOGIN", "PLAIN"]
    assert set(TRAP_NAMES.split()) < set(connect("announced-traps").mechanisms())


@pytest.mark.parametrize("mechanism", TRAPPED)
def test_never_accepted(connect, desk, make_user, mechanism):
    """Whatever is sent instead of what the mechanism wants."""
    user = make_user(stored=verifier())
    for message in (
        b"",
        b"x",
        plain(*user.octets),
        b"n,,n=%s,r=abcdefgh" % user.octets[0],
        b"\0" * 100,
        b"\xff" * 2000,
    ):
        smtp, moment = connect("traps"), desk.audit.now()
        reply = smtp.command(b"AUTH " + mechanism.encode())
        for _ in range(3):
            if reply.code == 334:
                reply = smtp.command(encode(message))
        assert reply == REJECTED
        rows = desk.audit.from_port(smtp.port, moment)
        assert [row.reason for row in rows] == ["mechanism_not_offered"]
        assert user.password not in str(rows[0])


# Real clients, through a service that announces the traps: they choose only what is announced.
def curl(mechanism):
    """curl with a user name, and a password or a token."""
    token = ["--oauth2-bearer", SECRET] if "OAUTH" in mechanism else []
    return lambda port, name: [
        "curl", "--silent", "--show-error", "--verbose", "--url", f"smtp://127.0.0.1:{port}", "--user",
        f"{name}:{SECRET}", "--login-options", f"AUTH={mechanism}", "--mail-from", "a@customer.test", "--mail-rcpt",
        "b@elsewhere.test", "--upload-file", "/dev/null", *token]  # fmt: skip


def msmtp(mechanism):
    """msmtp with a user name, and a password or a token."""
    return lambda port, name: [
        "msmtp", "--host=127.0.0.1", f"--port={port}", "--from=a@customer.test", "--debug", f"--auth={mechanism.lower()}",
        f"--user={name}", f"--passwordeval=echo {SECRET}", "--tls=off", "b@elsewhere.test"]  # fmt: skip


CLIENTS = {f"{tool.__name__}, {mechanism}": (tool(mechanism), mechanism)
           for tool, mechanisms in ((curl, "CRAM-MD5 DIGEST-MD5 NTLM OAUTHBEARER"),
                                    (msmtp, "CRAM-MD5 DIGEST-MD5 XOAUTH2 OAUTHBEARER SCRAM-SHA-1"))
           for mechanism in mechanisms.split()}  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
def test_real_clients(service, desk, user, client):
    """The messages that curl and msmtp send show the name."""
    command, mechanism = CLIENTS[client]
    outcome = desk.attempt(
        run, *command(service["announced-traps"].port, user.name), stdin="x\n", env={"HOME": "/"}, check=False
    )
    said = outcome.reply.stdout + outcome.reply.stderr
    assert "235" not in said and "535" in said, said
    assert {(row.reason, row.mechanism, row.username) for row in outcome.rows} == {
        ("mechanism_not_offered", mechanism, user.name)
    }, said


def test_left(connect, desk):
    """A trap that is left after its challenge is an exchange without an end."""
    smtp = connect("traps")
    outcome = desk.leave(smtp, lambda: smtp.command(b"AUTH CRAM-MD5"))
    assert (outcome.reply.code, outcome.row.reason, outcome.row.mechanism) == (334, "abandoned_exchange", "CRAM-MD5")


def test_idle_trap_is_logged(postfix, user):
    """A trap that mech_list does not name is one line that says so; the others work."""
    options = {
        "mech_list": "PLAIN LOGIN NTLM",
        "pgsasl_trap_mechanisms": "CRAM-MD5, ntlm",
        "pgsasl_conninfo_file": postfix.config / "sasl/pgsasl.conninfo",
    }
    log = LogMark(postfix)
    service = postfix.add_service("idle-trap", sasl_conf(options))
    with Smtp(service) as smtp:
        assert smtp.log_in("PLAIN", user.name, user.password) == ACCEPTED
    (line,) = log.wait_for(postfix.OURS + "pgsasl_trap_mechanisms: ")
    assert "CRAM-MD5 is not in mech_list" in line


def test_faulty_option(postfix, user):
    """A name that cannot be a trap is one line with the option's name, and every AUTH a temporary failure."""
    options = TRAPS | {
        "pgsasl_trap_mechanisms": "CRAM-MD5 PLAIN",
        "pgsasl_conninfo_file": postfix.config / "sasl/pgsasl.conninfo",
    }
    log = LogMark(postfix)
    service = postfix.add_service("faulty-trap", sasl_conf(options))
    with Smtp(service) as smtp:
        assert smtp.log_in("PLAIN", user.name, user.password) == LATER
    log.wait_for(postfix.OURS + 'pgsasl_trap_mechanisms: "CRAM-MD5 PLAIN" names a mechanism that pgsasl offers')


def test_of_main_cf(postfix):
    """The sample's main.cf filters, and the lines for traps in the sample's smtpd.conf are good once uncommented."""
    text = (postfix.config / "main.cf").read_text(encoding="utf-8")
    assert re.search("^smtpd_sasl_mechanism_filter = plain, login$", text, re.MULTILINE)
    sample = sasl_conf({})
    commented = re.findall(r"^#((?:mech_list|pgsasl_trap_mechanisms): .*)$", sample, re.MULTILINE)
    listed, trapped = (set(line.partition(": ")[2].split()) for line in commented)
    assert trapped < listed and listed - trapped == {"PLAIN", "LOGIN"}
