"""A throw-away PostgreSQL cluster on a private port of 127.0.0.1, with contrib/sql/pgsasl.sql loaded by its owner."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import weakref
from pathlib import Path

from .processes import SOURCE, CommandFailed, alive, free_port, run, wait_for

DATABASE = "mail"
OWNER = "mailadmin"  # owns the database, loads the schema; no superuser
PLUGIN_LOGIN = "pgsasl_plugin"  # what the plugin logs in as
SCHEMA = SOURCE / "contrib/sql/pgsasl.sql"

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{base}'
max_connections = 60
shared_buffers = 16MB
fsync = {fsync}
full_page_writes = {fsync}
autovacuum = off
log_min_messages = warning
password_encryption = scram-sha-256
"""

HBA = """
local all,replication postgres peer
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
"""


def literal(value):
    """value as an SQL literal: for test data, not for production code."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "ARRAY[" + ", ".join(literal(item) for item in value) + "]"
    return "'" + str(value).replace("'", "''") + "'"


def bin_dir():
    """The directory of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise FileNotFoundError("no /usr/lib/postgresql/*/bin/initdb: install Debian's postgresql package")
    return found[-1].parent


class Queries:
    """Reads rows as dicts, for any class with sql()."""

    def sql(self, statement):
        """Runs a statement and returns what psql prints."""
        raise NotImplementedError

    def rows(self, query):
        """The rows of a query, each a dict."""
        return json.loads(self.sql(f"SELECT coalesce(json_agg(one_row), '[]') FROM ({query}) one_row"))

    def value(self, query):
        """The single value of a query."""
        (row,) = self.rows(query)
        (value,) = row.values()
        return value


