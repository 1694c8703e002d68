"""Faults of a database: each begins on enter and ends on exit, and nobody restarts the mail server."""

import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
from pathlib import Path

from .cluster import PLUGIN_LOGIN, Session
from .processes import CommandFailed, free_port, run, wait_for

RELAY = Path(__file__).with_name("relay.py")


@contextlib.contextmanager
def stopped(cluster):
    """Nobody listens."""
    cluster.stop("fast")
    try:
        yield
    finally:
        cluster.start()


@contextlib.contextmanager
def frozen(cluster):
    """Every process of the server is stopped by SIGSTOP; the kernel still accepts connections."""

    def signal_all(number):
        for pid in cluster.processes()[:1] + cluster.processes():  # the first is stopped before the others are listed
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    signal_all(signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(signal.SIGCONT)


@contextlib.contextmanager
def locked(cluster, table):
    """Somebody holds a lock that every query on table waits for."""
    with Session(cluster) as holder:
        holder.sql(f"BEGIN; LOCK TABLE pgsasl.{table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def changed(cluster, change, undo):
    """Something was changed by SQL, run as superuser, and the plugin's connections were ended."""
    cluster.admin(change)
    end_connections(cluster)
    try:
        yield
    finally:
        cluster.admin(undo)
        end_connections(cluster)


def by_sql(change, undo):
    """A fault made by SQL, as a function of a cluster."""
    return lambda cluster: changed(cluster, change, undo)


def of_role(change, undo):
    """A fault made by ALTER ROLE of the plugin's login."""
    return by_sql(f"ALTER ROLE {PLUGIN_LOGIN} {change}", f"ALTER ROLE {PLUGIN_LOGIN} {undo}")


def without_privilege(function):
    """The plugin may not call the function."""
    return by_sql(
        f"REVOKE EXECUTE ON FUNCTION {function} FROM {PLUGIN_LOGIN}",
        f"GRANT EXECUTE ON FUNCTION {function} TO {PLUGIN_LOGIN}",
    )


def end_connections(cluster):
    """Ends the plugin's sessions and waits until they are gone."""
    of_plugin = f"FROM pg_stat_activity WHERE usename = '{PLUGIN_LOGIN}'"
    cluster.admin(f"SELECT pg_terminate_backend(pid) {of_plugin}")
    wait_for(lambda: cluster.admin(f"SELECT count(*) {of_plugin}") == "0", "the plugin's sessions to end")


class SmallDisk:
    """A file system of a few megabytes, as a tablespace for next week's and this week's failures."""

    def __init__(self, cluster, path):
        self.cluster, self.path = cluster, path
        path.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "pgsasl-test", path)
        (path / "space").mkdir()
        run("chown", "postgres", path / "space")
        cluster.admin(
            f"CREATE TABLESPACE small LOCATION '{path}/space'", f"GRANT CREATE ON TABLESPACE small TO {PLUGIN_LOGIN}"
        )
        for table in self._tables():
            cluster.admin(f"ALTER TABLE pgsasl.{table} SET TABLESPACE small")

    def _tables(self):
        return (
            self.cluster.admin(
                "SELECT inhrelid::regclass::text FROM pg_inherits " "WHERE inhparent = 'pgsasl.auth_failures'::regclass"
            )
            .replace("pgsasl.", "")
            .split()
        )

    @contextlib.contextmanager
    def full(self):
        """No room is left."""
        filler = self.path / "space/filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        try:
            with contextlib.suppress(CommandFailed):  # what is left of the pages there are
                self.cluster.admin(
                    "INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, reason, failed_checks) "
                    "SELECT gen_random_uuid(), now(), 'wrong_password', '{}' FROM generate_series(1, 100000)"
                )
            yield
        finally:
            filler.unlink()

    def close(self):
        """Takes it away; the cluster must be stopped before; an smtpd may still have a spool on it open."""
        run("umount", "--lazy", self.path)


class Relay:
    """relay.py in front of a cluster, maybe in another network namespace."""

    def __init__(self, cluster, address="127.0.0.1", namespace=None):
        self.port = free_port()
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        self.process = subprocess.Popen(
            [*inside, sys.executable, RELAY, address, str(self.port), str(cluster.base / f".s.PGSQL.{cluster.port}")],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def _answer(self):
        assert self.process.stdout.readline() == "done\n", "the relay ended"

    def _tell(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        self._answer()

    @contextlib.contextmanager
    def _under(self, command):
        self._tell(command)
        try:
            yield
        finally:
            self._tell("forward")

    def silent(self):
        """It accepts, and passes nothing on."""
        return self._under("silent")

    def mute(self, word):
        """What the server says is swallowed once the client has said word: it is done, and nobody knows."""
        return self._under(f"mute {word}")

    def close(self):
        """Ends it and all its connections."""
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


# The arguments may be left out where a function has one form only.
FIND_USER, RECORD_FAILURE = "pgsasl.find_user", "pgsasl.record_failure"

# As on a standby.
read_only = of_role("SET default_transaction_read_only = on", "RESET default_transaction_read_only")

# Each is a function of a cluster. In all of these nothing is known of the user.
LOOK_UP_FAULTS = {
    "server stopped": stopped,
    "server frozen": frozen,
    "look-up blocked on a lock": lambda cluster: locked(cluster, "smtp_users"),
    "no login allowed": of_role("NOLOGIN", "LOGIN"),
    "too many connections": of_role("CONNECTION LIMIT 0", "CONNECTION LIMIT -1"),
    "no such function": by_sql(
        f"ALTER FUNCTION {FIND_USER} RENAME TO lost", "ALTER FUNCTION pgsasl.lost RENAME TO find_user"
    ),
    "no privilege to look up": without_privilege(FIND_USER),
}

# In these the look-up works, and the row cannot be stored.
AUDIT_FAULTS = {
    "audit table locked": lambda cluster: locked(cluster, "auth_failures"),
    "audit table gone": by_sql(
        "ALTER TABLE pgsasl.auth_failures RENAME TO lost", "ALTER TABLE pgsasl.lost RENAME TO auth_failures"
    ),
    "no privilege to record": without_privilege(RECORD_FAILURE),
    "read-only server": read_only,
}


@contextlib.contextmanager
def files(directory, contents):
    """The files of the dict are in directory, which had none of these names."""
    directory.mkdir(exist_ok=True)
    for name, text in contents.items():
        (directory / name).write_text(text, encoding="ascii")
    try:
        yield
    finally:
        for name in contents:
            (directory / name).unlink()


class Network:
    """A network namespace with an address that packets can be made to vanish on the way from."""

    NAME = f"pgsasl{os.getpid()}"
    # Four addresses of 198.18.0.0/15, which RFC 2544 sets aside for tests, so that two runs don't meet.
    FIRST = ipaddress.IPv4Address("198.18.0.0") + 4 * (os.getpid() % 32768)
    HOST, ADDRESS = str(FIRST + 1), str(FIRST + 2)

    def __init__(self):
        outside, inside = f"pgs{os.getpid()}a", f"pgs{os.getpid()}b"
        self.outside = outside
        run("ip", "netns", "add", self.NAME)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.NAME)
        run("ip", "address", "add", f"{self.HOST}/30", "dev", outside)
        run("ip", "link", "set", outside, "up")
        run("ip", "-n", self.NAME, "address", "add", f"{self.ADDRESS}/30", "dev", inside)
        run("ip", "-n", self.NAME, "link", "set", inside, "up")

    @contextlib.contextmanager
    def dropping(self):
        """No packet comes back, nor any word that none does."""
        run("ip", "-n", self.NAME, "route", "add", "blackhole", f"{self.HOST}/32")
        try:
            yield
        finally:
            run("ip", "-n", self.NAME, "route", "delete", "blackhole", f"{self.HOST}/32")

    def close(self):
        """Takes it away."""
        run("ip", "link", "delete", self.outside, check=False)
        run("ip", "netns", "delete", self.NAME, check=False)
