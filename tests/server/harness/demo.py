"""The demo: each failure on real servers, by the clients that people use, and what each leaves in the audit table.

It prints a line for each attempt, and says WRONG where the answer or the row is not the one that the case wants.
"""

import re
import time

from .answers import POSTFIX
from .audit import Audit
from .cases import CASES, ELSEWHERE, Case
from .clients import CLIENTS, MECHANISMS, RECIPIENT, SENDER
from .cluster import Cluster, Queries, literal
from .hashes import PASSWORD
from .postfix import STOCK_PLUGINS, Postfix, built_library, plugin_dir, sanitizer_of, sasl_conf
from .processes import run
from .services import OWN_TABLES, services

# The users by what their state is in a case, as add_user() of harness/users.py has it.
PEOPLE = {
    "alice": {},
    "bob": {"enabled": False},
    "carol": {"deleted": True},
    "dave": {"standing": "past_due"},
    "erin": {"standing": "suspended"},
    "frank": {"standing": "closed"},
    "grace": {"networks": ELSEWHERE},
    "heidi": CASES["expired user"].user,
}
ROTATED = "judy"

# Which of the cases are shown. Those of a service of its own stop after AUTH.
TOUR = (
    "right password",
    "wrong password",
    "no such user",
    "an e-mail address for a name",
    "a blank after the name",
    "deleted user",
    "disabled user",
    "expired user",
    "account past due",
    "suspended, and wrong password",
    "account closed",
    "a blank after the password",
    "not from this address",
    "over-long password",
    "pgsasl_require_tls, and no TLS",
    "the stored hash is empty",
)
BY_CURL_TOO = ("right password", "wrong password")
LATE_APP = "127.0.0.7"  # an app on another machine


def say(text=""):
    """Prints at once, because people watch."""
    print(text, flush=True)


def columns(*words):
    """A line of the table."""
    say("{:33}  {:11}  {:47}  {}".format(*words).rstrip())


class Psql(Queries):
    """Runs each statement as one would type it, so that -v shows it."""

    def __init__(self, cluster):
        self.uri = cluster.uri()

    def sql(self, statement):
        return self.psql("-At", "-c", statement).rstrip("\n")

    def psql(self, *options):
        """psql's output."""
        return run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *options, self.uri).stdout


