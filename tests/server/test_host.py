"""The module in a program of our own: no leak over a thousand logins, none over failing and abandoned ones."""

import os
import subprocess

import pytest

from harness.postfix import built_library, plugin_dir, sanitizer_of

HOST = "tests/host/saslhost"
LOGINS = 500  # with PLAIN, and as many with LOGIN

SASL_OK, SASL_UNAVAIL, SASL_BADAUTH = 0, -24, -13


@pytest.fixture(name="host")
def fixture_host(tmp_path, library, cluster, db):
    """Runs the host under valgrind; its report is part of the failure."""
    del db
    program = built_library().parent.parent / HOST
    if sanitizer_of(library):
        pytest.xfail("valgrind and a sanitizer do not go together")

    def run(user, password, count, conninfo=None):
        config = tmp_path / "sasl"
        config.mkdir(exist_ok=True)
        (config / "host.conf").write_text(f"mech_list: PLAIN LOGIN\npgsasl_conninfo: {conninfo or cluster.conninfo()}\n")
        return subprocess.run(
            [program.parent.parent.parent / "libtool", "--mode=execute", "valgrind", "--quiet", "--leak-check=full",
             "--errors-for-leak-kinds=definite", "--error-exitcode=9", program, config, "host", str(count), user, password],
            env=os.environ | {"SASL_PATH": str(plugin_dir(tmp_path / "plugins", {"libpgsasl.so": library}))},
            capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.mark.parametrize("password, count, code", [(None, LOGINS, SASL_OK), ("wrong", 20, SASL_BADAUTH)],
                         ids=["right password", "wrong password"])
def test_no_leak(host, make_user, password, count, code):
    """The same answer each time, and nothing left behind."""
    user = make_user()
    done = host(user.name, password or user.password, count)
    assert (done.returncode, done.stdout) == (0, f"code {code}, other 0\n"), done.stderr


def test_no_leak_without_database(host):
    """An outage leaves nothing behind either."""
    done = host("nobody", "wrong", 20, "host=127.0.0.1 port=1 dbname=none user=none")
    assert (done.returncode, done.stdout) == (0, f"code {SASL_UNAVAIL}, other 0\n"), done.stderr
