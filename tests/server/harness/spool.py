"""The spool's file: where rows of the audit table wait while the database cannot store them."""

import json
from pathlib import Path


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
