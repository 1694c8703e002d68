"""A port in front of PostgreSQL that counts what a client asks of it: messages, statements and round trips.

It reads the frontend's messages (PostgreSQL's documentation, "Message Formats") and passes all octets on as they are.
The client must connect without TLS and without GSSAPI encryption. What it says at one go, without waiting for an
answer, is passed on together, after it has been silent for a while: so a round trip is one only where the client waits.
"""

import contextlib
import select
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass

SILENCE_S = 0.04


@dataclass(frozen=True)
class Trips:
    """What some attempts cost together."""

    connects: int = 0
    round_trips: int = 0  # times that the client spoke, fell silent, and was answered
    statements: int = 0  # Execute and simple Query
    parsed: int = 0  # query texts that the server had to parse

    def __sub__(self, other):
        return Trips(*(mine - theirs for mine, theirs in zip(vars(self).values(), vars(other).values())))


class Frontend:
    """The messages of one client, as they come in pieces."""

    def __init__(self):
        self.octets = b""
        self.begun = False

    def messages(self, octets):
        """The whole messages that octets complete: type, payload. The start-up message has no type."""
        self.octets += octets
        while True:
            skip = 1 if self.begun else 0
            if len(self.octets) < skip + 4:
                return
            end = skip + struct.unpack_from("!I", self.octets, skip)[0]
            if len(self.octets) < end:
                return
            yield self.octets[:skip].decode("ascii"), self.octets[skip + 4 : end]
            self.octets = self.octets[end:]
            self.begun = True


class Counting:
    """The port. Counts grow while it is open; texts are the query texts parsed, by connection."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.counts = Counter()
        self.texts = []
        self.lock = threading.Lock()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def so_far(self):
        """The Trips of all connections since the beginning."""
        with self.lock:
            return Trips(*(self.counts[name] for name in ("connects", "round_trips", "statements", "parsed")))

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client):
        """One thread for both ways, so that it sees who speaks after whom."""
        frontend, texts = Frontend(), []
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, contextlib.suppress(OSError):
            with self.lock:
                self.counts["connects"] += 1
                self.texts.append(texts)
            while True:
                spoke, _, _ = select.select([client, server], [], [])
                if server in spoke:
                    octets = server.recv(65536)
                    client.sendall(octets)
                else:
                    octets = self._until_silent(client)
                    self._count(frontend.messages(octets), texts)
                    server.sendall(octets)
                if not octets:
                    return

    @staticmethod
    def _until_silent(client):
        """All that the client says until it waits."""
        octets = b""
        while True:
            more = client.recv(65536)
            octets += more
            if not more or not select.select([client], [], [], SILENCE_S)[0]:
                return octets

    def _count(self, messages, texts):
        """Counts before the server can answer, so that so_far() is right once the client has heard."""
        with self.lock:
            for number, (kind, payload) in enumerate(messages):
                self.counts["round_trips"] += number == 0 and kind != "X"
                self.counts["statements"] += kind in ("E", "Q")
                if kind in ("P", "Q"):
                    self.counts["parsed"] += 1
                    texts.append(payload.split(b"\0")[kind == "P"].decode())
