"""A primary and a standby: which one is queried, what a dead primary costs, and which rows survive a failover."""

import pytest
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.audit import Audit
from harness.clients import log_in
from harness.cluster import Cluster
from harness.hashes import PASSWORD
from harness.postfix import sasl_conf
from harness.processes import wait_for
from harness.spool import Spool
from harness.standby import Standby
from harness.users import add_user

TIMEOUT_MS = 1500
LIMIT_S = TIMEOUT_MS / 1000 + 1.5


class Pair:
    """A primary, its standby, and services that query them."""

    def __init__(self, workdir, postfix):
        self.workdir, self.postfix = workdir, postfix
        self.primary = Cluster.create(workdir / "primary")
        self.standby = None
        try:
            for number in range(1, 5):
                add_user(self.primary, name=f"app-{number}")
            self.standby = Standby.of(self.primary, workdir / "standby")
        except BaseException:
            self.close()
            raise

    def close(self):
        """Stops both."""
        for cluster in (self.standby, self.primary):
            if cluster:
                cluster.stop()

    def conninfo(self, *clusters, **more):
        """One connection string for several servers."""
        return self.primary.conninfo(
            host=",".join("127.0.0.1" for _ in clusters), port=",".join(str(one.port) for one in clusters), **more
        )

    def service(self, name, conninfo, audit=None):
        """A service of one process, with a spool of its own."""
        options = {
            "pgsasl_conninfo_file": None,
            "pgsasl_conninfo": conninfo,
            "pgsasl_timeout_ms": TIMEOUT_MS,
            "pgsasl_spool_file": self.spool(name).path,
        }
        if audit:
            options["pgsasl_audit_conninfo"] = audit
        return self.postfix.add_service(name, sasl_conf(options), processes=1)

    def spool(self, name):
        """The service's spool."""
        return Spool(self.workdir / f"{name}.spool")


@pytest.fixture(scope="module", name="pair")
def fixture_pair(workdir, postfix):
    """Both servers, the standby following."""
    pair = Pair(workdir, postfix)
    yield pair
    pair.close()


def answer(service, name, password):
    """One AUTH on a connection of its own, answered in time."""
    return log_in(service, "PLAIN", name, password, limit_s=LIMIT_S)


def reasons(cluster, name):
    """The audit rows of a name, in the order of the attempts."""
    return Audit(cluster).reasons(name)


def asked(cluster, name):
    """True when the server has a session with this application_name."""
    return cluster.admin(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'") != "0"


# Which of the two answers a look-up, from their order and target_session_attrs.
ATTRS = {
    "any, standby first": ("any", ("standby", "primary"), "standby"),
    "any, primary first": ("any", ("primary", "standby"), "primary"),
    "read-write": ("read-write", ("standby", "primary"), "primary"),
    "primary": ("primary", ("standby", "primary"), "primary"),
    "standby": ("standby", ("primary", "standby"), "standby"),
    "read-only": ("read-only", ("primary", "standby"), "standby"),
    "prefer-standby": ("prefer-standby", ("primary", "standby"), "standby"),
}


@pytest.mark.parametrize("what", ATTRS)
def test_who_is_asked(pair, what):
    """target_session_attrs decides, and a hot standby answers look-ups."""
    attrs, order, wanted = ATTRS[what]
    name = "ha-" + what.replace(" ", "-").replace(",", "")
    service = pair.service(
        name,
        pair.conninfo(*(getattr(pair, which) for which in order), target_session_attrs=attrs, application_name=name),
    )
    assert answer(service, "app-1", PASSWORD) == ACCEPTED
    assert [which for which in order if asked(getattr(pair, which), name)] == [wanted]


def test_failover(pair):
    """The primary dies: the standby answers look-ups, who needs the primary gets 454, no row is lost or doubled."""
    both = pair.standby, pair.primary
    split = pair.service(
        "ha-split",
        pair.conninfo(*both, target_session_attrs="any"),
        pair.conninfo(*both, target_session_attrs="read-write"),
    )
    single = pair.service("ha-single", pair.conninfo(*both, target_session_attrs="read-write"))
    for service, name in ((split, "app-2"), (single, "app-3")):
        assert answer(service, name, "wrong") == REJECTED
        assert answer(service, name, PASSWORD) == ACCEPTED
    pair.standby.catch_up_with(pair.primary)

    pair.primary.kill()
    for _ in range(2):
        assert answer(split, "app-2", PASSWORD) == ACCEPTED
        assert answer(split, "app-2", "wrong") == REJECTED
        assert answer(single, "app-3", PASSWORD) == LATER
        assert answer(single, "app-3", "wrong") == LATER
    assert pair.spool("ha-split").waiting() and pair.spool("ha-single").waiting()

    pair.standby.promote()
    assert answer(single, "app-3", PASSWORD) == ACCEPTED
    for service, name, user in ((split, "ha-split", "app-2"), (single, "ha-single", "app-3")):

        def drained(service=service, name=name, user=user):
            assert answer(service, user, PASSWORD) == ACCEPTED
            return not pair.spool(name).waiting()

        wait_for(drained, f"the spool of {name} to be drained")
    assert answer(split, "app-2", "wrong") == REJECTED
    assert reasons(pair.standby, "app-2") == ["wrong_password"] * 4
    assert reasons(pair.standby, "app-3") == ["wrong_password"] + ["backend_unavailable"] * 4


def test_demoted(pair):
    """A server becomes read-only under an open connection: the row goes to the other one."""
    pair.primary.start()  # after test_failover there are two that take rows
    service = pair.service("ha-demoted", pair.conninfo(pair.primary, pair.standby, target_session_attrs="read-write"))
    assert answer(service, "app-4", "wrong") == REJECTED
    assert reasons(pair.primary, "app-4") == ["wrong_password"]
    pair.primary.admin("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    wait_for(lambda: pair.primary.admin("SHOW default_transaction_read_only") == "on", "the server to be read-only")
    assert answer(service, "app-4", "wrong") == REJECTED
    assert answer(service, "app-4", PASSWORD) == ACCEPTED
    assert reasons(pair.standby, "app-4") == ["wrong_password"]
    assert not pair.spool("ha-demoted").waiting()
