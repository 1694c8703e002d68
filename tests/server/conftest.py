"""One PostgreSQL cluster and one Postfix for the whole run; users of its own for each test."""

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.audit import Audit, Desk
from harness.clients import Smtp
from harness.cluster import PLUGIN_LOGIN, Cluster, Session, literal
from harness.exim import Exim, find_exim
from harness.postfix import STOCK_PLUGINS, LogMark, Postfix, built_library, plugin_dir, sanitizer_of, sasl_conf
from harness.processes import free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt  # in Debian 12's Python; no other module of it knows crypt(3)


def pytest_configure():
    """A run that is told to end (a time limit, a lost terminal) stops its servers first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def missing(what):
    """A test machine without what is needed: skipped by a person, failed in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session", name="library")
def fixture_library():
    """The module under test."""
    library = built_library()
    if os.geteuid() != 0:
        missing("the servers need root to start")
    if not library.exists():
        missing(f"{library} is not built")
    for program in ("postfix", "psql", "runuser", "swaks", "curl", "msmtp", "saslpluginviewer", "openssl"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    return library


@pytest.fixture(scope="session", name="workdir")
def fixture_workdir():
    """A directory that the servers' own users may look into, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="pgsasl-test.") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture(scope="session", name="cluster")
def fixture_cluster(workdir, library):
    """The PostgreSQL cluster, schema loaded."""
    del library  # without it nothing has to be started
    cluster = Cluster.create(workdir / "postgresql")
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session", name="db")
def fixture_db(cluster):
    """A kept session of the database's owner."""
    with Session(cluster) as session:
        yield session


# Tables of a site's own, for pgsasl_user_query. "bare" holds hashes that the schema's CHECK would never let in.
OWN_TABLES = f"""
CREATE TABLE mail_users (username text PRIMARY KEY, password_hash text, enabled boolean, account_standing text);
CREATE TABLE bare (username text PRIMARY KEY, password_hash text);
GRANT SELECT ON mail_users, bare TO {PLUGIN_LOGIN};

CREATE TABLE looked_up (username text);
CREATE FUNCTION counted(name text, client inet) RETURNS TABLE (password_hash text) LANGUAGE sql VOLATILE
    SECURITY DEFINER AS $$
        INSERT INTO looked_up VALUES (name);
        SELECT password_hash FROM bare WHERE username = name $$;
"""

OWN_QUERY = "SELECT password_hash, enabled, account_standing FROM mail_users WHERE username = $1"
BARE_QUERY = "SELECT password_hash FROM bare WHERE username = $1"
COUNTED_QUERY = "SELECT * FROM counted($1, $2)"
NO_HASH_QUERY = "SELECT username, enabled FROM mail_users WHERE username = $1"


def services(cluster, config):
    """The smtpd services without TLS that tests use: name, and what their SASL configuration has beside the sample."""
    conninfo_file = {"pgsasl_conninfo_file": config / "sasl/pgsasl.conninfo"}
    dead = cluster.conninfo(port=free_port())
    return {
        "plain": conninfo_file,
        "inline": {"pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo()},
        "own-table": conninfo_file | {"pgsasl_user_query": OWN_QUERY},
        "bare-table": conninfo_file | {"pgsasl_user_query": BARE_QUERY},
        "no-hash-column": conninfo_file | {"pgsasl_user_query": NO_HASH_QUERY},
        "counted": conninfo_file | {"pgsasl_user_query": COUNTED_QUERY},
        "scram": conninfo_file | {"mech_list": "PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5"},
        "wants-tls": conninfo_file | {"pgsasl_require_tls": "yes"},
        "wrong-value": conninfo_file | {"pgsasl_timeout_ms": "soon"},
        "wrong-file": {"pgsasl_conninfo_file": config / "sasl/nowhere"},
        "no-database": {"pgsasl_conninfo_file": None, "pgsasl_conninfo": dead},
        "audit-elsewhere": {"pgsasl_conninfo_file": None, "pgsasl_conninfo": dead,
                            "pgsasl_audit_conninfo": cluster.conninfo()},
        "unprepared": conninfo_file | {"pgsasl_prepared_statements": "no"},
    }


@pytest.fixture(scope="session", name="own_tables")
def fixture_own_tables(db):
    """The tables that are not of our schema."""
    db.sql(OWN_TABLES)


@pytest.fixture(scope="session", name="plugins")
def fixture_plugins(workdir, library):
    """Where libsasl looks: our module beside the stock ones, which come first."""
    return [STOCK_PLUGINS, plugin_dir(workdir / "sasl2", {"libpgsasl.so": library})]


@pytest.fixture(scope="session", name="exim")
def fixture_exim(workdir, cluster, own_tables, plugins, library):
    """The Exim."""
    del own_tables
    program = find_exim()
    if program is None:
        missing("Exim with the driver cyrus_sasl is not there: see contrib/packages-exim.sh")
    exim = Exim(workdir / "exim", program, plugins, cluster.conninfo(), sanitizer_of(library))
    try:
        exim.start()
        yield exim
    finally:
        exim.stop()


@pytest.fixture(scope="session", name="postfix")
def fixture_postfix(workdir, cluster, own_tables, plugins, library):
    """The Postfix."""
    del own_tables
    postfix = Postfix.create(workdir / "postfix", plugins, cluster.conninfo(), sanitizer_of(library))
    for name, options in services(cluster, postfix.config).items():
        postfix.add_service(name, sasl_conf(options))
    # Another program on the same machine: its configuration knows nothing of us.
    postfix.add_service("stranger", sasl_conf({}, sample="mech_list: PLAIN LOGIN\npwcheck_method: auxprop\n"))
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


@pytest.fixture(autouse=True)
def no_sanitizer_report(request):
    """Fails a test during which the module drew a report of ASan or UBSan, or took a server down with a signal."""
    logs = [LogMark(request.getfixturevalue(name)) for name in ("postfix", "exim") if name in request.fixturenames]
    yield
    for log in logs:
        assert log.server.sanitizer_reports() == []
        assert log.lines(r"killed by signal|panic:|fatal:|SIGSEGV|signal \d+") == []


@pytest.fixture(name="service")
def fixture_service(postfix):
    """Services by name."""
    return postfix.services


@pytest.fixture(name="connect")
def fixture_connect(postfix):
    """Opens bare SMTP connections to a service and closes them after the test."""
    opened = []

    def connect(name="plain", **options):
        opened.append(Smtp(postfix.services[name], postfix.certificate, **options))
        return opened[-1]

    yield connect
    for smtp in opened:
        smtp.close()


@pytest.fixture(name="desk")
def fixture_desk(postfix, db):
    """Runs an attempt and gathers what the client, the audit table and the log say of it."""
    return Desk(postfix, Audit(db))


PASSWORD = "right horse battery"
_numbers = itertools.count(1)


def cheap_hash(password):
    """A stored hash that costs little."""
    return crypt.crypt(password, "$5$rounds=1000$saltysalt")


@dataclass
class User:
    """An SMTP user of one test."""

    name: str
    password: str
    user_id: int
    account_id: int

    @property
    def octets(self):
        """Name and password as a client sends them."""
        return self.name.encode(), self.password.encode()


@pytest.fixture(name="make_user")
def fixture_make_user(db):
    """Adds an SMTP user of a name never used before, in an account of its own."""

    def make_user(password=PASSWORD, stored=None, enabled=True, standing="good", networks=None, deleted=False):
        number = next(_numbers)
        name = f"user-{number}"
        account_id = int(db.sql(f"SELECT pgsasl.add_account('account of {name}', {literal(standing)})"))
        user_id = int(db.sql(f"""
            INSERT INTO pgsasl.smtp_users (username, password_hash, enabled, account_id, allowed_networks)
            VALUES ({literal(name)}, {literal(stored or cheap_hash(password))}, {literal(enabled)}, {account_id},
                    {literal(networks)}::cidr[]) RETURNING user_id"""))
        if deleted:
            db.sql(f"DELETE FROM pgsasl.smtp_users WHERE username = {literal(name)}")
        return User(name, password, user_id, account_id)

    return make_user


@pytest.fixture(name="user")
def fixture_user(make_user):
    """A user who may log in."""
    return make_user()
