"""Running commands, waiting on conditions, finding ports. Nothing here knows a server."""

import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
PASSED_ON = ("PATH", "LANG", "PGSASL_SHOW_COMMANDS")


class CommandFailed(Exception):
    """A command ended badly; the text holds all it said."""


class TimedOut(Exception):
    """A condition did not come true in time."""


def run(*argv, env=None, cwd="/", check=True, stdin=None, timeout=60):
    """Runs argv to its end in a clean environment and returns the CompletedProcess, with text output."""
    argv = [str(word) for word in argv]
    show(argv)
    clean = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    done = subprocess.run(
        argv,
        env=clean | (env or {}),
        cwd=cwd,
        input=stdin,
        timeout=timeout,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if check and done.returncode != 0:
        raise CommandFailed(f"{shlex.join(argv)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def show(argv):
    """Prints a command before it runs, where the demo's -v asks for it."""
    if os.environ.get("PGSASL_SHOW_COMMANDS"):
        print("+", shlex.join(str(word) for word in argv), flush=True)


def wait_for(condition, what, timeout=15):
    """Asks condition() again and again until it returns something true, which is returned."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimedOut(f"after {timeout} s still waiting: {what}")
        time.sleep(0.01)


_given_ports = set()


def free_port():
    """A port of 127.0.0.1 that nobody listens on, below the range that clients get theirs from; each time another one."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise TimedOut("no free port between 20000 and 32000")


def listening(port):
    """True when somebody accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid):
    """True while the process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def cpu_ns(pid):
    """The CPU time that the process has used so far. FileNotFoundError, ProcessLookupError: it is gone."""
    process = Path(f"/proc/{pid}")
    with contextlib.suppress(FileNotFoundError):  # the scheduler's own count is exact; the ticks of stat are not
        return int((process / "schedstat").read_text(encoding="ascii").split()[0])
    words = (process / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


def end_on_signals():
    """Makes a time limit or a lost terminal end the program as ^C does: with its servers stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def need_root():
    """Ends the program where it is not run by root."""
    if os.geteuid() != 0:
        sys.exit(f"{Path(sys.argv[0]).name}: the servers need root to start")


@contextlib.contextmanager
def scratch(prefix, parent=None, keep=False):
    """A new directory that the servers' own users may read; removed at the end unless keep is set."""
    base = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    base.chmod(0o755)
    try:
        yield base
    finally:
        if keep:
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
