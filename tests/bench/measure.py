"""One slice of load on one side, and what it cost: answers and their times, CPU by /proc, memory of smtpd."""

import contextlib
import os
import statistics
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness.processes import cpu_ns
from sides import built

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    """What slices of one side in one scenario have added up to."""

    seconds: float = 0
    within: int = 0  # answers inside the slices; those under way at an end took longer and count for the times alone
    latencies_ms: list = field(default_factory=list, repr=False)
    codes: Counter = field(default_factory=Counter)
    cpu_ns: Counter = field(default_factory=Counter)  # by "smtpd", "auth", "database", "load"
    memory_kb: list = field(default_factory=list)

    def add(self, other):
        """Adds a further slice."""
        self.seconds += other.seconds
        self.within += other.within
        self.latencies_ms += other.latencies_ms
        self.codes += other.codes
        self.cpu_ns += other.cpu_ns
        self.memory_kb += other.memory_kb

    @property
    def rate(self):
        """Answers a second."""
        return self.within / self.seconds

    def percentile(self, share):
        """The time that so large a share of the answers took at most, in ms."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def cpu_ms(self, *parts):
        """CPU time per AUTH of these parts."""
        return sum(self.cpu_ns[part] for part in parts) / 1e6 / len(self.latencies_ms)

    @property
    def memory_mb(self):
        """What an smtpd has for itself, in the middle."""
        return statistics.median(self.memory_kb) / 1024 if self.memory_kb else None


class Processes:
    """The processes of the machine at one moment."""

    def __init__(self):
        self.of_pid = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                head, _, tail = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
                words = tail.split()
                self.of_pid[int(stat.parent.name)] = (
                    int(words[1]),
                    head.partition("(")[2],
                    cpu_ns(stat.parent.name),
                    (int(words[13]) + int(words[14])) * TICK_NS,
                )

    def below(self, root):
        """root and all that descend from it."""
        found = {root} & self.of_pid.keys()
        grown = True
        while grown:
            more = {pid for pid, (parent, *_) in self.of_pid.items() if parent in found} - found
            found |= more
            grown = bool(more)
        return found

    def tree_ns(self, root):
        """CPU time of root and its descendants, those included that ended and were waited for."""
        return sum(self.of_pid[pid][2] + self.of_pid[pid][3] for pid in self.below(root))

    def smtpds(self, master):
        """The living smtpd of a Postfix."""
        return [pid for pid in self.below(master) if self.of_pid[pid][1] == "smtpd"]

    def smtpd_ns(self, master):
        """CPU time of a Postfix's smtpd processes; of the master's children only these come and go."""
        return sum(self.of_pid[pid][2] for pid in self.smtpds(master)) + self.of_pid[master][3]


def private_kb(pid):
    """What the process shares with no other."""
    total = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1])
    return total


def used_ns(side):
    """CPU time that a side and the database have used so far, by part."""
    processes = Processes()
    postmaster = int((side.cluster.data / "postmaster.pid").read_text(encoding="ascii").split()[0])
    daemon = side.daemon_pid()
    return Counter(
        smtpd=side.mail_server_ns(processes),
        auth=processes.tree_ns(daemon) if daemon else 0,
        database=processes.tree_ns(postmaster),
    )


def run_slice(side, scenario, seconds, seed):
    """Loads side for so many seconds and returns its Figures."""
    before = used_ns(side)
    done = subprocess.run(
        [
            built("tests/bench/load"),
            str(side.service.port),
            str(scenario.clients),
            str(seconds),
            scenario.mechanism,
            scenario.prefix,
            str(scenario.users),
            scenario.password,
            str(seed),
            str(scenario.rate),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=seconds + 180,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{side.name}: {done.stderr}{side.server.log_text()[-2000:]}")
    figures = Figures(seconds=seconds, cpu_ns=used_ns(side) - before)
    for line in done.stdout.splitlines():
        ended_us, took_us, code = (line + " ").split(" ")[:3]
        if ended_us == "cpu":
            figures.cpu_ns["load"] = int(took_us) * 1000
            continue
        figures.latencies_ms.append(int(took_us) / 1000)
        figures.codes[code] += 1
        figures.within += int(ended_us) <= seconds * 1e6
    figures.memory_kb = [private_kb(pid) for pid in side.session_pids(Processes())]
    return figures
