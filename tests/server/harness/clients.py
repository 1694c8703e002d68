"""SMTP clients: a bare one that sends exact bytes, and the real ones that people use.

Each real client logs in once, where asked sends a message, and reports the server's answer to AUTH.
"""

import base64
import hashlib
import hmac
import re
import secrets
import select
import smtplib
import socket
import ssl
import tempfile
import time
from dataclasses import dataclass, field

from .processes import run

SENDER, RECIPIENT = "app@customer.test", "someone@elsewhere.test"
MECHANISMS = ("PLAIN", "LOGIN")  # ours, for every user
MESSAGE = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: a test\r\n\r\nIt works.\r\n"


@dataclass(frozen=True)
class Reply:
    """An SMTP reply. text is without the codes of its lines."""

    code: int
    text: str

    def __str__(self):
        return f"{self.code} {self.text}"


@dataclass
class Login:
    """What a real client saw: the answer to AUTH, and the answer to the message, where it sent one."""

    reply: Reply
    accepted: Reply | None = None
    transcript: str = field(default="", repr=False)


def encode(octets):
    """base64, as SMTP has it."""
    return base64.b64encode(octets)


def plain(authcid, password, authzid=b""):
    """The message of PLAIN (RFC 4616)."""
    return b"\0".join((authzid, authcid, password))


def responses(mechanism, username, password, authzid=b""):
    """What a client sends in an exchange of PLAIN or LOGIN, to give to authenticate(). Text becomes UTF-8."""
    username, password, authzid = (
        text if isinstance(text, bytes) else text.encode() for text in (username, password, authzid)
    )
    return [plain(username, password, authzid)] if mechanism == "PLAIN" else [username, password]


class Scram:
    """The client's side of one exchange of SCRAM-SHA-256 (RFC 5802, RFC 7677)."""

    def __init__(self, username, password, header="n,,"):
        self.password, self.header = password, header
        self.bare = f"n={username},r={secrets.token_hex(12)}"
        self.values = self.salted = self.signed = None

    def first(self):
        """The first message."""
        return (self.header + self.bare).encode()

    def final(self, reply):
        """The second message, for the challenge in a 334. The challenge's fields are then in values."""
        challenge = base64.b64decode(reply.text).decode()
        self.values = dict(part.split("=", 1) for part in challenge.split(","))
        final = f"c={encode(self.header.encode()).decode()},r={self.values['r']}"
        salt, iterations = base64.b64decode(self.values["s"]), int(self.values["i"])
        self.salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, iterations)
        key = hmac.digest(self.salted, b"Client Key", "sha256")
        self.signed = f"{self.bare},{challenge},{final}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), self.signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(key, signature))
        return f"{final},p=".encode() + encode(proof)

    def check(self, reply):
        """Raises ValueError if the server's signature in a 334 is wrong."""
        key = hmac.digest(self.salted, b"Server Key", "sha256")
        if base64.b64decode(reply.text) != b"v=" + encode(hmac.digest(key, self.signed, "sha256")):
            raise ValueError("the server's signature is wrong")