class Demo:
    """The servers in a directory, and what went wrong so far."""

    def __init__(self, base):
        self.base = base
        library = built_library()
        self.cluster = Cluster.create(base / "postgresql")
        plugins = plugin_dir(base / "sasl2", {"libpgsasl.so": library})
        self.postfix = Postfix.create(
            base / "postfix",
            [plugins, STOCK_PLUGINS],
            self.cluster.conninfo(),
            sanitizer_of(library),
            {"pgsasl_spool_file": base / "spool"},
        )
        options = services(self.cluster, self.postfix.config / "sasl/pgsasl.conninfo")
        for name in {CASES[what].service for what in TOUR} - {"plain"}:
            self.postfix.add_service(name, sasl_conf(options[name]))
        self.postfix.start()
        self.submission = self.postfix.services["submission"]
        self.db = Psql(self.cluster)
        self.audit = Audit(self.db)
        self.failed = False

    def add_people(self):
        """One user for each state."""
        self.db.sql(OWN_TABLES)
        for name, state in [*PEOPLE.items(), (ROTATED, {})]:
            account = f"pgsasl.add_account('Company of {name}', '{state.get('standing', 'good')}')"
            self.db.sql(
                f"SELECT pgsasl.add_user('{name}', '{PASSWORD}', {account}, enabled => "
                f"{literal(state.get('enabled', True))}, allowed_networks => {literal(state.get('networks'))}::cidr[], "
                f"expires_at => {literal(state.get('expires_at'))})"
            )
            if state.get("deleted"):
                self.db.sql(f"DELETE FROM pgsasl.smtp_users WHERE username = '{name}'")
        self.db.sql("INSERT INTO bare VALUES ('alice', '')")

    def wrong(self, why):
        """Something is not as it should be."""
        say(f"  WRONG: {why}")
        self.failed = True

    def judge(self, what, client, reason, login, rows):
        """The line of one attempt. reason None: a message must have been accepted, and no row written."""
        seen = re.sub(
            r" [0-9.]+ (Error: authentication failed: |Temporary authentication failure: )?", " ", str(login.reply)
        )
        if login.accepted:
            seen += ", message accepted"
        columns(what, client, seen, "; ".join(described(row) for row in rows) or "(none)")
        if login.reply != POSTFIX.to(reason):
            self.wrong(f"wanted {POSTFIX.to(reason)}")
        if [row.reason for row in rows] != [reason] * (reason is not None):
            self.wrong(f"wanted {f'one row, {reason}' if reason else 'no row'}")
        if reason is None and not login.accepted:
            self.wrong("wanted the message to be accepted")

    def login(self, case, client, mechanism, user, options=()):
        """Logs in with one of the clients; its dialogue is kept."""
        service = self.postfix.services.get(case.service, self.submission)
        if case.authzid:
            options = (*options, "--sasl-authzid", case.authzid)
        more = {"options": options} if options else {}
        username, password = case.name.format(user), PASSWORD if case.password is None else case.password
        login = CLIENTS[client](
            service, username, password, mechanism, self.postfix.certificate, send=service is self.submission, **more
        )
        with (self.base / "dialogues").open("a", encoding="utf-8") as file:
            file.write(login.transcript + "\n")
        return login

    def attempt(self, what, case, client, mechanism, user, options=()):
        """One line of the table."""
        moment = self.audit.now()
        login = self.login(case, client, mechanism, user, options)
        self.judge(what, f"{client} {mechanism}", case.reason, login, self.audit.since(moment))

    def tour(self):
        """Each case by each mechanism."""
        say(
            '535 is short for "535 5.7.8 Error: authentication failed: ...", '
            '454 for "454 4.7.0 Temporary authentication failure: ...".\n'
        )
        heads = "what was tried", "client", "what the client saw", "audit row: reason (other failed checks)"
        columns(*heads)
        columns(*("-" * len(head) for head in heads))
        for mechanism in MECHANISMS:
            for what in TOUR:
                (user,) = [name for name, state in PEOPLE.items() if state == CASES[what].user]
                for client in ("swaks", "curl") if what in BY_CURL_TOO else ("swaks",):
                    self.attempt(what, CASES[what], client, mechanism, user)
        what = "acting for another user"
        self.attempt(what, CASES[what], "curl", "PLAIN", "alice")

    def outage(self):
        """The row of an attempt waits in the spool until the database is back."""
        case, moment = CASES["right password"], self.audit.now()
        self.cluster.stop("fast")
        while_down = self.login(case, "swaks", "PLAIN", "alice")
        self.cluster.start()
        back = self.login(case, "swaks", "PLAIN", "alice")
        rows = self.audit.since(moment)
        self.judge("the database is stopped", "swaks PLAIN", "backend_unavailable", while_down, rows)
        self.judge("... and started again", "swaks PLAIN", None, back, [])

    def rotation(self):
        """A rotation with two clients, one of them late."""
        say(
            f"\nA rotation: {ROTATED} gets another password and the old one an hour's grace. "
            "One of her two apps is late.\n"
        )
        new = self.db.value(f"SELECT pgsasl.rotate_password('{ROTATED}', interval '1 hour')")
        punctual, late = Case(None, password=new), ("--interface", LATE_APP)
        self.attempt("new password", punctual, "swaks", "PLAIN", ROTATED)
        self.attempt("old password, in its grace", Case(None), "curl", "LOGIN", ROTATED, late)
        self.show(LATE_APP, "SELECT username, last_used_from, last_used_at FROM pgsasl.rotation_stragglers")
        self.db.sql(f"SELECT pgsasl.end_rotation('{ROTATED}')")
        self.attempt("new password", punctual, "swaks", "PLAIN", ROTATED)
        self.attempt("old password, the grace is over", Case("stale_password"), "curl", "LOGIN", ROTATED, late)
        self.show(
            "rotated",
            "SELECT occurred_at::timestamp(0), client_addr, what_failed, what_to_do\n"
            f"FROM pgsasl.explain('{ROTATED}', within => interval '1 minute') ORDER BY occurred_at DESC LIMIT 1",
        )

    def show(self, word, query):
        """Prints what people would read. word must be in it soon: logins are noted without waiting."""
        end = time.monotonic() + 5
        while word not in (table := self.db.psql("-P", "pager=off", "-c", query)) and time.monotonic() < end:
            time.sleep(0.1)
        say(f"\n{query}\n\n{table.rstrip()}\n")
        if word not in table:
            self.wrong(f"nothing of {word}")

    def how_to_go_on(self):
        """Instructions for --keep."""
        log_in = [
            "swaks",
            "--server",
            "127.0.0.1",
            "--port",
            self.submission.port,
            "--tls",
            "--from",
            SENDER,
            "--to",
            RECIPIENT,
        ]
        say(
            f"""
The servers are still up. Log in and send:
  {' '.join(str(word) for word in log_in)} \\
      --auth PLAIN --auth-user alice --auth-password '{PASSWORD}'
Query:
  psql '{self.cluster.uri()}' \\
      -c 'SELECT occurred_at, username, reason, failed_checks, client_addr FROM pgsasl.auth_failures'
Look:
  configuration {self.postfix.config}, mail log {self.postfix.base}/mail.log,
  the clients' dialogues {self.base}/dialogues
Stop:
  contrib/demo.sh --stop {self.base}"""
        )


def described(row):
    """A row of the audit table, in the table of the demo."""
    others = ", ".join(row.failed_checks[1:])
    return f"{row.reason} ({others})" if others else row.reason


def start_and_show(base, keep):
    """The whole demo. Returns the exit status: 1 where something was wrong; the servers run on."""
    say("starting PostgreSQL and Postfix ...")
    base.chmod(0o755)
    demo = Demo(base)
    demo.add_people()
    say()
    demo.tour()
    demo.outage()
    demo.rotation()
    if keep:
        demo.how_to_go_on()
    say("\nSomething was not as it should be." if demo.failed else "\nEverything was as it should be.")
    return int(demo.failed)


def stop(base):
    """Stops the servers in base, as far as they were started."""
    if (base / "postfix").exists():
        Postfix(base / "postfix").stop()
    if (base / "postgresql").exists():
        Cluster(base / "postgresql").stop()
