"""The module in small programs: threads, fork, many lives, failing memory; no leak, no descriptor left open."""

import os
import shutil
import subprocess
import time

import pytest

from harness.certificates import Authority
from harness.cluster import PLUGIN_LOGIN
from harness.imposter import ANSWERS, Imposter
from harness.postfix import built_library, plugin_dir, sanitizer_of
from harness.processes import wait_for

LOGINS = 500  # with PLAIN, and as many with LOGIN
SASL_OK, SASL_UNAVAIL, SASL_BADAUTH = 0, -24, -13
VALGRIND = ("valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite", "--error-exitcode=9")


@pytest.fixture(name="configure")
def fixture_configure(tmp_path, library, cluster, db):
    """Writes a host's SASL configuration; returns its directory and an environment in which libsasl finds us."""
    del db

    def configure(conninfo=None, **options):
        config = tmp_path / "sasl"
        config.mkdir(exist_ok=True)
        lines = {
            "mech_list": "PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5 XOAUTH2",
            "pgsasl_trap_mechanisms": "CRAM-MD5 XOAUTH2",
            "pgsasl_conninfo": conninfo or cluster.conninfo(),
        } | options
        (config / "host.conf").write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
        if not (tmp_path / "plugins").exists():
            plugin_dir(tmp_path / "plugins", {"libpgsasl.so": library})
        return config, os.environ | {"SASL_PATH": str(tmp_path / "plugins")}

    return configure


def program(name):
    """A test program of the build, by libtool's wrapper or as it is."""
    return built_library().parent.parent / "tests/host" / name


def valgrind():
    """The command that runs a program of the build under valgrind."""
    return [built_library().parent.parent / "libtool", "--mode=execute", *VALGRIND]


@pytest.fixture(name="host")
def fixture_host(configure, library):
    """Runs saslhost; under valgrind, unless the build has a sanitizer, which looks for leaks by itself."""

    def run(user, password, count, conninfo=None):
        config, environment = configure(conninfo)
        command = [] if sanitizer_of(library) else valgrind()
        return subprocess.run(
            [*command, program("saslhost"), config, "host", str(count), user, password],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    "password, count, code",
    [(None, LOGINS, SASL_OK), ("wrong", 20, SASL_BADAUTH)],
    ids=["right password", "wrong password"],
)
def test_no_leak(host, make_user, password, count, code):
    """The same answer each time, and no leak."""
    user = make_user()
    done = host(user.name, password or user.password, count)
    assert (done.returncode, done.stdout) == (0, f"code {code}, other 0\n"), done.stderr


def test_no_leak_without_database(host):
    """An outage causes no leak either."""
    done = host("nobody", "wrong", 20, "host=127.0.0.1 port=1 dbname=none user=none")
    assert (done.returncode, done.stdout) == (0, f"code {SASL_UNAVAIL}, other 0\n"), done.stderr


