"""A server that speaks PostgreSQL's protocol (version 3) as far as the look-up, and then answers what no query asked for."""

import contextlib
import socket
import struct
import threading


def message(kind, body=b""):
    """One message of the server."""
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")
COMPLETE = message(b"C", b"SELECT 1\0")
COLUMN = b"password_hash\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)
DESCRIPTION = message(b"T", struct.pack("!h", 1) + COLUMN)
ROW = message(b"D", struct.pack("!hi", 1, 4) + b"hash")
NOTICE = message(b"N", b"SNOTICE\0C00000\0Mlisten\0\0")
COPY_OUT, COPY_IN, COPY_BOTH = (message(kind, struct.pack("!bhh", 0, 1, 0)) for kind in (b"H", b"G", b"W"))
COPY_DATA = message(b"d", b"1\n" * 100)
BEGUN = message(b"1") + message(b"2")  # parsed and bound

# What follows the query: sent once, and then again and again.
ANSWERS = {
    "COPY OUT without end": (BEGUN + COPY_OUT, COPY_DATA),
    "COPY OUT and silence": (BEGUN + COPY_OUT, b""),
    "COPY OUT in the middle of the rows": (BEGUN + DESCRIPTION + ROW + COPY_OUT, COPY_DATA),
    "COPY OUT behind the rows": (BEGUN + DESCRIPTION + ROW + COMPLETE + COPY_OUT, COPY_DATA),
    "COPY IN": (BEGUN + COPY_IN, b""),
    "COPY BOTH": (BEGUN + COPY_BOTH, COPY_DATA),
    "rows without end": (BEGUN + DESCRIPTION, ROW * 100),
    "notices without end": (BEGUN, NOTICE * 100),
    "results without end": (BEGUN, (DESCRIPTION + ROW + COMPLETE) * 100),
    "ready without end": (BEGUN, READY * 100),
    "half a message": (BEGUN + DESCRIPTION[:-5], b""),
    "a message of 2 GiB": (BEGUN + b"D" + struct.pack("!I", 0x7FFFFFFF), b"x" * 4096),
    "a length below nothing": (BEGUN + b"D" + struct.pack("!i", -1), b"x" * 4096),
    "no protocol": (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""),
}


class Imposter:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self, answer):
        self.once, self.again = ANSWERS[answer]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        with client, contextlib.suppress(OSError):
            self._receive(client, None)
            client.sendall(message(b"R", struct.pack("!I", 0)) + READY)
            self._receive(client, b"S")
            client.sendall(self.once)
            while self.again:
                client.sendall(self.again)
            client.recv(1)

    @staticmethod
    def _receive(client, last):
        """Reads the start-up message, or messages up to one of the kind last."""
        stream = client.makefile("rb", buffering=0)
        kind = None
        while True:
            kind = stream.read(1) if last else None
            (length,) = struct.unpack("!I", stream.read(4))
            stream.read(length - 4)
            if kind == last:
                return

    def close(self):
        """Nobody listens any more."""
        self.listener.close()
