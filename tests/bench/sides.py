"""The sides of the comparison: mail servers that differ in what answers AUTH, all with one PostgreSQL cluster."""

import contextlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from harness import dovecot
from harness.cluster import DATABASE, Cluster, Session, literal
from harness.exim import Exim, find_exim
from harness.hashes import PASSWORD, cheap_hash
from harness.postfix import STOCK_PLUGINS, Postfix, built_library, plugin_dir, sasl_conf
from harness.processes import SOURCE, run, wait_for

PEER = "bench_peer"  # what Dovecot and the stock plugin log in as: it reads the tables

# Families of users, by the prefix of their names; all have PASSWORD. Each family has one hash.
HASHES = {
    "sha-": cheap_hash(),
    "bcrypt-": "$2b$10$saltysaltysaltysaltysOp2mWWXzbI8v1TAIFO9dPsHcrKTcOhc2",
    "argon-": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHlzYWx0eXNhbHR5IQ$NJaHWLWXru1m3rfgxZbGRNTIFsxp4fJF9hpROlBcv3k",
}
APPS = 50  # of each slow family: they log in again and again

# A server configured for so many users.
POSTGRESQL = """
max_connections = 300
shared_buffers = 1GB
max_wal_size = 8GB
autovacuum = on
"""


def built(name):
    """A file that make check has built."""
    return Path(os.environ.get("PGSASL_BUILD", SOURCE)) / name


def install_peers():
    """Brings in the peers' packages, as contrib/packages.sh does: no daemon is started."""
    run("bash", "-c", 'source contrib/packages.sh && packages_install "${PACKAGES_BENCH[@]}"', cwd=SOURCE, timeout=600)
    if find_exim() is None:
        found = run(
            "bash",
            "-c",
            "source contrib/packages.sh && source contrib/packages-exim.sh && packages_exim && " 'echo "$PGSASL_EXIM"',
            cwd=SOURCE,
            timeout=600,
        )
        os.environ["PGSASL_EXIM"] = found.stdout.strip()


def create_cluster(base):
    """The cluster, durable as in production, and the first users. Failures are counted, and nobody is throttled."""
    cluster = Cluster.create(base, fsync=True)
    try:
        with (cluster.data / "postgresql.conf").open("a", encoding="ascii") as conf:
            conf.write(POSTGRESQL)
        cluster.restart()
        cluster.peer_password = secrets.token_hex(16)
        cluster.sql(
            f"""
            CREATE ROLE {PEER} LOGIN PASSWORD {literal(cluster.peer_password)};
            CREATE TABLE bench_plain (username text COLLATE "C" PRIMARY KEY, password text NOT NULL);
            GRANT SELECT ON bench_plain, pgsasl.smtp_users TO {PEER};
            GRANT USAGE ON SCHEMA pgsasl TO {PEER};
            UPDATE pgsasl.settings SET throttle_user_client = 10000, throttle_client = 10000;
            SELECT pgsasl.add_account('bench')"""
        )
        for prefix in HASHES:
            add_users(cluster, prefix, 0, 1000 if prefix == "sha-" else APPS)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def add_users(cluster, prefix, first, end):
    """Users prefix0000000 and on, from first to before end, for all sides."""
    names = f"{literal(prefix)} || lpad(n::text, 7, '0') FROM generate_series({first}, {end - 1}) n"
    with Session(cluster) as session:
        session.sql(
            f"""INSERT INTO pgsasl.smtp_users (username, account_id, password_hash, last_login_at)
                        SELECT a.name, 1, {literal(HASHES[prefix])}, now() FROM (SELECT {names}) a(name)"""
        )
        session.sql(f"INSERT INTO bench_plain SELECT a.name, {literal(PASSWORD)} FROM (SELECT {names}) a(name)")


