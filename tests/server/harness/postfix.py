"""A private Postfix that loads contrib/postfix as an administrator would, on free ports of 127.0.0.1.

Its smtpd processes are chrooted. The plugin under test and the stock ones are found through SASL_PATH, which Postfix
passes on because import_environment says so; libsasl honours it as nothing here is setuid.
"""

import contextlib
import json
import os
import pwd
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .processes import SOURCE, TimedOut, alive, cpu_ns, free_port, listening, run, wait_for

SAMPLES = SOURCE / "contrib/postfix"
HOSTNAME = "mail.example.test"

# What Debian's own main.cf would say, and what makes this instance private. Mail is accepted, logged and dropped.
# postlogd may wait for a disk that PostgreSQL keeps busy; its watchdog would end it, and with it the log that all
# others wait for.
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
maillog_file = {base}/mail.log
maillog_file_prefixes = {base}
postlogd_watchdog_timeout = 300s
import_environment = MAIL_CONFIG MAIL_LOGTAG LANG=C {environment}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {hostname}
mydestination =
mynetworks =
alias_maps =
alias_database =
default_transport = discard:accepted
smtpd_client_connection_count_limit = 0
"""

MASTER_CF = """
cleanup   unix       n  -  y  -      0  cleanup
qmgr      unix       n  -  n  300    1  qmgr
tlsmgr    unix       -  -  y  1000?  1  tlsmgr
rewrite   unix       -  -  y  -      -  trivial-rewrite
bounce    unix       -  -  y  -      0  bounce
defer     unix       -  -  y  -      0  bounce
trace     unix       -  -  y  -      0  bounce
proxymap  unix       -  -  n  -      -  proxymap
error     unix       -  -  y  -      -  error
retry     unix       -  -  y  -      -  error
discard   unix       -  -  y  -      -  discard
anvil     unix       -  -  y  -      1  anvil
postlog   unix-dgram n  -  n  -      1  postlogd
"""


def sasl_conf(options, sample=None):
    """A SASL configuration: sample's text (default: contrib/postfix/sasl/smtpd.conf) with options put in.

    An option whose value is None is taken out.
    """
    text = (SAMPLES / "sasl/smtpd.conf").read_text(encoding="utf-8") if sample is None else sample
    for name, value in options.items():
        text = re.sub(rf"^{re.escape(name)}:.*\n", "", text, flags=re.MULTILINE)
        if value is not None:
            text += f"{name}: {value}\n"
    return text


def sanitizer_of(library):
    """The sanitizer runtime that library needs preloaded into a host that was built without it, or None."""
    found = re.search(r"lib[at]san\.so\S* => (\S+)", run("ldd", library).stdout)
    return found.group(1) if found else None


@dataclass
class Service:
    """One smtpd service. tls is "none", "starttls" or "wrapped"."""

    name: str
    port: int
    tls: str = "none"


class Postfix:
    """One instance in a directory of its own. create() makes it; at() finds one made before."""

    # Where a line of ours begins. Anchored: Postfix's own line about a failure quotes the client's user name.
    OURS = r"^\w+ +\d+ [\d:]+ \S+ postfix\S*/smtpd\[\d+\]: warning: SASL authentication (problem|failure): pgsasl: "
    # What Postfix says by itself of an AUTH that failed, after all that we had to say.
    AFTER = r"SASL \S+ authentication failed"

    def __init__(self, base):
        self.base = Path(base)
        self.config = self.base / "config"
        self.services = {}

    @classmethod
    def create(cls, base, sasl_path, conninfo, preload=None, options=None):
        """Makes an instance whose SASL plugins come from the directories of sasl_path. It is not started yet.

        options are put into the sample's smtpd.conf.
        """
        postfix = cls(base)
        environment = {"SASL_PATH": ":".join(str(directory) for directory in sasl_path)}
        if preload:
            environment |= {
                "LD_PRELOAD": preload,
                "ASAN_OPTIONS": "detect_leaks=0:log_path=sanitizer/report",
                "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:log_path=sanitizer/report",
            }
        postfix._make_directories()
        postfix._configure(environment, conninfo, options or {})
        return postfix

    @classmethod
    def at(cls, base):
        """The instance that create() made under base, running or not."""
        postfix = cls(base)
        state = json.loads((postfix.base / "state.json").read_text(encoding="ascii"))
        postfix.services = {name: Service(**service) for name, service in state.items()}
        return postfix

    def _make_directories(self):
        owner = pwd.getpwnam("postfix")
        for name, mode, uid in (
            ("", 0o755, 0),
            ("config", 0o755, 0),
            ("config/sasl", 0o755, 0),
            ("data", 0o700, owner.pw_uid),
            ("queue", 0o755, 0),
            ("queue/sanitizer", 0o755, owner.pw_uid),
        ):
            path = self.base / name
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
            os.chown(path, uid, 0)

    def _configure(self, environment, conninfo, options):
        words = " ".join(f"{name}={value}" for name, value in environment.items())
        main = MAIN_CF.format(base=self.base, hostname=HOSTNAME, environment=words)
        main += (SAMPLES / "main.cf.sample").read_text(encoding="utf-8")
        (self.config / "main.cf").write_text(main, encoding="utf-8")
        self.set(cyrus_sasl_config_path=self.config / "sasl")
        self._make_certificate()
        self._write_secret("sasl/pgsasl.conninfo", conninfo + "\n")
        conninfo_file = {"pgsasl_conninfo_file": self.config / "sasl/pgsasl.conninfo"}
        self._write_secret("sasl/smtpd.conf", sasl_conf(conninfo_file | options))
        sample = (SAMPLES / "master.cf.sample").read_text(encoding="utf-8")
        for name, tls in (("submission", "starttls"), ("submissions", "wrapped")):
            port = free_port()
            sample = re.sub(rf"^{name} ", f"127.0.0.1:{port} ", sample, flags=re.MULTILINE)
            self.services[name] = Service(name, port, tls)
        (self.config / "master.cf").write_text(MASTER_CF + sample, encoding="utf-8")
        self._save()

    def _write_secret(self, name, text):
        path = self.config / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")

    def _save(self):
        state = {name: vars(service) for name, service in self.services.items()}
        (self.base / "state.json").write_text(json.dumps(state), encoding="ascii")

    def _make_certificate(self):
        run(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={HOSTNAME}",
            "-addext",
            f"subjectAltName=DNS:{HOSTNAME},DNS:localhost,IP:127.0.0.1",
            "-keyout",
            self.config / "key.pem",
            "-out",
            self.certificate,
        )
        self.set(smtpd_tls_cert_file=self.certificate, smtpd_tls_key_file=self.config / "key.pem")

    @property
    def certificate(self):
        """What clients have to trust."""
        return self.config / "cert.pem"

    def set(self, **parameters):
        """postconf -e; start() or reload() puts it into effect."""
        run("postconf", "-c", self.config, "-e", *(f"{name}={value}" for name, value in parameters.items()))

    def add_service(self, name, sasl=None, processes="-", **parameters):
        """Adds a chrooted smtpd service without TLS, with sasl as the text of its own SASL configuration file.

        Without sasl the service reads smtpd.conf as the others do. processes is the most that run at once; parameters
        are its -o options.
        """
        service = Service(name, free_port())
        options = {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "no", "smtpd_tls_security_level": "none"}
        if sasl is not None:
            self._write_secret(f"sasl/{name}.conf", sasl)
            options["smtpd_sasl_path"] = name
        words = " ".join(f"-o {{ {key} = {value} }}" for key, value in (options | parameters).items())
        with (self.config / "master.cf").open("a", encoding="utf-8") as master:
            master.write(f"127.0.0.1:{service.port} inet n - y - {processes} smtpd {words}\n")
        self.services[name] = service
        self._save()
        if self.running():
            self.reload()
        return service

    def start(self):
        """Starts the instance and waits until every service takes connections."""
        run("postfix", "-c", self.config, "start")
        self._wait_for_services()

    def reload(self):
        """Reads the configuration again, for new smtpd processes.

        A master writes its log by a blocking send to postlogd, which a reload ends and the master has to start again:
        when other processes have filled the socket meanwhile, all of them wait for ever. Such an instance is started
        again; the master never loads the module under test.
        """
        run("postfix", "-c", self.config, "reload")
        try:
            self._wait_for_services()
            self._wait_for_postlogd()
        except (TimedOut, subprocess.TimeoutExpired):
            self._kill()
            self.start()

    def _wait_for_postlogd(self):
        mark = LogMark(self)
        run("postlog", "-c", self.config, "-t", "harness", "reloaded", timeout=15)
        mark.wait_for(" harness.*: reloaded$")

    def _wait_for_services(self):
        for service in self.services.values():
            wait_for(lambda port=service.port: listening(port), f"Postfix to listen on {service.port}")

    def master_pid(self):
        """The pid of this instance's master, or None."""
        try:
            return int((self.base / "queue/pid/master.pid").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def running(self):
        """True while the master process lives."""
        pid = self.master_pid()
        return pid is not None and alive(pid)

    def stop(self):
        """Stops the instance and waits for its end. Does no harm where it doesn't run."""
        pid = self.master_pid()
        if pid is None or not alive(pid):
            return
        run("postfix", "-c", self.config, "stop", check=False)
        self._kill()

    def _kill(self):
        """Ends the master and all of its processes, if it lives."""
        pid = self.master_pid()
        if pid is not None and alive(pid):
            os.killpg(pid, signal.SIGKILL)
            wait_for(lambda: not alive(pid), "Postfix's master to end")

    def log_text(self):
        """All of the mail log."""
        path = self.base / "mail.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def sanitizer_reports(self):
        """The reports of ASan and UBSan; the path is the same before the chroot and inside it."""
        return [
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted((self.base / "queue/sanitizer").iterdir())
        ]


def cpu_s(service):
    """The CPU time that each of the service's smtpd processes has used so far, by pid."""
    used = {}
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = cmdline.read_bytes().split(b"\0")
            if words[0] == b"smtpd" and f"127.0.0.1:{service.port}".encode() in words:
                used[cmdline.parent.name] = cpu_ns(cmdline.parent.name) / 1e9
    return used


class CpuMeter:
    """The CPU time of a service's smtpd processes from now on; those that start later are left out."""

    def __init__(self, service):
        self.service, self.before = service, cpu_s(service)

    def used(self):
        """What each has used since, in seconds, by pid."""
        after = cpu_s(self.service)
        return {pid: after[pid] - self.before[pid] for pid in self.before.keys() & after.keys()}


class LogMark:
    """The mail log from now on."""

    def __init__(self, server):
        self.server = server
        self.start = len(server.log_text())

    def lines(self, pattern):
        """The lines since the mark in which pattern is found."""
        return [line for line in self.server.log_text()[self.start :].splitlines() if re.search(pattern, line)]

    def wait_for(self, pattern, count=1):
        """Waits for count such lines and returns them."""
        return wait_for(
            lambda: len(found := self.lines(pattern)) >= count and found,
            f"{count} log line(s) with {pattern!r}\n{self.server.log_text()[self.start:]}",
        )


STOCK_PLUGINS = max(Path("/usr/lib").glob("*-linux-gnu*/sasl2"), default=Path("/usr/lib/sasl2"))


def plugin_dir(path, links):
    """A directory for SASL_PATH with these links in it, a dict of name to file."""
    path = Path(path)
    path.mkdir(parents=True)
    for name, target in links.items():
        (path / name).symlink_to(target)
    return path


def built_library():
    """The module under test: in the build directory that PGSASL_BUILD names, by default the source tree."""
    return Path(os.environ.get("PGSASL_BUILD", SOURCE)) / ".libs/libpgsasl.so"