@pytest.fixture(name="guest")
def fixture_guest(configure, user):
    """Starts guest in one of its modes."""

    def start(mode, count, command=(), **options):
        config, environment = configure(**options)
        return subprocess.Popen(
            [*command, program("guest"), mode, config, "host", user.name, user.password, str(count)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process):
    """Waits for the end; the last line that the program printed."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, out + errors
    return out.splitlines()[-1]


MODES = {  # mode: count, count under valgrind, last line
    "threads": (60, 6, "{eight} attempts, 0 wrong codes"),
    "abandoned": (100, 20, "0 wrong codes"),
    "lives": (500, 5, "0 lives failed, "),
}


@pytest.mark.parametrize("mode", MODES)
def test_guest(guest, workdir, mode):
    """Eight threads; exchanges left in the middle; five hundred lives from sasl_server_init to sasl_done."""
    count, _, said = MODES[mode]
    line = finish(guest(mode, count, pgsasl_spool_file=workdir / "guest.spool"))
    assert line.startswith(said.format(eight=8 * count)), line


@pytest.mark.parametrize("mode", MODES)
def test_guest_leaks_nothing(guest, library, mode):
    """The same under valgrind, less often."""
    if sanitizer_of(library):
        return  # it has looked for leaks in test_guest
    _, count, said = MODES[mode]
    assert finish(guest(mode, count, valgrind())).startswith(said.format(eight=8 * count))


def test_fork(guest, db, user, library):
    """A child forked during another thread's call has its own connection and leaves the parent's alone."""
    if "asan" in (sanitizer_of(library) or ""):
        return  # a child may find the lock of ASan's allocator taken, for good
    db.sql(
        """
        CREATE TABLE asked (nth bigint GENERATED ALWAYS AS IDENTITY, username text, pid integer);
        CREATE FUNCTION by_pid(name text, client inet) RETURNS TABLE (password_hash text) LANGUAGE sql VOLATILE
            SECURITY DEFINER AS $$
                INSERT INTO asked (username, pid) VALUES (name, pg_backend_pid());
                SELECT password_hash FROM pgsasl.smtp_users WHERE username = name $$"""
    )
    process = guest("fork", 1, pgsasl_user_query="SELECT * FROM by_pid($1, $2)")
    assert finish(process) == "0 children failed, 0 wrong codes in the parent"
    asked = db.rows("SELECT username, pid FROM asked ORDER BY nth")
    parent = asked[0]["pid"]
    children = {}
    for row in asked:
        if row["username"] != user.name:
            children.setdefault(row["username"], set()).add(row["pid"])
    assert len(children) == 12 and all(len(pids) == 1 for pids in children.values()), children
    # The parent used one backend from first to last, and no child used it.
    born = set().union(*children.values())
    assert len(born) == 12 and parent not in born
    assert asked[-1]["pid"] == parent and {row["pid"] for row in asked} == born | {parent}


@pytest.fixture(name="tls")
def fixture_tls(cluster, tmp_path):
    """The cluster takes connections over TLS as well."""
    identity = Authority(tmp_path / "authority", "ours").issue("server", "127.0.0.1", "IP:127.0.0.1")
    for source, name in ((identity.certificate, "server.crt"), (identity.key, "server.key")):
        shutil.copy(source, cluster.data / name)
        shutil.chown(cluster.data / name, "postgres")
    cluster.admin("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
    wait_for(lambda: cluster.admin("SHOW ssl") == "on", "TLS")
    yield
    cluster.admin("ALTER SYSTEM RESET ssl", "SELECT pg_reload_conf()")


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_state_of_the_process(guest, cluster, tls, sslmode):
    """With SIGPIPE at its default and a server that hangs up, the host survives and its process state is unchanged."""
    del tls
    process = guest("state", 4, conninfo=cluster.conninfo(sslmode=sslmode))
    for _ in range(4):
        assert process.stdout.readline() == "attempted\n"
        cluster.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{PLUGIN_LOGIN}'")
        process.stdin.write("\n")
        process.stdin.flush()
    assert finish(process) == "0 wrong codes, state untouched, 0 descriptors to inherit"


@pytest.fixture(name="trusted")
def fixture_trusted(cluster):
    """A role that needs no password: SCRAM alone allocates 25,000 times."""
    hba = cluster.data / "pg_hba.conf"
    before = hba.read_text(encoding="ascii")
    cluster.admin(f"CREATE ROLE trusted LOGIN IN ROLE {PLUGIN_LOGIN}")
    hba.write_text("host all trusted 127.0.0.1/32 trust\n" + before, encoding="ascii")
    cluster.admin("SELECT pg_reload_conf()")
    yield "trusted"
    hba.write_text(before, encoding="ascii")
    cluster.admin("SELECT pg_reload_conf()", "DROP ROLE trusted")


def test_failing_memory(cluster, library, trusted, user):
    """Each allocation in turn fails: no wrong password is accepted, and logins work again afterwards."""
    if sanitizer_of(library):
        return  # malloc is the sanitizer's there
    done = subprocess.run(
        [program("starved"), library, cluster.conninfo(user=trusted), user.name, user.password],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("; 0 faults\n")


def test_without_standard_streams(guest, workdir):
    """Descriptors 0 to 2 are closed: none of ours becomes one of them, for a moment or for good."""
    process = guest(
        "streams", 5, pgsasl_spool_file=workdir / "streams.spool", pgsasl_verified_cache=workdir / "streams.cache"
    )
    assert finish(process) == "0 wrong codes, 0 for now, 0 streams open, 0 intruders"


TIMEOUT_S = 0.5


# libpq loses the rows that it has begun when a COPY comes in the middle of them: no leak of ours.
NO_LEAKS = {"ASAN_OPTIONS": "detect_leaks=0"}


def run_in_time(configure, conninfo, credentials=("user", "password"), timeout_s=TIMEOUT_S, **options):
    """Two attempts of saslhost: what it printed, and how it ended; within the time for both."""
    config, environment = configure(conninfo, pgsasl_timeout_ms=int(timeout_s * 1000), **options)
    begun = time.monotonic()
    done = subprocess.run(
        [program("saslhost"), config, "host", "1", *credentials],
        env=environment | NO_LEAKS,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert time.monotonic() - begun < 2 * timeout_s + 2, done.stderr
    return done


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_answers_what_was_not_asked(configure, answer):
    """Whatever comes back, and however much of it: a temporary failure within pgsasl_timeout_ms."""
    imposter = Imposter(answer)
    try:
        done = run_in_time(configure, f"host=127.0.0.1 port={imposter.port} user=u dbname=d sslmode=disable")
    finally:
        imposter.close()
    assert (done.returncode, done.stdout) == (0, f"code {SASL_UNAVAIL}, other 0\n"), done.stderr


COPIES = [
    "COPY (SELECT 1) TO STDOUT",
    "COPY (SELECT generate_series(1, 1000000)) TO STDOUT",
    "COPY copied FROM STDIN",
    "COPY copied TO STDOUT",
]


@pytest.fixture(name="copied")
def fixture_copied(db):
    """A table that the plugin may copy from and to."""
    db.sql("CREATE TABLE copied (a text); GRANT SELECT, INSERT ON copied TO PUBLIC")
    yield
    db.sql("DROP TABLE copied")


@pytest.mark.parametrize("query", COPIES)
@pytest.mark.parametrize(
    "option, code",
    [("pgsasl_user_query", SASL_UNAVAIL), ("pgsasl_audit_query", SASL_BADAUTH), ("pgsasl_login_query", SASL_OK)],
)
@pytest.mark.parametrize("prepared", ["yes", "no"])
def test_a_query_that_is_a_copy(configure, copied, user, option, code, query, prepared, tmp_path):
    """A statement that no option can use: a temporary failure, a row in the spool, or no stamp; in time, and the log says why."""
    del copied
    options = {option: query, "pgsasl_prepared_statements": prepared, "pgsasl_spool_file": tmp_path / "spool"}
    credentials = (user.name, user.password) if code == SASL_OK else ("user", "password")
    done = run_in_time(configure, None, credentials, **options)
    assert (done.returncode, done.stdout) == (0, f"code {code}, other 0\n"), done.stderr
    assert "the query is a COPY, which cannot be used here" in done.stderr


def test_a_query_that_returns_a_whole_table(configure):
    """Someone forgot the WHERE: the memory of the host is not filled with it."""
    query = "SELECT repeat('x', 1000) AS password_hash, generate_series(1, 1000000)"
    done = run_in_time(configure, None, timeout_s=5, pgsasl_user_query=query)
    assert (done.returncode, done.stdout) == (0, f"code {SASL_UNAVAIL}, other 0\n"), done.stderr
    assert "the query returns far more than one row" in done.stderr


@pytest.mark.parametrize("keyword", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
def test_a_certificate_file_that_nobody_writes(configure, tmp_path, keyword):
    """A FIFO in the place of a file does not hold up the host's start."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    identity = Authority(tmp_path / "authority", "ours")
    files = {"sslrootcert": identity.certificate, "sslcert": identity.certificate, "sslkey": identity.key}
    words = " ".join(f"{name}={path}" for name, path in (files | {keyword: tmp_path / "fifo"}).items())
    done = run_in_time(configure, f"host=127.0.0.1 port=1 user=u dbname=d sslmode=verify-ca {words}")
    assert (done.returncode, done.stdout) == (0, f"code {SASL_UNAVAIL}, other 0\n"), done.stderr
    assert f"{keyword} {tmp_path}/fifo " in done.stderr and "cannot" in done.stderr