class Side:
    """One way to answer AUTH. Subclasses say how. The server is a Postfix unless family says otherwise."""

    name = label = ""
    family = "postfix"

    def __init__(self, base, cluster, max_use=100):
        self.base, self.cluster, self.max_use = base / self.name, cluster, max_use
        self.server = self.service = None

    def sasl_path(self):
        """The directories that libsasl looks for plugins in."""
        raise NotImplementedError

    def sasl_conf(self):
        """The service's SASL configuration file."""
        raise NotImplementedError

    def parameters(self):
        """More of the service's Postfix parameters."""
        return {}

    def start(self):
        """Starts the side's Postfix, and what else it has."""
        self.base.mkdir()
        self.base.chmod(0o755)
        self.server = Postfix.create(self.base / "postfix", self.sasl_path(), self.cluster.conninfo())
        # The clients' addresses have no names.
        self.server.set(smtpd_peername_lookup="no", max_use=self.max_use)
        self.service = self.server.add_service("bench", self.sasl_conf(), **self.parameters())
        self.server.start()

    def stop(self):
        """Stops all that start() has started, as far as it got."""
        if self.server is not None:
            self.server.stop()

    def mail_server_ns(self, processes):
        """CPU time of the processes that serve sessions, of which the master's other children use next to none."""
        return processes.smtpd_ns(self.server.master_pid())

    def session_pids(self, processes):
        """Those of them that live."""
        return processes.smtpds(self.server.master_pid())

    def daemon_pid(self):
        """The side's own daemon, beside smtpd and PostgreSQL; None where it has none."""
        return None


class Limit(Side):
    """A mechanism that does nothing: what Postfix and libsasl cost by themselves."""

    name, label = "limit", "nothing (limit)"

    def sasl_path(self):
        return [plugin_dir(self.base / "sasl2", {"libnothing.so": built("tests/bench/.libs/libnothing.so")})]

    def sasl_conf(self):
        return f"mech_list: PLAIN LOGIN\nbench_nothing_password: {PASSWORD}\n"


class Pgsasl(Side):
    """This project, as its samples set it up, with a spool."""

    name, label = "pgsasl", "pgsasl"
    options = {}

    def sasl_path(self):
        return [plugin_dir(self.base / "sasl2", {"libpgsasl.so": built_library()})]

    def sasl_conf(self):
        return sasl_conf(
            {
                "pgsasl_conninfo_file": self.server.config / "sasl/pgsasl.conninfo",
                "pgsasl_spool_file": self.base / "spool",
            }
            | self.more_options()
        )

    def more_options(self):
        """Options beside these."""
        return {}


class PgsaslCache(Pgsasl):
    """The same with the cache of verified passwords, on a tmpfs."""

    name, label = "pgsasl-cache", "pgsasl, cache on"

    def more_options(self):
        return {"pgsasl_verified_cache": f"/dev/shm/{self.base.parent.name}-verified"}

    def stop(self):
        super().stop()
        Path(self.more_options()["pgsasl_verified_cache"]).unlink(missing_ok=True)


DOVECOT_CACHE = """
auth_cache_size = 256M
auth_cache_ttl = 1 hour
auth_cache_verify_password_with_worker = yes
"""

DOVECOT_QUERY = """SELECT username AS user, CASE WHEN starts_with(password_hash, '$argon2id$') THEN '{{ARGON2ID}}' \
ELSE '{{CRYPT}}' END || password_hash AS password FROM pgsasl.smtp_users \
WHERE username = '{name}' AND enabled AND account_standing = 'good'"""


