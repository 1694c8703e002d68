"""One PostgreSQL cluster and one Postfix for the whole run; each test adds its own users."""

import functools
import os
import shutil

import pytest

pytest.register_assert_rewrite("harness")

# pylint: disable=wrong-import-position
from harness.audit import Audit, Desk
from harness.clients import Smtp
from harness.cluster import Cluster, Session
from harness.exim import Exim, find_exim
from harness.postfix import STOCK_PLUGINS, LogMark, Postfix, built_library, plugin_dir, sanitizer_of, sasl_conf
from harness.processes import end_on_signals, scratch
from harness.services import OWN_TABLES, PARAMETERS, services
from harness.users import add_user


def pytest_configure():
    """A run that is told to end stops its servers first."""
    end_on_signals()


@pytest.fixture(scope="session", name="missing")
def fixture_missing():
    """Says what the test machine lacks: the test is skipped for a person, and fails in CI."""

    def missing(what):
        if os.environ.get("CI") == "true":
            pytest.fail(what, pytrace=False)
        pytest.skip(what)

    return missing


@pytest.fixture(scope="session", name="library")
def fixture_library(missing):
    """The module under test."""
    library = built_library()
    if os.geteuid() != 0:
        missing("the servers need root to start")
    if not library.exists():
        missing(f"{library} is not built")
    for program in ("postfix", "psql", "runuser", "swaks", "curl", "msmtp", "gsasl", "saslpluginviewer", "openssl"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    return library


@pytest.fixture(scope="session", name="workdir")
def fixture_workdir():
    """A directory that the servers' own users may read; removed at the end."""
    with scratch("pgsasl-test.") as path:
        yield path


@pytest.fixture(scope="session", name="cluster")
def fixture_cluster(workdir, library):
    """The PostgreSQL cluster, schema loaded."""
    del library  # without it no server needs to start
    cluster = Cluster.create(workdir / "postgresql")
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session", name="db")
def fixture_db(cluster):
    """A session of the database's owner, kept open."""
    with Session(cluster) as session:
        yield session


@pytest.fixture(scope="session", name="own_tables")
def fixture_own_tables(db):
    """The tables that are not of our schema."""
    db.sql(OWN_TABLES)


@pytest.fixture(scope="session", name="plugins")
def fixture_plugins(workdir, library):
    """Where libsasl looks: our module beside the stock ones, which come first."""
    return [STOCK_PLUGINS, plugin_dir(workdir / "sasl2", {"libpgsasl.so": library})]


@pytest.fixture(scope="session", name="exim")
def fixture_exim(workdir, cluster, own_tables, plugins, library, missing):
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
    for name, options in services(cluster, postfix.config / "sasl/pgsasl.conninfo").items():
        postfix.add_service(name, sasl_conf(options), **PARAMETERS.get(name, {}))
    # Another program on the same machine: its configuration knows nothing of us.
    postfix.add_service("stranger", sasl_conf({}, sample="mech_list: PLAIN LOGIN\npwcheck_method: auxprop\n"))
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


@pytest.fixture(autouse=True)
def no_sanitizer_report(request):
    """Fails a test during which ASan or UBSan reported something, or a server died by a signal."""
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
    """Runs an attempt and collects what the client, the audit table and the log say about it."""
    return Desk(postfix, Audit(db))


@pytest.fixture(name="make_user")
def fixture_make_user(db):
    """Adds an SMTP user of a name never used before, in an account of its own; see add_user()."""
    return functools.partial(add_user, db)


@pytest.fixture(name="user")
def fixture_user(make_user):
    """A user who may log in."""
    return make_user()
