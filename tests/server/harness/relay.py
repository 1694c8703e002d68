"""A port in front of a Unix socket, which can fall silent: relay.py ADDRESS PORT SOCKET.

Commands come on standard input, each answered by "done": "silent" passes nothing on, "mute WORD" swallows what the
server says on a connection after the client has said WORD, "forward" passes all on again. It ends with its standard
input.
"""

import contextlib
import select
import socket
import sys
import threading


class State:
    """What the commands said last."""

    def __init__(self):
        self.flowing = threading.Event()
        self.flowing.set()
        self.word = None

    def obey(self, command):
        """Takes one command."""
        verb, _, word = command.partition(" ")
        self.word = word.encode() or None
        (self.flowing.clear if verb == "silent" else self.flowing.set)()


def pump(source, sink, allowed):
    """Passes octets one way until either end closes; those that allowed() refuses are swallowed."""
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            if allowed(octets):
                sink.sendall(octets)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def connect(client, target, state):
    """Passes one connection on, both ways."""
    muted = threading.Event()

    def client_may(octets):
        state.flowing.wait()
        if state.word and state.word in octets:
            muted.set()
        return True

    def server_may(_):
        state.flowing.wait()
        return not muted.is_set()

    state.flowing.wait()
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(target)
    except OSError:
        client.close()
        return
    threading.Thread(target=pump, args=(client, server, client_may), daemon=True).start()
    pump(server, client, server_may)


def serve(address, port, target):
    """Takes connections and commands."""
    state = State()
    listener = socket.create_server((address, port), backlog=128)
    print("done", flush=True)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if listener in ready:
            client, _ = listener.accept()
            threading.Thread(target=connect, args=(client, target, state), daemon=True).start()
        if sys.stdin in ready:
            command = sys.stdin.readline().strip()
            if not command:
                return
            state.obey(command)
            print("done", flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