class Dovecot(Side):
    """Dovecot's auth daemon: SQL, passwords verified in auth workers, its cache on, no delay and no penalty."""

    name, label = "dovecot", "Dovecot, cache on"

    def sasl_path(self):
        return []

    def sasl_conf(self):
        return None

    def parameters(self):
        return {"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth"}

    def start(self):
        super().start()
        database = {
            "host": "127.0.0.1",
            "port": self.cluster.port,
            "dbname": DATABASE,
            "user": PEER,
            "password": self.cluster.peer_password,
        }
        socket = self.base / "postfix/queue/private/auth"
        conf = dovecot.configure(self.base, socket, database, DOVECOT_QUERY, more=DOVECOT_CACHE)
        # The daemon inherits these streams, so none may be a pipe that is read to its end.
        subprocess.run(
            ["dovecot", "-c", str(conf)],
            check=True,
            cwd="/",
            timeout=60,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(socket.is_socket, "Dovecot's socket")

    def daemon_pid(self):
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.base / "run/master.pid").read_text(encoding="ascii"))
        return None

    def stop(self):
        super().stop()
        if self.daemon_pid() is not None:
            run("doveadm", "-c", self.base / "dovecot.conf", "stop", check=False)


class CyrusSql(Side):
    """The stock sql auxprop plugin, which compares in clear and so needs the passwords in clear."""

    name, label = "cyrus-sql", "Cyrus sql, plain text"

    def sasl_path(self):
        """The plugin is unpacked and not installed: every SASL program on the machine would load it."""
        download = self.base / "package"
        download.mkdir(mode=0o755)
        shutil.chown(download, "_apt")
        run("apt-get", "-q", "download", "libsasl2-modules-sql", cwd=download, timeout=300)
        (package,) = download.glob("*.deb")
        run("dpkg", "-x", package, download)
        (plugin,) = download.glob("usr/lib/*/sasl2/libsql.so")
        return [plugin_dir(self.base / "sasl2", {"libsql.so": plugin}), STOCK_PLUGINS]

    def sasl_conf(self):
        return (
            f"mech_list: PLAIN LOGIN\npwcheck_method: auxprop\nauxprop_plugin: sql\nsql_engine: pgsql\n"
            f"sql_hostnames: 127.0.0.1:{self.cluster.port}\nsql_database: {DATABASE}\nsql_user: {PEER}\n"
            f"sql_passwd: {self.cluster.peer_password}\n"
            "sql_select: SELECT password FROM bench_plain WHERE username = '%u'\n"
        )


class InExim(Side):
    """One way to answer AUTH in Exim, which forks a process for each session."""

    family = "exim"

    def sasl_path(self):
        return []

    def sasl_conf(self):
        return None

    def authenticators(self):
        """What replaces contrib/exim's; None: contrib/exim's."""
        return None

    def start(self):
        self.base.mkdir()
        self.base.chmod(0o755)
        self.server = Exim(
            self.base / "exim", find_exim(), self.sasl_path(), self.cluster.conninfo(), instead=self.authenticators()
        )
        self.server.configure(pgsasl_require_tls="no")  # the clients of the comparison have none
        self.service = self.server.services["clear"]
        self.server.start()

    def mail_server_ns(self, processes):
        return processes.tree_ns(self.server.process.pid)

    def session_pids(self, processes):
        return []


class EximPgsasl(InExim):
    """This project, as contrib/exim has it."""

    name, label = "exim-pgsasl", "Exim, pgsasl"

    def sasl_path(self):
        return [plugin_dir(self.base / "sasl2", {"libpgsasl.so": built_library()})]


EXIM_LOOKUP = """
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if crypteq{{$auth3}}{{${{lookup pgsql,servers=127.0.0.1::{port}/{database}/{user}/{password}{{SELECT password_hash FROM pgsasl.smtp_users WHERE username = '${{quote_pgsql:$auth2}}' AND enabled AND account_standing = 'good'}}}}}}}}
  server_set_id = $auth2
"""


class EximLookup(InExim):
    """Exim's own look-up and comparison."""

    name, label = "exim-lookup", "Exim, ${lookup pgsql}"

    def authenticators(self):
        return EXIM_LOOKUP.format(
            port=self.cluster.port, database=DATABASE, user=PEER, password=self.cluster.peer_password
        )


SIDES = {side.name: side for side in (Limit, Pgsasl, PgsaslCache, Dovecot, CyrusSql, EximPgsasl, EximLookup)}
ABSENT = "saslauthd with PAM: Debian 12 has no PAM module for PostgreSQL"
