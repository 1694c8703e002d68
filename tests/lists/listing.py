"""What the scripts of this folder share: parts of files that come from a list of the code.

Such a part stands between two lines that hold "BEGIN LIST name" and "END LIST name", in a comment of whatever language
the file is in. Each script makes the text of its parts; without an argument it compares, with --write it puts them
there.
"""

import argparse
import difflib
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def part(path, name):
    """What stands between the two lines, with the text before and behind."""
    text = (TOP / path).read_text(encoding="utf-8")
    found = re.search(rf"^.*BEGIN LIST {name}\b.*\n(?P<part>(?:.*\n)*?).*END LIST {name}\b", text, re.MULTILINE)
    if found is None:
        sys.exit(f"{path}: there are no lines BEGIN LIST {name} and END LIST {name}")
    return text[: found.start("part")], found["part"], text[found.end("part") :]


def bring_up_to_date(parts):
    """Compares or writes parts, a dictionary of (path, name): text. Returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write the parts instead of comparing them")
    write = parser.parse_args().write
    differing = 0
    for (path, name), wanted in parts.items():
        before, present, behind = part(path, name)
        if present == wanted:
            continue
        differing += 1
        if write:
            (TOP / path).write_text(before + wanted + behind, encoding="utf-8")
            print(f"{path}: list {name} written")
        else:
            sys.stdout.writelines(
                difflib.unified_diff(
                    present.splitlines(True), wanted.splitlines(True), f"{path}, list {name}", "what the code says"
                )
            )
    if differing and not write:
        print(f"run tests/lists/{Path(sys.argv[0]).name} --write")
        return 1
    return 0
