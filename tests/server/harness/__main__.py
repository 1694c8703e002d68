"""What contrib/demo.sh calls: python3 -m harness demo DIRECTORY [--keep], and python3 -m harness stop DIRECTORY.

demo starts private servers in DIRECTORY, shows them at work and leaves them running; stop stops them. The exit status
is 1 where the demo found something wrong, and 2 where it could not be run.
"""

import argparse
import sys
import traceback
from pathlib import Path

from . import demo
from .processes import CommandFailed, end_on_signals


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="harness", description=__doc__)
    parser.add_argument("action", choices=("demo", "stop"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--keep", action="store_true", help="say how to use the servers afterwards")
    arguments = parser.parse_args()
    base = arguments.directory.resolve()
    if arguments.action == "stop":
        demo.stop(base)
        return 0
    end_on_signals()
    return demo.start_and_show(base, arguments.keep)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as failure:
        print(f"harness: {failure}", file=sys.stderr)
        sys.exit(2)
    except Exception:  # pylint: disable=broad-exception-caught
        traceback.print_exc()  # Python's own status would be 1
        sys.exit(2)
