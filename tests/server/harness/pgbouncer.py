"""A private PgBouncer in front of a cluster, with contrib/pgbouncer/pgbouncer.ini."""

import re
import subprocess

from .cluster import DATABASE, PLUGIN_LOGIN
from .processes import SOURCE, free_port, listening, run, wait_for

SAMPLE = SOURCE / "contrib/pgbouncer/pgbouncer.ini"


def keeps_prepared_statements():
    """True for the versions that keep them in a transaction pool: from 1.21 on, where max_prepared_statements is not 0."""
    major, minor = re.search(r"(\d+)\.(\d+)", run("pgbouncer", "--version").stdout).groups()
    return (int(major), int(minor)) >= (1, 21)


class PgBouncer:
    """One PgBouncer on a port of its own. settings stand in place of the sample's."""

    def __init__(self, base, cluster, **settings):
        self.base, self.cluster = base, cluster
        self.port = free_port()
        self.process = None
        base.mkdir()
        text = SAMPLE.read_text(encoding="ascii")
        text = re.sub(
            rf"^{DATABASE} = .*$",
            f"{DATABASE} = host=127.0.0.1 port={cluster.port} dbname={DATABASE}",
            text,
            flags=re.MULTILINE,
        )
        for name, value in (
            {
                "listen_port": self.port,
                "auth_file": base / "userlist.txt",
                "logfile": base / "log",
                "pidfile": base / "pid",
                "unix_socket_dir": base,
                "admin_users": "admin",
            }
            | settings
        ).items():
            text, found = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
            text += "" if found else f"{name} = {value}\n"
        (base / "pgbouncer.ini").write_text(text, encoding="ascii")
        (base / "userlist.txt").write_text(
            f'"{PLUGIN_LOGIN}" "{cluster.plugin_password}"\n"admin" "admin"\n', encoding="ascii"
        )
        run("chown", "-R", "postgres", base)
        self.start()

    def start(self):
        """Starts it and waits until it takes connections."""
        self.process = subprocess.Popen(
            ["runuser", "-u", "postgres", "--", "pgbouncer", "-q", self.base / "pgbouncer.ini"],
            cwd=self.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: listening(self.port), "PgBouncer to listen")

    def stop(self):
        """Ends it at once; a second time does no harm."""
        if self.process.poll() is None:
            self.tell("SHUTDOWN", check=False)  # from 1.23 on SIGTERM waits for the clients
        self.process.wait(timeout=10)

    def tell(self, command, check=True):
        """A command of its console."""
        console = f"postgresql://admin:admin@127.0.0.1:{self.port}/pgbouncer"
        return run("psql", "-XqAt", "-c", command, console, check=check).stdout

    def conninfo(self):
        """The connection string for pgsasl_conninfo."""
        return self.cluster.conninfo(port=self.port)
