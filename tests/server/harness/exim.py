"""A private Exim that loads contrib/exim as an administrator would, on free ports of 127.0.0.1.

Debian's Exim gives Cyrus SASL no log callback, so the plugin's lines go to syslog. The daemon runs in a mount namespace
of its own, whose /dev/log is ours; Exim's own lines are sent there, too, so that one log holds all in their order.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .certificates import Authority
from .postfix import HOSTNAME, Service, sasl_conf
from .processes import SOURCE, free_port, listening, wait_for

SAMPLES = SOURCE / "contrib/exim"
USER = "Debian-exim"  # compiled in

# A fresh machine's Exim would say the same, but for what makes this instance private. Mail is accepted and kept.
CONFIG = """
exim_path = {program}
primary_hostname = {hostname}
spool_directory = {base}/queue
log_file_path = {base}/log/%slog : syslog
log_selector = +smtp_protocol_error
syslog_timestamp = no
syslog_duplication = no
pid_file_path = {base}/exim.pid
keep_environment = ^SASL_
local_interfaces = 127.0.0.1
daemon_smtp_ports = {submission} : {submissions} : {clear}
tls_on_connect_ports = {submissions}
tls_advertise_hosts = ${{if eq{{$received_port}}{{{clear}}}{{}}{{*}}}}
tls_certificate = {base}/cert.pem
tls_privatekey = {base}/key.pem
acl_smtp_rcpt = submission
smtp_accept_max = 100
helo_allow_chars = _
queue_only

begin acl
submission:
  accept authenticated = *
  deny

begin authenticators
{authenticators}
"""

# A /dev with nothing in it but what servers need, and a log of our own. $1: our directory; then the program.
IN_PRIVATE_DEV = """
for name in null zero full random urandom; do
    : >"$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
