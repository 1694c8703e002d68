"""Options: a site's own tables, and wrong values, which are logged once and never cause a 535."""

import uuid

import pytest
from harness.answers import ACCEPTED, LATER, NOT_AUTHORIZED, REJECTED
from harness.clients import MECHANISMS, Smtp
from harness.cluster import literal
from harness.hashes import PASSWORD, cheap_hash
from harness.postfix import LogMark


@pytest.fixture(name="own_user")
def fixture_own_user(db):
    """Adds a row to the site's own table and returns its name."""

    def own_user(enabled=True, standing="good", stored=cheap_hash(PASSWORD)):
        name = f"own-{uuid.uuid4().hex[:8]}"
        db.sql(
            "INSERT INTO mail_users VALUES "
            f"({literal(name)}, {literal(stored)}, {literal(enabled)}, {literal(standing)})"
        )
        return name

    return own_user


@pytest.mark.parametrize("service_name", ["plain", "inline", "unprepared"])
def test_ways_to_connect(connect, desk, user, service_name):
    """The connection string from a root-only file or in place; with and without prepared statements."""
    smtp = connect(service_name)
    outcome = desk.attempt(smtp.log_in, "PLAIN", user.name, "wrong")
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")
    assert smtp.log_in("PLAIN", user.name, user.password) == ACCEPTED


OWN_TABLE = {
    "good": ({}, PASSWORD, ACCEPTED, None),
    "wrong password": ({}, "wrong", REJECTED, "wrong_password"),
    "disabled": ({"enabled": False}, PASSWORD, REJECTED, "disabled_user"),
    "enabled is NULL": ({"enabled": None}, PASSWORD, REJECTED, "disabled_user"),
    "suspended": ({"standing": "suspended"}, PASSWORD, REJECTED, "account_suspended"),
    "past due": ({"standing": "past_due"}, PASSWORD, REJECTED, "account_past_due"),
    "closed": ({"standing": "closed"}, PASSWORD, REJECTED, "account_closed"),
    "no hash": ({"stored": None}, PASSWORD, LATER, "unusable_hash"),
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name", OWN_TABLE)
def test_own_table(connect, desk, own_user, name, mechanism):
    """A query over a table with only password_hash, enabled and account_standing."""
    columns, password, reply, reason = OWN_TABLE[name]
    outcome = desk.attempt(connect("own-table").log_in, mechanism, own_user(**columns), password)
    assert (outcome.reply, [row.reason for row in outcome.rows]) == (reply, [reason] if reason else [])


def test_own_table_unknown(connect, desk):
    """A query without a row means an unknown user."""
    outcome = desk.attempt(connect("own-table").log_in, "PLAIN", "nobody", "pw")
    assert (outcome.reply, outcome.row.reason) == (REJECTED, "unknown_user")


def test_own_table_odd_standing(connect, own_user):
    """A standing that is none of the four words is not good standing."""
    name = own_user(standing="excellent")
    assert connect("own-table").log_in("PLAIN", name, PASSWORD) not in (ACCEPTED, NOT_AUTHORIZED)


def test_no_hash_column(connect, desk, own_user):
    """A query without the column is the operator's mistake: 454, a row, and a line that names the column."""
    outcome = desk.attempt(connect("no-hash-column").log_in, "PLAIN", own_user(), PASSWORD)
    assert (outcome.reply, outcome.row.reason) == (LATER, "backend_unavailable")
    (line,) = outcome.lines()
    assert "password_hash" in line and "pgsasl_user_query" in line


# Service: what the log line must contain beside the file name.
WRONG = {"wrong-value": ["pgsasl_timeout_ms"], "wrong-file": ["pgsasl_conninfo_file", "config/sasl/nowhere"]}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("service_name", WRONG)
def test_wrong_option(connect, user, service_name, mechanism):
    """PLAIN and LOGIN are still offered, and answer 454 to right and wrong passwords."""
    smtp = connect(service_name)
    assert sorted(smtp.mechanisms()) == ["LOGIN", "PLAIN"]
    for password in (user.password, "wrong"):
        assert smtp.log_in(mechanism, user.name, password) == LATER


@pytest.mark.parametrize("service_name", WRONG)
def test_wrong_option_is_logged_once(postfix, service_name):
    """Each process logs one line when it starts; it names the option and the file."""
    name = f"{service_name}-alone"
    text = (postfix.config / f"sasl/{service_name}.conf").read_text(encoding="utf-8")
    log = LogMark(postfix)
    service = postfix.add_service(name, text, processes=1, syslog_name=name)
    with Smtp(service) as smtp:
        for _ in range(2):
            assert smtp.log_in("PLAIN", "anybody", "pw") == LATER
    log.wait_for(rf"{name}/smtpd.*disconnect from .* auth=0/2")
    lines = [line for line in log.lines(rf"{name}/smtpd.*pgsasl: ") if "rejected" not in line]
    assert len(lines) == 1, lines
    for word in WRONG[service_name]:
        assert word in lines[0]


def test_one_look_up_an_attempt(connect, db, user):
    """canon_user's auxprop look-ups are answered from what PLAIN and LOGIN have fetched: one query, right or wrong."""
    db.sql(f"INSERT INTO bare VALUES ({literal(user.name)}, {literal(cheap_hash(user.password))})")
    for password in (user.password, "wrong"):
        for mechanism in MECHANISMS:
            db.sql("DELETE FROM looked_up")
            connect("counted").log_in(mechanism, user.name, password)
            assert db.value("SELECT count(*) FROM looked_up") == 1, (mechanism, password)
