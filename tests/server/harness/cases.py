"""One login for each reason: the user, what the client sends, and the row and log line that it leaves.

The tests of Postfix and of Exim run all of them; the demo shows some with the clients that people use.
"""

from dataclasses import dataclass, field

from .clients import MECHANISMS
from .cluster import literal
from .postfix import HOSTNAME
from .users import add_user

ELSEWHERE = ["192.0.2.0/24", "2001:db8::/32"]


@dataclass(frozen=True)
class Case:
    """What is tried, and the reason that it fails for; None: it is accepted."""

    reason: str
    checks: tuple = ()  # failed_checks, after the reason
    user: dict = field(default_factory=dict)  # for add_user()
    name: str = "{}"  # the user name sent; {} is the user's
    password: str = None  # default: the right one
    authzid: str = ""
    service: str = "plain"  # of harness/services.py
    known: bool = True  # the row has the user's id
    mechanisms: tuple = MECHANISMS

    @property
    def failed_checks(self):
        """As the row has them."""
        return [self.reason, *self.checks]

    def credentials(self, user):
        """User name, password and authzid as this user's client sends them."""
        return self.name.format(user.name), user.password if self.password is None else self.password, self.authzid


CASES = {
    "right password": Case(None),
    "wrong password": Case("wrong_password", password="wrong"),
    "no such user": Case("unknown_user", name="nobody-{}", known=False),
    "an e-mail address for a name": Case("username_has_at", name="{}@customer.test", known=False),
    "a blank after the name": Case("username_whitespace", name="{} ", known=False),
    "a blank before the name": Case("username_whitespace", name=" {}", known=False),
    "a tab after the name": Case("username_whitespace", name="{}\t", known=False),
    "a no-break space after the name": Case("username_whitespace", name="{}\u00a0", known=False),
    "a zero-width space before it": Case("username_whitespace", name="\u200b{}", known=False),
    "only blanks for a name": Case("username_whitespace", name="  ", known=False),
    "deleted user": Case("deleted_user", user={"deleted": True}),
    "disabled user": Case("disabled_user", user={"enabled": False}),
    "expired user": Case("expired_user", user={"expires_at": "2020-01-01"}),
    "expired, and wrong password": Case(
        "expired_user", ("wrong_password",), user={"expires_at": "2020-01-01"}, password="wrong"
    ),
    "not expired yet": Case(None, user={"expires_at": "2200-01-01"}),
    "disabled, and wrong password": Case(
        "disabled_user", ("wrong_password",), user={"enabled": False}, password="wrong"
    ),
    "account past due": Case("account_past_due", user={"standing": "past_due"}),
    "account suspended": Case("account_suspended", user={"standing": "suspended"}),
    "suspended, and wrong password": Case(
        "account_suspended", ("wrong_password",), user={"standing": "suspended"}, password="wrong"
    ),
    "account closed": Case("account_closed", user={"standing": "closed"}),
    "all at once": Case(
        "account_suspended",
        ("disabled_user", "wrong_password", "ip_not_authorized"),
        user={"standing": "suspended", "enabled": False, "networks": ELSEWHERE},
        password="wrong",
    ),
    "a blank after the password": Case("password_whitespace", password="right horse battery "),
    "not from this address": Case("ip_not_authorized", user={"networks": ELSEWHERE}),
    "elsewhere, and wrong password": Case(
        "wrong_password", ("ip_not_authorized",), user={"networks": ELSEWHERE}, password="wrong"
    ),
    "acting for another user": Case("authzid_mismatch", authzid="root", mechanisms=("PLAIN",)),
    "pgsasl_require_tls, and no TLS": Case("tls_required", service="wants-tls"),
    "no TLS, and acting for another": Case(
        "authzid_mismatch", ("tls_required",), authzid="root", service="wants-tls", mechanisms=("PLAIN",)
    ),
    "over-long name": Case("malformed_response", name="{}" + "x" * 250, known=False),
    "over-long password": Case("malformed_response", password="x" * 1025, known=False),
    "a NUL in the name": Case("malformed_response", name="{}\0x\0y", known=False),
    "empty name": Case("malformed_response", name="", known=False),
    "empty password": Case("malformed_response", password="", known=False),
    "the stored hash is empty": Case("unusable_hash", service="bare-table", known=False),
    "throttled": Case("throttled", service="throttled", known=False),
    "the database is down": Case("backend_unavailable", service="audit-elsewhere"),
    "an option has a wrong value": Case("backend_unavailable", service="wrong-value", known=False),
}

TABLE = [(name, mechanism) for name, case in CASES.items() for mechanism in case.mechanisms]


def run_case(case, mechanism, desk, smtp):
    """Makes the case's user, logs in once, and returns the Outcome and the user."""
    db = desk.audit.session
    user = add_user(db, **case.user)
    db.sql(f"INSERT INTO bare VALUES ({literal(user.name)}, '')")
    return desk.attempt(smtp.log_in, mechanism, *case.credentials(user)), user


def check_case(case, mechanism, outcome, user, client_port):
    """The row is complete and was there before the answer, and the log has one line of the same."""
    if case.reason is None:
        assert (outcome.rows, outcome.log.lines(outcome.log.server.OURS)) == ([], [])
        return
    row, line = outcome.row, outcome.line()
    assert (row.reason, row.failed_checks) == (case.reason, case.failed_checks)
    assert (row.mechanism, row.service, row.server_host, row.attempts) == (mechanism, "smtp", HOSTNAME, 1)
    assert (row.client_addr, row.client_port, row.server_addr) == ("127.0.0.1", client_port, "127.0.0.1")
    if case.reason != "malformed_response":
        assert row.username == case.name.format(user.name)
    if case.known:
        assert (row.user_id, row.account_id) == (user.user_id, user.account_id)
    assert (line["reason"], line["mechanism"], line["attempt"]) == (case.reason, mechanism, row.attempt_id)
    assert line["client"].startswith("127.0.0.1")