mount --bind "$1/dev" /dev
shift
exec "$@"
"""


def scram_authenticator():
    """The authenticator for SCRAM-SHA-256, as contrib/exim/README.md has it."""
    section = (
        (SAMPLES / "README.md").read_text(encoding="utf-8").partition("\n## SCRAM-SHA-256\n")[2].partition("\n## ")[0]
    )
    return "".join(line[4:] + "\n" for line in section.splitlines() if line.startswith("    "))


def find_exim():
    """The program that check.sh unpacked, or an installed one; None where there is neither."""
    named = os.environ.get("PGSASL_EXIM") or shutil.which("exim4", path="/usr/sbin")
    return Path(named) if named and Path(named).exists() else None


class Exim:
    """One instance in a directory of its own; all of its ports read the same SASL configuration."""

    # Where a line of ours begins. Exim's own lines may quote the client, and begin otherwise.
    OURS = r"^exim4\[\d+\]: pgsasl: "
    # What Exim says by itself of an AUTH that failed, after all that we had to say.
    AFTER = r"^exim\[\d+\]: \S+ authenticator failed for "

    def __init__(self, base, program, sasl_path, conninfo, preload=None, instead=None):
        """Makes the instance; its SASL plugins come from the directories of sasl_path. It is not started yet.

        instead is text that replaces contrib/exim's authenticators.
        """
        self.instead = instead
        self.base, self.program = Path(base), Path(program)
        self.sasl = self.base / "sasl"
        self.environment = {
            "PATH": os.environ["PATH"],
            "SASL_PATH": ":".join(str(directory) for directory in sasl_path),
            "SASL_CONF_PATH": str(self.sasl),
        }
        if preload:
            report = f"log_path={self.base}/sanitizer/report"
            # Exim 4.96 measures a buffer of its own past its end while it greets a client.
            self.environment |= {
                "LD_PRELOAD": preload,
                "ASAN_OPTIONS": f"detect_leaks=0:intercept_strlen=0:{report}",
                "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:{report}",
            }
        self.services = {
            "submission": Service("submission", free_port(), "starttls"),
            "submissions": Service("submissions", free_port(), "wrapped"),
            "clear": Service("clear", free_port()),
        }
        self.process = self.log = self.listener = None
        self._make_files(conninfo)

    def _make_files(self, conninfo):
        self.base.mkdir()
        for name, mode, owner in (
            ("queue", 0o750, USER),
            ("log", 0o750, USER),
            ("sanitizer", 0o700, USER),
            ("sasl", 0o755, "root"),
            ("dev", 0o755, "root"),
        ):
            (self.base / name).mkdir()
            (self.base / name).chmod(mode)
            shutil.chown(self.base / name, owner, owner)
        (self.base / "log.txt").touch()
        self._make_certificate()
        self.write_for_exim("sasl/pgsasl.conninfo", conninfo + "\n")
        self.configure()
        # The sample offers AUTH inside TLS only. One port of ours offers it without.
        sample = self.instead or (SAMPLES / "authenticators.conf").read_text(encoding="utf-8")
        authenticators = sample.replace(
            "${if def:tls_in_cipher}",
            f"${{if or{{{{def:tls_in_cipher}}{{eq{{$received_port}}{{{self.services['clear'].port}}}}}}}}}",
        )
        ports = {name: service.port for name, service in self.services.items()}
        (self.base / "exim.conf").write_text(
            CONFIG.format(
                base=self.base, program=self.program, hostname=HOSTNAME, authenticators=authenticators, **ports
            ),
            encoding="utf-8",
        )

    def _make_certificate(self):
        authority = Authority(self.base / "ca", "mail CA")
        identity = authority.issue("exim", HOSTNAME, f"DNS:{HOSTNAME},IP:127.0.0.1")
        for name, source in (("cert.pem", identity.certificate), ("key.pem", identity.key)):
            self.write_for_exim(name, source.read_text(encoding="ascii"))
        self.certificate = authority.certificate

    def write_for_exim(self, name, text):
        """A file of root that the Exim user may read; replaced atomically."""
        with tempfile.NamedTemporaryFile("w", dir=self.base, delete=False, encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o640)
        shutil.chown(file.name, "root", USER)
        os.replace(file.name, self.base / name)

    def configure(self, **options):
        """Writes the sample's SASL configuration with these options, for the next AUTH on; see sasl_conf()."""
        sample = (SAMPLES / "sasl/exim.conf").read_text(encoding="utf-8")
        ours = {"pgsasl_conninfo_file": self.sasl / "pgsasl.conninfo"}
        self.write_for_exim("sasl/exim.conf", sasl_conf(ours | options, sample))

    def start(self):
        """Starts the daemon and waits until it takes connections."""
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listener.bind(str(self.base / "dev/log"))
        (self.base / "dev/log").chmod(0o666)
        threading.Thread(target=self._take_log, daemon=True).start()
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        self.process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-ec",
                IN_PRIVATE_DEV,
                "sh",
                self.base,
                "env",
                "-",
                *environment,
                self.program,
                "-C",
                self.base / "exim.conf",
                "-bdf",
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.base / "stderr").open("wb"),
            start_new_session=True,
        )
        for service in self.services.values():
            wait_for(
                lambda port=service.port: listening(port) or self.process.poll() is not None,
                f"Exim to listen on {service.port}",
            )
        assert self.process.poll() is None, (self.base / "stderr").read_text(encoding="utf-8", errors="replace")

    def _take_log(self):
        """Writes each datagram as a line, without its priority and time."""
        with (self.base / "log.txt").open("ab", buffering=0) as log:
            while datagram := self.listener.recv(65536):
                log.write(re.sub(rb"^<\d+>\w+ +\d+ [\d:]+ ", b"", datagram).rstrip(b"\0\n") + b"\n")

    def stop(self):
        """Stops the daemon and the processes of its connections, and waits for the daemon's end."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.listener.shutdown(socket.SHUT_RDWR)

    def log_text(self):
        """All that Exim and the plugin said."""
        return (self.base / "log.txt").read_text(encoding="utf-8", errors="replace")

    def sanitizer_reports(self):
        """The reports of ASan and UBSan."""
        return [
            path.read_text(encoding="utf-8", errors="replace") for path in sorted((self.base / "sanitizer").iterdir())
        ]
