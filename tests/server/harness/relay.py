"""A port in front of a Unix socket, which can fall silent: relay.py ADDRESS PORT SOCKET.

Commands come on standard input, each answered by "done": silent, forward. It ends with its standard input.
"""

import contextlib
import select
import socket
import sys
import threading


def pump(source, sink, flowing):
    """Passes octets one way until either end closes."""
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            flowing.wait()
            sink.sendall(octets)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def connect(client, target, flowing):
    """Passes one connection on, both ways."""
    flowing.wait()
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(target)
    except OSError:
        client.close()
        return
    threading.Thread(target=pump, args=(client, server, flowing), daemon=True).start()
    pump(server, client, flowing)


def serve(address, port, target):
    """Takes connections and commands."""
    flowing = threading.Event()
    flowing.set()
    listener = socket.create_server((address, port), backlog=128)
    print("done", flush=True)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if listener in ready:
            client, _ = listener.accept()
            threading.Thread(target=connect, args=(client, target, flowing), daemon=True).start()
        if sys.stdin in ready:
            word = sys.stdin.readline().strip()
            if not word:
                return
            (flowing.set if word == "forward" else flowing.clear)()
            print("done", flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