class Smtp:
    """A bare SMTP client over a socket; source is an address of this machine to come from.

    Where limit_s is given, AUTH fails the test when its answers take longer together.
    """

    def __init__(self, service, cafile=None, timeout=30, source="127.0.0.1", limit_s=None):
        self.limit_s = limit_s
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout, (source, 0))
        context = ssl.create_default_context(cafile=cafile) if cafile else None
        if service.tls == "wrapped":
            self._wrap(context)
        else:
            self.file = self.socket.makefile("rb")
        self.banner = self.reply()
        self.greeting = self.command(b"EHLO client.test")
        if service.tls == "starttls":
            self.command(b"STARTTLS")
            self._wrap(context)
            self.greeting = self.command(b"EHLO client.test")

    def _wrap(self, context):
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        """This end's port."""
        return self.socket.getsockname()[1]

    def close(self):
        """Hangs up."""
        self.file.close()
        self.socket.close()

    def send(self, line):
        """Sends a line of any octets without waiting for the answer."""
        self.socket.sendall(line + b"\r\n")

    def reply(self):
        """Reads one reply, of one line or more."""
        lines = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError(f"the server hung up after {lines}")
            code, more, text = line[:3], line[3:4], line[4:].rstrip(b"\r\n")
            lines.append(text.decode("utf-8", "replace"))
            if more != b"-":
                return Reply(int(code), "\n".join(lines))

    def silent(self, seconds):
        """True where the server says nothing for so long. Without TLS only."""
        readable, _, _ = select.select([self.socket], [], [], seconds)
        return not readable

    def command(self, line):
        """Sends a line and reads the reply."""
        self.send(line)
        return self.reply()

    def mechanisms(self):
        """The SASL mechanisms of EHLO's answer, in its order."""
        found = re.search(r"^AUTH (.*)$", self.greeting.text, re.MULTILINE)
        return found.group(1).split() if found else []

    def authenticate(self, mechanism, *responses, initial=False):
        """Runs one exchange: sends each response, encoded, to a 334; the first along with AUTH where initial."""
        responses, began = list(responses), time.monotonic()
        line = b"AUTH " + mechanism.encode()
        if initial:
            line += b" " + encode(responses.pop(0))
        reply = self.command(line)
        while reply.code == 334 and responses:
            reply = self.command(encode(responses.pop(0)))
        took = time.monotonic() - began
        assert self.limit_s is None or took < self.limit_s, f"{reply} after {took:.1f} s"
        return reply

    def log_in(self, mechanism, username, password, authzid=b""):
        """Runs one exchange of PLAIN or LOGIN."""
        return self.authenticate(mechanism, *responses(mechanism, username, password, authzid))

    def scram(self, username, password):
        """Runs one exchange of SCRAM-SHA-256. Raises ValueError if the server's signature is wrong."""
        client = Scram(username, password)
        reply = self.command(b"AUTH SCRAM-SHA-256 " + encode(client.first()))
        if reply.code == 334:
            reply = self.command(encode(client.final(reply)))
        if reply.code == 334:
            client.check(reply)
            reply = self.command(b"")
        return reply

    def send_message(self):
        """Sends MESSAGE and returns the answer to its end."""
        for line in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
            reply = self.command(line.encode())
            if reply.code not in (250, 354):
                return reply
        return self.command(MESSAGE.encode() + b".")


def log_in(service, mechanism, username, password, authzid=b"", **options):
    """The answer to one AUTH on a connection of its own; options are those of Smtp."""
    with Smtp(service, **options) as smtp:
        return smtp.log_in(mechanism, username, password, authzid)


def _replies(transcript, mark):
    """The replies in a client's transcript whose lines begin with mark, a pattern."""
    found = re.findall(rf"^{mark}\s*(\d\d\d) (.*?)\r?$", transcript, re.MULTILINE)
    return [Reply(int(code), text) for code, text in found]


def _login(transcript, mark):
    """The Login in a transcript: the answer to AUTH is the first of these codes that is no challenge."""
    replies = _replies(transcript, mark)
    answers = [reply for reply in replies if reply.code in (235, 435, 454, 501, 535)]
    if not answers:
        raise AssertionError(f"no answer to AUTH in:\n{transcript}")
    queued = [reply for reply in replies if reply.code == 250 and re.search("queued as|OK id=", reply.text)]
    return Login(answers[0], queued[0] if queued else None, transcript)


def swaks_command(service, username, password, mechanism, cafile, send=True):
    """swaks, as one would type it."""
    command = [
        "swaks",
        "--server",
        "127.0.0.1",
        "--port",
        service.port,
        "--from",
        SENDER,
        "--to",
        RECIPIENT,
        "--auth",
        mechanism,
        "--auth-user",
        username,
        "--auth-password",
        password,
    ]
    if service.tls == "starttls":
        command += ["--tls", "--tls-verify", "--tls-ca-path", cafile]
    if service.tls == "wrapped":
        command += ["--tls-on-connect", "--tls-verify", "--tls-ca-path", cafile]
    return command if send else command + ["--quit-after", "AUTH"]


