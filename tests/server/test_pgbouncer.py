"""Behind Debian's PgBouncer, with the sample of contrib/pgbouncer."""

import concurrent.futures

import pytest
from harness import faults
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.clients import log_in
from harness.pgbouncer import PgBouncer, keeps_prepared_statements
from harness.postfix import LogMark, sasl_conf
from harness.processes import wait_for

TIMEOUT_MS = 1500
LIMIT_S = TIMEOUT_MS / 1000 + 1.5
POOLS = {  # pool_mode, pgsasl_prepared_statements, default_pool_size
    "transaction": ("transaction", "no", 2),
    "session": ("session", "yes", 8),
    "mistaken": ("transaction", "yes", 2),
}
KEPT = ("transaction", "yes", 2)  # where PgBouncer keeps prepared statements


@pytest.fixture(scope="module", name="pools")
def fixture_pools(workdir, cluster, postfix):
    """One PgBouncer for each mode, and a service of four processes behind each."""
    made = {}
    keeps = keeps_prepared_statements()
    try:
        for name, (mode, prepared, size) in (POOLS | ({"kept": KEPT} if keeps else {})).items():
            settings = {"pool_mode": mode, "default_pool_size": size, "query_wait_timeout": 1}
            if keeps:
                settings["max_prepared_statements"] = 100 if name == "kept" else 0
            made[name] = PgBouncer(workdir / f"pgbouncer-{name}", cluster, **settings)
            made[name].service = postfix.add_service(
                f"pool-{name}",
                sasl_conf(
                    {
                        "pgsasl_conninfo_file": None,
                        "pgsasl_conninfo": made[name].conninfo(),
                        "pgsasl_timeout_ms": TIMEOUT_MS,
                        "pgsasl_prepared_statements": prepared,
                    }
                ),
                processes=4,
                syslog_name=f"postfix/pool-{name}",
            )
        yield made
    finally:
        for pool in made.values():
            pool.stop()


def answer(pool, name, password):
    """One AUTH on a connection of its own, answered in time."""
    return log_in(pool.service, "PLAIN", name, password, limit_s=LIMIT_S)


def all_at_once(pool, user, count=24):
    """Right and wrong passwords from four clients."""
    passwords = [user.password, "wrong"] * (count // 2)
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        return list(clients.map(lambda password: (password, answer(pool, user.name, password)), passwords))


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_many_processes(pools, cluster, db, user, mode):
    """Every answer is right, each failure has a row, and the pool limits the server connections."""
    for password, reply in all_at_once(pools[mode], user):
        assert reply == (ACCEPTED if password == user.password else REJECTED)
    assert db.value(f"SELECT count(*) FROM pgsasl.auth_failures WHERE username = '{user.name}'") == 12
    if mode == "transaction":
        servers = pools[mode].tell("SHOW SERVERS").splitlines()
        assert 1 <= len(servers) <= POOLS[mode][2], servers


def test_kept_prepared_statements(pools, user):
    """A PgBouncer that keeps prepared statements needs no pgsasl_prepared_statements: no. Older ones: test_mistaken."""
    if "kept" in pools:
        for password, reply in all_at_once(pools["kept"], user):
            assert reply == (ACCEPTED if password == user.password else REJECTED)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_restarted(pools, user, mode):
    """PgBouncer was restarted between two attempts: no client notices."""
    pool = pools[mode]
    assert answer(pool, user.name, user.password) == ACCEPTED
    pool.stop()
    assert answer(pool, user.name, user.password) == LATER
    pool.start()
    assert answer(pool, user.name, user.password) == ACCEPTED
    pool.stop()
    pool.start()
    assert answer(pool, user.name, user.password) == ACCEPTED


def test_paused(pools, user):
    """A paused pool means 454, in time; the first login after it is accepted."""
    pool = pools["transaction"]
    assert answer(pool, user.name, user.password) == ACCEPTED
    pool.tell("PAUSE")
    try:
        assert answer(pool, user.name, user.password) == LATER
    finally:
        pool.tell("RESUME")
    assert answer(pool, user.name, user.password) == ACCEPTED


def test_database_down(pools, cluster, user):
    """The database behind it goes away and comes back."""
    pool = pools["transaction"]
    assert answer(pool, user.name, user.password) == ACCEPTED
    with faults.stopped(cluster):
        for password in (user.password, "wrong"):
            assert answer(pool, user.name, password) == LATER
    # PgBouncer connects again every second (server_login_retry).
    wait_for(lambda: answer(pool, user.name, user.password) == ACCEPTED, "PgBouncer to ask again", timeout=5)


def test_mistaken(postfix, pools, user):
    """Prepared statements in a transaction pool: no right password is rejected, and the log names the option."""
    log = LogMark(postfix)
    replies = all_at_once(pools["mistaken"], user)
    assert {reply for password, reply in replies if password == user.password} <= {ACCEPTED, LATER}
    assert {reply for password, reply in replies if password != user.password} <= {REJECTED, LATER}
    assert LATER in {reply for _, reply in replies}
    log.wait_for("pool-mistaken/smtpd.*behind PgBouncer set pgsasl_prepared_statements: no")
