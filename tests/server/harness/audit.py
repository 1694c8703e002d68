"""What an attempt left behind: rows of pgsasl.auth_failures, lines of the mail log."""

import re
from dataclasses import dataclass

from .cluster import literal
from .postfix import LogMark
from .processes import wait_for

# docs/design.md: the line of a rejected attempt, after what the mail server puts before it.
LINE = (
    r'rejected reason=(?P<reason>\w+) username="(?P<username>(?:[^"\\]|\\.)*)" '
    r"client=(?P<client>\S*) mechanism=(?P<mechanism>\S+) attempt=(?P<attempt>[0-9a-f-]{36})"
)


@dataclass(frozen=True)
class Row:
    """A row of auth_failures, as far as tests look at it."""

    attempt_id: str
    username: str
    user_id: int
    account_id: int
    reason: str
    failed_checks: list
    mechanism: str
    client_addr: str
    client_port: int
    server_addr: str
    service: str
    server_host: str
    attempts: int
    detail: str


class Audit:
    """The audit table; session is a Session, or a Cluster."""

    COLUMNS = ", ".join(Row.__dataclass_fields__)

    def __init__(self, session):
        self.session = session

    def now(self):
        """The database's clock."""
        return self.session.value("SELECT clock_timestamp() AS now")

    def since(self, moment):
        """The rows committed after moment, in order."""
        return self._rows(f"recorded_at > {literal(moment)}")

    def of(self, username):
        """The rows of one user name."""
        return self._rows(f"username = {literal(username)}")

    def reasons(self, username):
        """The reasons of one user name's rows, in the order of the attempts."""
        return [
            row["reason"]
            for row in self.session.rows(
                f"SELECT reason FROM pgsasl.auth_failures WHERE username = {literal(username)} ORDER BY occurred_at"
            )
        ]

    def from_port(self, client_port, moment):
        """The rows committed after moment about attempts from one port of a client."""
        return self._rows(f"client_port = {client_port} AND recorded_at > {literal(moment)}")

    def _rows(self, condition):
        return [
            Row(**row)
            for row in self.session.rows(
                f"SELECT {self.COLUMNS} FROM pgsasl.auth_failures WHERE {condition} ORDER BY recorded_at, attempt_id"
            )
        ]


@dataclass
class Outcome:
    """All that is known of one attempt."""

    reply: object
    rows: list
    log: LogMark

    @property
    def row(self):
        """The only row; there must be one."""
        assert len(self.rows) == 1, f"{len(self.rows)} rows after {self.reply}: {self.rows}"
        return self.rows[0]

    def lines(self):
        """Our lines of the log, complete: the server's own line about the failure comes after them."""
        self.log.wait_for(self.log.server.AFTER)
        return [line for line in self.log.lines(self.log.server.OURS) if not self._of_another(line)]

    def _of_another(self, line):
        """True for the line of an attempt before this one that reached the log after the mark."""
        named = re.search(r" attempt=([0-9a-f-]{36})", line)
        return bool(named and self.rows and named[1] not in {row.attempt_id for row in self.rows})

    def line(self):
        """The only line, as a match of LINE; there must be one."""
        ours = self.log.server.OURS
        # The server's line that lines() waits for may be a late one of the attempt before this.
        lines = wait_for(
            lambda: [line for line in self.lines() if re.search(ours + "rejected ", line)], "the attempt's own line"
        )
        assert len(lines) == 1, lines
        found = re.search(ours + LINE, lines[0])
        assert found, f"not as promised: {lines[0]}"
        return found


class Desk:
    """Runs an attempt and collects what the client, the audit table and the log say about it."""

    def __init__(self, server, audit):
        self.server, self.audit = server, audit

    def attempt(self, act, *arguments, **options):
        """Calls act and reads the audit table at once: the row must exist when the client gets the answer."""
        log, moment = LogMark(self.server), self.audit.now()
        reply = act(*arguments, **options)
        return Outcome(reply, self.audit.since(moment), log)

    def leave(self, smtp, act):
        """Calls act, which leaves an exchange of smtp without its end, hangs up, and waits for the one row of it.

        A mail server may drop the exchange only then, after the client has had its answer.
        """
        log, moment, port = LogMark(self.server), self.audit.now(), smtp.port
        reply = act()
        smtp.close()
        wait_for(lambda: self.audit.from_port(port, moment), "the row of an exchange that was left")
        return Outcome(reply, self.audit.from_port(port, moment), log)
