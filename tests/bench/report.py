"""Tables and a drawing of what compare has measured."""

import html
import math
import platform
import re
import subprocess
from pathlib import Path

from sides import ABSENT, SIDES

OURS = (("pgsasl", "exim-pgsasl"), ("pgsasl-cache",))  # a column each; the first of them that was measured


def machine():
    """The machine and the versions of the figures."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    memory_kb = int(
        re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)[1]
    )
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE))
    names = ("postfix", "libsasl2-2", "postgresql", "dovecot-core", "libsasl2-modules-sql")
    versions = []
    for name in names:
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=False
        )
        if asked.stdout:
            versions.append(f"{name} {asked.stdout}")
    return (
        f"{cores} cores of {cpu[1] if cpu else platform.machine()}, {memory_kb / 2**20:.0f} GiB, "
        f"Linux {platform.release()}; {', '.join(versions)}"
    )


def number(value, digits=3):
    """To three significant digits, without an exponent."""
    if value is None:
        return "–"
    if value >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if value >= 1e-4 else f"{value:.1g}"


HEADER = (
    "side",
    "AUTH/s",
    "p50",
    "p95",
    "p99",
    "CPU",
    "smtpd+auth+db",
    "MB",
    "of limit",
    "pgsasl : it",
    "cache on : it",
)
LEGEND = """\
AUTH/s is the rate; p50, p95 and p99 are times of the AUTH command in ms, for LOGIN of its three messages together; CPU is ms
per AUTH of smtpd, the side's daemon and the database; MB is the private memory of an smtpd; "of limit" is the rate divided
by that of a mechanism that does nothing. The last two columns are pgsasl's rate and p50 divided by the side's, without its
cache and with it."""


def table(results):
    """The rows of one scenario, a list of cells each. results: side name to Figures."""
    rows = []
    for name, figures in results.items():
        parts = [figures.cpu_ms(part) for part in ("smtpd", "auth", "database")]
        row = [
            SIDES[name].label,
            number(figures.rate),
            *(number(figures.percentile(share)) for share in (0.5, 0.95, 0.99)),
            number(sum(parts)),
            "+".join(f"{part:.{0 if part >= 10 else 2}f}" for part in parts),
            number(figures.memory_mb),
            number(figures.rate / results["limit"].rate) if "limit" in results else "–",
        ]
        for column in OURS:
            ours = next((side for side in column if side in results), name)
            row.append(
                "–"
                if name == ours
                else f"{number(results[ours].rate / figures.rate)} / "
                f"{number(results[ours].percentile(.5) / figures.percentile(.5))}"
            )
        rows.append(row)
    return rows


def clients(results):
    """What the load itself cost: where that is much, the figures are its own."""
    costs = [figures.cpu_ms("load") for figures in results.values()]
    return f"The clients used {number(min(costs), 2)} to {number(max(costs), 2)} ms of CPU per AUTH."


def text_table(rows):
    """Rows for a terminal."""
    rows = [list(HEADER), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def markdown_table(rows):
    """The same for docs/performance.md."""
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in [list(HEADER), ["---"] + ["--:"] * (len(HEADER) - 1), *rows]
    )


def ratio(results, scenario, one, other, what):
    """A ratio between two sides of a scenario, or between two scenarios; None where one was not measured."""
    values = []
    for side in (one, other):
        place, name = side if isinstance(side, tuple) else (scenario, side)
        figures = results.get(place, {}).get(name)
        if figures is None:
            return None
        values.append(figures.rate if what == "rate" else figures.percentile(0.5))
    return values[0] / values[1]


def memory_above(results):
    """MB per smtpd above one whose plugin does nothing."""
    figures = results.get("cheap", {})
    if not {"pgsasl", "limit"} <= figures.keys():
        return None
    return figures["pgsasl"].memory_mb - figures["limit"].memory_mb


# What is to be reached: text, value, whether the value is good.
TARGETS = (
    (
        "cheap hash: p50 at most 0.5 of Dovecot's",
        lambda r: ratio(r, "cheap", "pgsasl", "dovecot", "p50"),
        lambda v: v <= 0.5,
    ),
    ("cheap hash: rate at least Dovecot's", lambda r: ratio(r, "cheap", "pgsasl", "dovecot", "rate"), lambda v: v >= 1),
    (
        "cheap hash: rate at least 0.9 of the limit's",
        lambda r: ratio(r, "cheap", "pgsasl", "limit", "rate"),
        lambda v: v >= 0.9,
    ),
    (
        "the same, cache on as Dovecot's is: p50 at most 0.5 of Dovecot's",
        lambda r: ratio(r, "cheap", "pgsasl-cache", "dovecot", "p50"),
        lambda v: v <= 0.5,
    ),
    (
        "the same: rate at least Dovecot's",
        lambda r: ratio(r, "cheap", "pgsasl-cache", "dovecot", "rate"),
        lambda v: v >= 1,
    ),
    (
        "the same: rate at least 0.9 of the limit's",
        lambda r: ratio(r, "cheap", "pgsasl-cache", "limit", "rate"),
        lambda v: v >= 0.9,
    ),
    (
        "cheap hash: p50 at most 0.02 of stock Cyrus sql's",
        lambda r: ratio(r, "cheap", "pgsasl", "cyrus-sql", "p50"),
        lambda v: v <= 0.02,
    ),
    (
        "bcrypt-10, cache on: rate at least 40 times Dovecot's",
        lambda r: ratio(r, "bcrypt", "pgsasl-cache", "dovecot", "rate"),
        lambda v: v >= 40,
    ),
    (
        "many users: p50 at most 1.2 times that of 1 thousand",
        lambda r: ratio(r, None, ("many-users", "pgsasl"), ("cheap", "pgsasl"), "p50"),
        lambda v: v <= 1.2,
    ),
    (
        "Exim: p50 at most 1.2 of its own ${lookup pgsql}'s",
        lambda r: ratio(r, "exim", "exim-pgsasl", "exim-lookup", "p50"),
        lambda v: v <= 1.2,
    ),
    ("memory: at most 3 MB per smtpd above one that does nothing", memory_above, lambda v: v <= 3),
)


def targets(results):
    """A row for each target that this run can judge."""
    rows = []
    for text, value_of, good in TARGETS:
        value = value_of(results)
        if value is not None:
            rows.append((text, number(value), "met" if good(value) else "missed"))
    return rows


COLOURS = {
    "limit": "#9a9a9a",
    "pgsasl": "#1f6fb2",
    "pgsasl-cache": "#62b0e8",
    "dovecot": "#d9822b",
    "cyrus-sql": "#a85a9c",
    "exim-pgsasl": "#1f6fb2",
    "exim-lookup": "#5d9e5d",
}
LEFT, WIDTH, BAR, GAP = 300, 330, 13, 26


def _bars(figures, value_of, scale, left, top):
    """The bars of one scenario in one panel, on a logarithmic scale from 0.1 to 10,000."""
    parts = []
    for i, (name, result) in enumerate(figures.items()):
        value = value_of(result)
        width = max(1, scale(value))
        y = top + i * BAR
        parts.append(
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{BAR - 3}" fill="{COLOURS[name]}"/>'
            f'<text x="{left + width + 4:.1f}" y="{y + BAR - 4}">{number(value)}</text>'
        )
    return parts


def svg(results, whats):
    """Rates and median times of all scenarios, one SVG document."""

    def scale(value):
        return max(0, (math.log10(value) + 1) / 5 * (WIDTH - 60))

    heights = [len(figures) * BAR + GAP for figures in results.values()]
    parts = [
        f'<text x="{LEFT}" y="20" font-weight="bold">AUTH a second (longer is better)</text>',
        f'<text x="{LEFT + WIDTH}" y="20" font-weight="bold">p50 of an AUTH, ms (shorter is better)</text>',
    ]
    top = 36
    for (scenario, figures), height in zip(results.items(), heights):
        parts.append(f'<text x="10" y="{top + 10}">{html.escape(whats[scenario])}</text>')
        parts += _bars(figures, lambda result: result.rate, scale, LEFT, top)
        parts += _bars(figures, lambda result: result.percentile(0.5), scale, LEFT + WIDTH, top)
        top += height
    for i, (name, colour) in enumerate(COLOURS.items()):
        x = 10 + i * 180
        parts.append(
            f'<rect x="{x}" y="{top}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 15}" y="{top + 9}">{html.escape(SIDES[name].label)}</text>'
        )
    parts.append(f'<text x="10" y="{top + 30}">Logarithmic scales. {html.escape(machine())}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + 2 * WIDTH}" height="{top + 42}" '
        'font-family="sans-serif" font-size="10">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def absent():
    """What is not in the tables, and why."""
    return f"Left out: {ABSENT}."
