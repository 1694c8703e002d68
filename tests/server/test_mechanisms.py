"""PLAIN, LOGIN and SCRAM are ours, whatever other plugins exist, and other programs never notice us."""

import functools

import pytest
from harness.answers import ACCEPTED, REJECTED
from harness.clients import MECHANISMS, Smtp, plain
from harness.hashes import verifier
from harness.postfix import STOCK_PLUGINS, Postfix, plugin_dir, sanitizer_of
from harness.processes import run

EXCHANGES = {
    "PLAIN, initial response": ("PLAIN", lambda name, password: [plain(name, password)], True),
    "PLAIN, after an empty challenge": ("PLAIN", lambda name, password: [plain(name, password)], False),
    "PLAIN, authzid equal to authcid": ("PLAIN", lambda name, password: [plain(name, password, name)], True),
    "LOGIN, two challenges": ("LOGIN", lambda name, password: [name, password], False),
    "LOGIN, name as initial response": ("LOGIN", lambda name, password: [name, password], True),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_right_password(connect, desk, user, exchange):
    """Accepted, and nothing is left in the audit table."""
    mechanism, responses, initial = EXCHANGES[exchange]
    outcome = desk.attempt(connect().authenticate, mechanism, *responses(*user.octets), initial=initial)
    assert outcome.reply == ACCEPTED
    assert outcome.rows == []


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_wrong_password(connect, desk, user, exchange):
    """Rejected, with one row that names the mechanism."""
    mechanism, responses, initial = EXCHANGES[exchange]
    outcome = desk.attempt(connect().authenticate, mechanism, *responses(user.octets[0], b"wrong"), initial=initial)
    assert outcome.reply == REJECTED
    assert (outcome.row.reason, outcome.row.mechanism, outcome.row.username) == ("wrong_password", mechanism, user.name)


def test_login_challenges(connect):
    """The prompts that old clients wait for."""
    smtp = connect()
    assert str(smtp.command(b"AUTH LOGIN")) == "334 VXNlcm5hbWU6"  # Username:
    assert str(smtp.command(b"bmFtZQ==")) == "334 UGFzc3dvcmQ6"  # Password:
    assert smtp.command(b"eA==") == REJECTED


def test_offered_once(connect):
    """Each name is offered once, although the stock mechanisms are loaded too."""
    assert sorted(connect().mechanisms()) == ["LOGIN", "PLAIN"]


def test_second_attempt_on_a_connection(connect, user):
    """A failure does not affect the next attempt of the same session."""
    smtp = connect()
    name, password = user.octets
    assert smtp.authenticate("LOGIN", name, b"wrong") == REJECTED
    assert smtp.authenticate("PLAIN", plain(name, b"wrong too")) == REJECTED
    assert smtp.authenticate("LOGIN", name, password) == ACCEPTED


# The directories of SASL_PATH. libsasl reads each by readdir: neither a file's name nor its place may matter.
ORDERS = {
    "ours first": ["libpgsasl.so", None],
    "stock first": [None, "libpgsasl.so"],
    "together, first by name": ["libaaa.so together"],
    "together, last by name": ["libzzz.so together"],
}


def plugin_path(base, words, library):
    """The directories for SASL_PATH: stock (None), ours alone, or ours together with the stock ones."""
    path = []
    for word in words:
        name, _, together = (word or "").partition(" ")
        links = {stock.name: stock for stock in STOCK_PLUGINS.glob("*.so")} if together else {}
        path.append(plugin_dir(base / name, links | {name: library}) if name else STOCK_PLUGINS)
    return path


@pytest.mark.parametrize("order", ORDERS)
def test_ours_wins(workdir, cluster, library, desk, make_user, order):
    """A hashed password is accepted, which stock PLAIN and LOGIN cannot do, and a wrong one leaves our row.

    Stock SCRAM-SHA-256 finds no secret for anybody, and leaves no row.
    """
    user = make_user(stored=verifier())
    base = workdir / order.replace(" ", "-").replace(",", "")
    path = plugin_path(base, ORDERS[order], library)
    options = {"mech_list": "PLAIN LOGIN SCRAM-SHA-256"}
    postfix = Postfix.create(base / "postfix", path, cluster.conninfo(), sanitizer_of(library), options)
    service = postfix.add_service("plain")
    try:
        postfix.start()
        for mechanism in (*MECHANISMS, "SCRAM-SHA-256"):
            with Smtp(service) as smtp:
                log_in = smtp.scram if mechanism == "SCRAM-SHA-256" else functools.partial(smtp.log_in, mechanism)
                outcome = desk.attempt(log_in, user.name, "wrong")
                assert (outcome.reply, outcome.row.reason) == (REJECTED, "wrong_password")
                assert log_in(user.name, user.password) == ACCEPTED
    finally:
        postfix.stop()


def test_stranger_in_postfix(connect, desk, user):
    """Without pgsasl_conninfo the program keeps the stock mechanisms, and we write neither a row nor a line."""
    smtp = connect("stranger")
    assert sorted(set(smtp.mechanisms())) == ["LOGIN", "PLAIN"]
    outcome = desk.attempt(smtp.authenticate, "PLAIN", plain(*user.octets))
    assert outcome.reply.code == 535  # the stock mechanism reads sasldb, which is empty
    assert outcome.rows == []
    assert outcome.lines() == []


def viewer(library, what, *path):
    """What saslpluginviewer prints about the plugins in path."""
    environment = {"SASL_PATH": ":".join(str(directory) for directory in path), "ASAN_OPTIONS": "detect_leaks=0"}
    preload = sanitizer_of(library)
    done = run("saslpluginviewer", what, env=environment | ({"LD_PRELOAD": preload} if preload else {}))
    return done.stdout + done.stderr


def test_stranger_outside(workdir, library):
    """In a program that knows nothing of us the server mechanisms are the same with and without our file.

    The auxprop plugin is listed, because libsasl would log its absence, but logs nothing.
    """
    ours = plugin_dir(workdir / "viewer", {"libpgsasl.so": library})
    assert viewer(library, "-s", STOCK_PLUGINS, ours) == viewer(library, "-s", STOCK_PLUGINS)
    with_us = viewer(library, "-a", STOCK_PLUGINS, ours)
    assert "pgsasl sasldb" in with_us
    assert "pgsasl:" not in with_us


def test_password_stays_out_of_the_logs(connect, desk, make_user, postfix, cluster):
    """Neither the right nor a wrong password reaches Postfix's log or PostgreSQL's."""
    user = make_user("a-right-and-secret-one")
    wrong = b"a-wrong-and-secret-one"
    smtp = connect()
    desk.attempt(smtp.authenticate, "PLAIN", plain(user.octets[0], wrong)).lines()
    assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    for log in (postfix.log_text(), cluster.log_text()):
        assert user.password not in log
        assert wrong.decode() not in log
