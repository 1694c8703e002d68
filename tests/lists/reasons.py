#!/usr/bin/python3 -B
"""Keeps the lists of reasons that cannot include plugin/auth/reasons.def: SQL, the manual page, the guide for the desk.

Run by `make check`; with --write it updates them. The .def file is parsed strictly: what this script does not
understand is an error, even where a C compiler accepts it.
"""

import re
import sys
import textwrap
from dataclasses import dataclass

from listing import TOP, bring_up_to_date

SOURCE = "plugin/auth/reasons.def"

# What the client of Postfix hears for each word; saslcode.c has the codes.
ANSWERS = {
    "MALFORMED": '535, "bad protocol / cancel"',
    "REJECTED": "535",
    "NOT_AUTHORIZED": '535, "authorization failure"',
    "TEMPORARY": "454",
}

TEXT = r'"[^"\\\n]*"(?:\s+"[^"\\\n]*")*'
ENTRY = re.compile(
    rf"REASON\(\s*(?P<NAME>[A-Z_]+),\s*(?P<name>[a-z_]+),\s*(?P<answer>[A-Z_]+),"
    rf"\s*(?P<what_failed>{TEXT}),\s*(?P<tell_customer>{TEXT}),\s*(?P<what_to_do>{TEXT})\)"
)
SPACE = re.compile(r"(?:\s+|/\*.*?\*/)*", re.DOTALL)

PART_OF_SENTENCE = re.compile(r"\w.*[^.\s]")
SENTENCES = re.compile(r"[A-Z].*[^.\s]\.")


@dataclass
class Reason:
    """One entry of the list."""

    name: str
    answer: str
    what_failed: str
    tell_customer: str
    what_to_do: str


def joined(literals):
    """The text of adjacent C string literals."""
    return "".join(re.findall(r'"([^"]*)"', literals))


def faults(reason, upper):
    """What is wrong with an entry, in words."""
    if upper.lower() != reason.name:
        yield f"{upper} and {reason.name} are different names"
    if reason.answer not in ANSWERS:
        yield f"{reason.answer} is none of {', '.join(ANSWERS)}"
    for text in (reason.what_failed, reason.tell_customer, reason.what_to_do):
        if not re.fullmatch(r"[ -~]*", text) or re.search(r"[`|<>*]|  ", text):
            yield f'"{text}" has a character that is not allowed, or two spaces'
    for text in (reason.what_failed, reason.what_to_do):
        if not PART_OF_SENTENCE.fullmatch(text):
            yield f'"{text}" is not a part of a sentence: no full stop at its end'
    if not SENTENCES.fullmatch(reason.tell_customer):
        yield f'"{reason.tell_customer}" is not in whole sentences'


def read_reasons():
    """The entries of reasons.def in their order. Ends the program where the file is not as its head says."""
    text = (TOP / SOURCE).read_text(encoding="utf-8")
    reasons = []
    at = SPACE.match(text).end()
    while not text.startswith("#undef REASON\n", at):
        line = text.count("\n", 0, at) + 1
        entry = ENTRY.match(text, at)
        if entry is None:
            sys.exit(f'{SOURCE}:{line}: not an entry REASON(NAME, name, ANSWER, "...", "...", "...")')
        reason = Reason(entry["name"], entry["answer"], *map(joined, entry.group(*Reason.__dataclass_fields__)[2:]))
        found = list(faults(reason, entry["NAME"]))
        found += [f"{reason.name} is there twice"] if reason.name in [other.name for other in reasons] else []
        found += ["another reason has the same words"] if reason.what_failed in [r.what_failed for r in reasons] else []
        if found:
            sys.exit("\n".join(f"{SOURCE}:{line}: {fault}" for fault in found))
        reasons.append(reason)
        at = SPACE.match(text, entry.end()).end()
    if text[at:] != "#undef REASON\n":
        sys.exit(f"{SOURCE}: something follows #undef REASON")
    return reasons


def sql_literal(text, indent):
    """A string constant of SQL, over as many lines as it needs."""
    lines = textwrap.wrap(text.replace("'", "''"), 116 - len(indent), break_long_words=False, break_on_hyphens=False)
    return indent + "'" + f" '\n{indent}'".join(lines) + "'"


def sql_rows(reasons):
    """The rows of pgsasl.reasons."""
    rows = []
    for order, reason in enumerate(reasons, 1):
        texts = (reason.what_failed, reason.tell_customer, reason.what_to_do)
        rows.append(
            f"    ('{reason.name}', {order},\n" + ",\n".join(sql_literal(text, " " * 8) for text in texts) + ")"
        )
    return ",\n".join(rows) + "\n"


def with_code(text):
    """Text for Markdown: names of columns, tables, functions and options as code."""
    return re.sub(r"(?:\w+\.)?\w+_\w+(?:\(\))?", r"`\g<0>`", text)


def markdown_table(head, rows):
    """A table with an empty line on either side, so that the marked lines are no part of it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n"


def desk_table(reasons):
    """What happened and what to do."""
    return markdown_table(
        ["reason", "client", "what happened", "what to do"],
        [
            [f"`{reason.name}`", ANSWERS[reason.answer], with_code(reason.what_failed), with_code(reason.what_to_do)]
            for reason in reasons
        ],
    )


def customer_table(reasons):
    """What to send to the customer."""
    return markdown_table(
        ["reason", "text for the customer"], [[f"`{reason.name}`", reason.tell_customer] for reason in reasons]
    )


def page_items(reasons):
    """The items of a list of the manual page."""
    return "".join(
        f".It Li {reason.name}\n{reason.what_failed}\n"
        + (".Pq temporary failure\n" if reason.answer == "TEMPORARY" else "")
        for reason in reasons
    )


def main():
    """Compares or writes each list."""
    reasons = read_reasons()
    return bring_up_to_date(
        {
            ("contrib/sql/reasons.sql", "reasons"): sql_rows(reasons),
            ("docs/pgsasl.5", "reasons"): page_items(reasons),
            ("docs/troubleshooting.md", "reasons"): desk_table(reasons),
            ("docs/troubleshooting.md", "customer texts"): customer_table(reasons),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