def swaks(service, username, password, mechanism, cafile, send=True):
    """Logs in with swaks."""
    done = run(*swaks_command(service, username, password, mechanism, cafile, send), check=False)
    return _login(done.stdout + done.stderr, r"<[~*]*-?\*?\*?")


def curl_command(service, username, password, mechanism, cafile, message, options=()):
    """curl sending the file message, as one would type it; options are more of its own."""
    scheme = "smtps" if service.tls == "wrapped" else "smtp"
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--verbose",
        "--url",
        f"{scheme}://127.0.0.1:{service.port}",
        "--user",
        f"{username}:{password}",
        "--login-options",
        f"AUTH={mechanism}",
        "--mail-from",
        SENDER,
        "--mail-rcpt",
        RECIPIENT,
        "--upload-file",
        message,
        *options,
    ]
    return command + (["--ssl-reqd", "--cacert", cafile] if service.tls != "none" else [])


def curl(service, username, password, mechanism, cafile, send=True, options=()):
    """Logs in with curl, which always sends a message where it may."""
    with tempfile.NamedTemporaryFile("w", suffix=".eml", newline="") as message:
        message.write(MESSAGE)
        message.flush()
        done = run(*curl_command(service, username, password, mechanism, cafile, message.name, options), check=False)
    login = _login(done.stdout + done.stderr, "<")
    return login if send else Login(login.reply, None, login.transcript)


def msmtp(service, username, password, mechanism, cafile, send=True):
    """Logs in with msmtp, which always sends a message where it may."""
    command = [
        "msmtp",
        "--host=127.0.0.1",
        f"--port={service.port}",
        f"--from={SENDER}",
        "--debug",
        f"--auth={mechanism.lower()}",
        f"--user={username}",
        "--passwordeval=printenv MSMTP_PASSWORD",
        f"--tls={'off' if service.tls == 'none' else 'on'}",
        f"--tls-starttls={'on' if service.tls == 'starttls' else 'off'}",
    ]
    if service.tls != "none":
        command += [f"--tls-trust-file={cafile}"]
    done = run(
        *command,
        RECIPIENT,
        stdin=MESSAGE.replace("\r\n", "\n"),
        env={"MSMTP_PASSWORD": password, "HOME": "/"},
        check=False,
    )
    login = _login(done.stdout + done.stderr, "<--")
    return login if send else Login(login.reply, None, login.transcript)


def python(service, username, password, mechanism, cafile, send=True):
    """Logs in with Python's smtplib."""
    context = ssl.create_default_context(cafile=cafile) if service.tls != "none" else None
    if service.tls == "wrapped":
        smtp = smtplib.SMTP_SSL("127.0.0.1", service.port, context=context, timeout=30)
    else:
        smtp = smtplib.SMTP("127.0.0.1", service.port, timeout=30)
    with smtp:
        if service.tls == "starttls":
            smtp.starttls(context=context)
        smtp.ehlo()
        smtp.user, smtp.password = username, password
        try:
            code, text = smtp.auth(mechanism, getattr(smtp, f"auth_{mechanism.lower()}"))
        except smtplib.SMTPAuthenticationError as refused:
            return Login(Reply(refused.smtp_code, refused.smtp_error.decode()))
        login = Login(Reply(code, text.decode()))
        if send:
            smtp.mail(SENDER)
            smtp.rcpt(RECIPIENT)
            code, text = smtp.data(MESSAGE)
            login.accepted = Reply(code, text.decode())
        return login


def gsasl(service, username, password, mechanism, cafile, send=True):
    """Authenticates with GNU SASL's gsasl, which sends no message."""
    del send
    tls = ["--starttls", f"--x509-ca-file={cafile}"] if service.tls == "starttls" else ["--no-starttls"]
    done = run(
        "gsasl",
        "--smtp",
        "--verbose",
        f"--connect=127.0.0.1:{service.port}",
        f"--mechanism={mechanism}",
        f"--authentication-id={username}",
        f"--password={password}",
        *tls,
        stdin="",
        check=False,
    )
    return _login(done.stdout + done.stderr, "")


CLIENTS = {"swaks": swaks, "curl": curl, "msmtp": msmtp, "python": python}
