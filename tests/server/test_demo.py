"""contrib/demo.sh succeeds with the module under test, and leaves nothing behind."""

import os
import textwrap
from pathlib import Path

import pytest
from harness.processes import SOURCE, run

DEMO = SOURCE / "contrib/demo.sh"


@pytest.fixture(name="demo")
def fixture_demo(library, workdir):
    """Runs the demo in a directory of its own."""
    scratch = workdir / "demo"
    scratch.mkdir(exist_ok=True)
    scratch.chmod(0o755)
    build = library.parent.parent

    def demo(*arguments):
        return run(DEMO, *arguments, env={"TMPDIR": str(scratch), "PGSASL_BUILD": str(build)}, check=False, timeout=300)

    demo.scratch = scratch
    return demo


def processes_of(directory):
    """The command lines and working directories of running processes that name directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace") + os.readlink(process / "cwd")
        except OSError:
            continue
        if str(directory) in words:
            found.append(words)
    return found


def test_demo(demo):
    """Every line of its table is as wanted, and no process or file is left."""
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything was as it should be." in done.stdout
    assert "WRONG" not in done.stdout
    assert processes_of(demo.scratch) == []
    assert list(demo.scratch.iterdir()) == []


def test_keep_and_stop(demo):
    """--keep leaves the servers running, and its instructions work; -v shows the commands."""
    done = demo("-v", "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    for command in ("+ swaks --server 127.0.0.1", "+ curl --silent", "+ psql -X", "+ postfix -c"):
        assert command in done.stdout
    assert processes_of(demo.scratch) != []
    log_in, query, stop = (
        textwrap.dedent(done.stdout.split(before)[1].split(after)[0])
        for before, after in (("Log in and send:\n", "Query:"), ("Query:\n", "Look:"), ("Stop:\n", "\n\n"))
    )
    assert "queued as" in run("bash", "-c", log_in).stdout
    assert "account_suspended" in run("bash", "-c", query).stdout
    run("bash", "-c", stop, cwd=SOURCE)
    assert processes_of(demo.scratch) == []
    assert list(demo.scratch.iterdir()) == []
