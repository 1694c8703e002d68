"""What an attempt costs the database: a login one statement in one round trip, a failure two; nothing is parsed twice.

A port in front of the database counts (harness/counter.py); tests/bench/trips shows the figures.
"""

import pytest
from harness.answers import ACCEPTED, MALFORMED, REJECTED
from harness.clients import Smtp, plain
from harness.counter import Counting, Trips
from harness.postfix import sasl_conf
from harness.processes import wait_for


@pytest.fixture(name="counting")
def fixture_counting(cluster):
    """The counting port."""
    with Counting(cluster.port) as counting:
        yield counting


@pytest.fixture(name="counted")
def fixture_counted(postfix, cluster, counting):
    """Makes a service of one process whose connection goes through it."""

    def counted(name, **options):
        conninfo = cluster.conninfo(port=counting.port, sslmode="disable", gssencmode="disable")
        return postfix.add_service(
            name, sasl_conf({"pgsasl_conninfo_file": None, "pgsasl_conninfo": conninfo} | options), processes=1
        )

    return counted


@pytest.fixture(name="stamped")
def fixture_stamped(db, make_user):
    """A user whose login was noted just now, so that it is not due again."""
    user = make_user()
    db.sql(f"UPDATE pgsasl.smtp_users SET last_login_at = now() WHERE user_id = {user.user_id}")
    return user


class Meter:
    """Runs attempts and returns what each cost."""

    def __init__(self, counting):
        self.counting = counting

    def __call__(self, what, smtp, wanted, mechanism, *responses):
        before = self.counting.so_far()
        assert smtp.authenticate(mechanism, *responses) == wanted
        cost = self.counting.so_far() - before
        print(f"\n{what:32} {cost.round_trips} round trips, {cost.statements} statements, {cost.parsed} parsed", end="")
        return cost


LOGIN = Trips(round_trips=1, statements=1)
FAILURE = Trips(round_trips=2, statements=2)


def test_prepared(counting, counted, stamped):
    """The default, over two sessions of one process."""
    service, meter = counted("trips"), Meter(counting)
    name, password = stamped.octets
    with Smtp(service) as smtp:
        # Start-up, two messages of SCRAM, then all in one: the timeout of the session, the look-up and its preparation.
        assert meter("the first login of a process", smtp, ACCEPTED, "PLAIN", plain(name, password)) == Trips(
            1, 4, 2, 2
        )
    with Smtp(service) as smtp:
        assert meter("a login", smtp, ACCEPTED, "PLAIN", plain(name, password)) == LOGIN
    with Smtp(service) as smtp:
        assert meter("the first failure of a process", smtp, REJECTED, "PLAIN", plain(name, b"wrong")) == Trips(
            0, 2, 2, 1
        )
        assert meter("a wrong password", smtp, REJECTED, "PLAIN", plain(name, b"wrong")) == FAILURE
        assert meter("an unknown user", smtp, REJECTED, "LOGIN", b"nobody-known", password) == FAILURE
        assert meter("no password in the message", smtp, MALFORMED, "LOGIN", name, b"") == Trips(0, 1, 1, 0)
        assert meter("a login by LOGIN", smtp, ACCEPTED, "LOGIN", name, password) == LOGIN
    (texts,) = counting.texts
    assert len(texts) == len(set(texts)) == 3


def test_many_logins_one_connection(counting, counted, stamped):
    """Twenty logins: as many statements and round trips, beside those of the connection's beginning."""
    service = counted("trips-many")
    for _ in range(20):
        with Smtp(service) as smtp:
            assert smtp.authenticate("PLAIN", plain(*stamped.octets)) == ACCEPTED
    assert counting.so_far() == Trips(1, 4 + 19, 2 + 19, 2)


def test_cached(counting, counted, workdir, stamped):
    """The cache saves the hash, not the look-up."""
    service, meter = counted("trips-cached", pgsasl_verified_cache=workdir / "trips-verified"), Meter(counting)
    for _ in range(3):
        with Smtp(service) as smtp:
            cost = meter("a login, cache on", smtp, ACCEPTED, "PLAIN", plain(*stamped.octets))
    assert cost == LOGIN


def test_unprepared(counting, counted, stamped):
    """Behind a pooler each statement is parsed, and there is still one round trip."""
    service, meter = counted("trips-unprepared", pgsasl_prepared_statements="no"), Meter(counting)
    for _ in range(2):
        with Smtp(service) as smtp:
            failure = meter("a failure, not prepared", smtp, REJECTED, "PLAIN", plain(stamped.octets[0], b"wrong"))
            cost = meter("a login, not prepared", smtp, ACCEPTED, "PLAIN", plain(*stamped.octets))
    assert cost == Trips(0, 1, 1, 1)
    assert failure == Trips(0, 2, 2, 2)


def test_login_that_is_noted(counting, counted, db, user):
    """A login that must be noted sends a second statement, and does not wait for its answer."""
    service = counted("trips-noted")
    with Smtp(service) as smtp:
        assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    with Smtp(service) as smtp:
        assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    wait_for(
        lambda: db.value(f"SELECT last_login_at FROM pgsasl.smtp_users WHERE user_id = {user.user_id}"), "the stamp"
    )
    cost = counting.so_far()
    assert (cost.statements, cost.parsed) == (4, 3)  # the session's timeout, two look-ups, one stamp
    assert cost.round_trips <= 4 + 2  # the stamp goes along with the second look-up, or between the two
