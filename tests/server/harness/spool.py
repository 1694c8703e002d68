"""The spool's file: where rows of the audit table wait while the database cannot store them."""

import json
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path


def header(drained=64):
    """A spool's first line, 64 bytes."""
    return f'{{"pgsasl_spool":"1","drained":"{drained:020}"'.encode().ljust(62) + b"}\n"


class Spool:
    """Reads one spool file. Its first line is a header; each other line is one row as a JSON object."""

    def __init__(self, path):
        self.path = Path(path)

    def lines(self):
        """The lines that are not in the database yet, as they are in the file."""
        octets = self.path.read_bytes()
        header, _, _ = octets.partition(b"\n")
        begin = max(int(json.loads(header)["drained"]), len(header) + 1)
        return octets[begin:].splitlines(keepends=True)

    def waiting(self):
        """The rows that are not in the database yet, each a dict with the names of auth_failures' columns."""
        return [json.loads(line) for line in self.lines()]

    def fill(self, rows):
        """Appends rows, as an outage leaves them."""
        with self.path.open("ab") as file:
            file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def failures(username, count, ago=timedelta(hours=1)):
    """Rows of failed attempts by one user name, in the order of their time."""
    begin = datetime.now(timezone.utc) - ago
    return [
        {
            "attempt_id": str(uuid.uuid4()),
            "occurred_at": (begin + timedelta(milliseconds=number)).isoformat(),
            "username": username,
            "reason": "backend_unavailable",
            "failed_checks": ["backend_unavailable"],
            "mechanism": "PLAIN",
            "client_addr": f"192.0.2.{number % 250}",
            "client_port": 40000,
            "server_addr": "198.51.100.1",
            "service": "smtp",
            "server_host": "relay.example.com",
            "detail": "the server does not answer a query",
        }
        for number in range(count)
    ]