class Cluster(Queries):
    """One cluster in a directory of its own. create() makes and starts it; at() finds one made before."""

    def __init__(self, base):
        self.base = Path(base)
        self.data = self.base / "data"
        self.bin = bin_dir()
        self.port = None
        self.owner_password = None
        self.plugin_password = None
        self.sessions = weakref.WeakSet()

    @classmethod
    def create(cls, base, fsync=False):
        """Makes a cluster under base, starts it, loads the schema and makes the plugin's login role."""
        cluster = cls(base)
        cluster.base.mkdir(parents=True)
        shutil.chown(cluster.base, "postgres", "postgres")
        cluster._as_postgres(
            "initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=peer", "--pgdata", cluster.data
        )
        cluster.port = free_port()
        cluster.owner_password, cluster.plugin_password = secrets.token_hex(16), secrets.token_hex(16)
        cluster._write("data/pg_hba.conf", HBA)
        with (cluster.data / "postgresql.conf").open("a", encoding="ascii") as conf:
            conf.write(SETTINGS.format(port=cluster.port, base=cluster.base, fsync="on" if fsync else "off"))
        cluster._write(
            "state.json",
            json.dumps({name: getattr(cluster, name) for name in ("port", "owner_password", "plugin_password")}),
        )
        try:
            cluster.start()
            cluster._populate()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def at(cls, base):
        """The cluster that create() made under base, running or not."""
        cluster = cls(base)
        vars(cluster).update(json.loads((cluster.base / "state.json").read_text(encoding="ascii")))
        return cluster

    def _write(self, name, text):
        path = self.base / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="ascii")
        shutil.chown(path, "postgres", "postgres")

    def _as_postgres(self, program, *argv, **options):
        return run("runuser", "-u", "postgres", "--", self.bin / program, *argv, cwd=self.base, **options)

    def _populate(self):
        admin = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.base), "-p", str(self.port)]
        run(
            "runuser",
            "-u",
            "postgres",
            "--",
            *admin,
            "-d",
            "postgres",
            cwd=self.base,
            stdin=f"""
            CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD {literal(self.owner_password)};
            CREATE DATABASE {DATABASE} OWNER {OWNER};""",
        )
        self.load_schema()
        # All clients are 127.0.0.1: their failures together would throttle it.
        self.sql("UPDATE pgsasl.settings SET throttle_user_client = NULL, throttle_client = NULL")
        self.sql(f"ALTER ROLE {PLUGIN_LOGIN} PASSWORD {literal(self.plugin_password)}")

    def admin(self, *statements, database=DATABASE):
        """Runs statements as superuser, each in a transaction of its own, and returns what they printed."""
        words = [word for statement in statements for word in ("-c", statement)]
        return run(
            "runuser",
            "-u",
            "postgres",
            "--",
            "psql",
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self.base,
            "-p",
            self.port,
            "-d",
            database,
            *words,
            cwd=self.base,
        ).stdout.strip()

    def load_schema(self):
        """What the README tells an administrator to do: psql -f, as the database's owner."""
        return run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", SCHEMA, self.uri())

    def uri(self, user=OWNER, database=DATABASE):
        """A connection URI, with the password."""
        password = self.owner_password if user == OWNER else self.plugin_password
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def conninfo(self, **more):
        """The connection string for pgsasl_conninfo."""
        words = {
            "host": "127.0.0.1",
            "port": self.port,
            "dbname": DATABASE,
            "user": PLUGIN_LOGIN,
            "password": self.plugin_password,
        } | more
        return " ".join(f"{name}={value}" for name, value in words.items())

    def start(self):
        """Starts the server and waits until it takes connections."""
        self._as_postgres(
            "pg_ctl", "start", "--wait", "--silent", "--pgdata", self.data, "--log", self.base / "server.log"
        )

    def stop(self, mode="immediate"):
        """Stops the server, if it runs, and waits for its end. Sessions of ours reconnect at their next statement."""
        for session in self.sessions:
            session.close()
        if (self.data / "postmaster.pid").exists():
            self._as_postgres(
                "pg_ctl", "stop", "--wait", "--silent", "--mode", mode, "--pgdata", self.data, check=False
            )

    def kill(self):
        """kill -9 for all of its processes at once, as when a machine loses power; waits until they are gone."""
        os.kill(self.processes()[0], signal.SIGSTOP)  # so that it starts no other process
        pids = self.processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, pids)), "the killed server to be gone")
        # A dead process that is not reaped yet makes its pid in these files look used.
        for lock in (self.data / "postmaster.pid", self.base / f".s.PGSQL.{self.port}.lock"):
            lock.unlink()

    def processes(self):
        """The pids of the running server, its first process first."""
        pid = int((self.data / "postmaster.pid").read_text(encoding="ascii").split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [pid, *map(int, children)]

    def restart(self):
        """Stops and starts the server, on the same port."""
        self.stop("fast")
        self.start()

    def sql(self, statement):
        """Runs SQL as the owner in a session of its own."""
        with Session(self) as session:
            return session.sql(statement)

    def log_text(self):
        """The server's own log."""
        path = self.base / "server.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


class Session(Queries):
    """One kept psql: for locks held across steps, and because starting psql for each question is slow.

    A question asked after the server went away fails; the next one starts a new psql.
    """

    END = "--end of answer--"

    def __init__(self, cluster, user=OWNER):
        self.cluster, self.user = cluster, user
        self.psql = None
        cluster.sessions.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self):
        # stdbuf: psql doesn't flush what \echo says.
        self.psql = subprocess.Popen(
            ["stdbuf", "-oL", "psql", "-X", "-q", "-A", "-t", self.cluster.uri(self.user)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={
                "PATH": os.environ["PATH"],
                "PGCLIENTENCODING": "UTF8",
                "PGTZ": "UTC",
                "PGOPTIONS": "-c client_min_messages=warning",
            },
        )

    def close(self):
        """Ends the session; what it had not committed is rolled back."""
        if self.psql is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self.psql.stdin.close()
        self.psql.wait(timeout=10)
        self.psql.stdout.close()
        self.psql = None

    def send(self, statement):
        """Sends without waiting for the answer."""
        if self.psql is None:
            self._start()
        self.psql.stdin.write(f"{statement}\n;\n\\echo {self.END} :ERROR :SQLSTATE\n")
        self.psql.stdin.flush()

    def answer(self):
        """What the statement sent last printed. Raises CommandFailed where it failed."""
        lines = []
        for line in self.psql.stdout:
            if line.startswith(self.END):
                if " true " in line:
                    raise CommandFailed("".join(lines))
                return "".join(lines).rstrip("\n")
            lines.append(line)
        self.close()
        raise CommandFailed(f"psql ended: {''.join(lines)}")

    def sql(self, statement):
        """Runs one statement and returns what it printed."""
        self.send(statement)
        return self.answer()
