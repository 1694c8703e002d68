"""The cache of verified passwords: it saves the hash, for all smtpd processes, and accepts nobody who was shut out.

The CPU time of the service's processes shows whether a hash was computed: bcrypt at cost 12 takes long enough.
"""

import re

import pytest
from harness.answers import ACCEPTED, NOT_AUTHORIZED, REJECTED
from harness.clients import Smtp, plain
from harness.hashes import PASSWORD, cheap_hash, slow_hash
from harness.postfix import CpuMeter, LogMark, sasl_conf
from harness.processes import wait_for

HASHED_S = 0.08  # less than a slow hash, more than an AUTH without one


@pytest.fixture(scope="module", name="cache_file")
def fixture_cache_file(workdir):
    """The cache file; smtpd creates it as root."""
    return workdir / "verified"


def cached_service(postfix, name, path, processes="-", **options):
    """A service with a cache in path."""
    options = {f"pgsasl_{key}": value for key, value in options.items()}
    return postfix.add_service(
        name,
        sasl_conf(
            {"pgsasl_conninfo_file": postfix.config / "sasl/pgsasl.conninfo", "pgsasl_verified_cache": path} | options
        ),
        processes=processes,
        syslog_name=f"postfix/{name}",
    )


@pytest.fixture(scope="module", name="cached")
def fixture_cached(postfix, cache_file):
    """The service that most of these tests use."""
    return cached_service(postfix, "cached", cache_file)


@pytest.fixture(name="slow_user")
def fixture_slow_user(make_user):
    """A user whose hash takes long."""
    return make_user(stored=slow_hash())


def attempt(service, smtp, user, password=PASSWORD, mechanism="PLAIN"):
    """One AUTH: the reply, and whether a process that was running before it computed a hash."""
    cpu = CpuMeter(service)
    reply = smtp.log_in(mechanism, user.name, password)
    return reply, any(used_s > HASHED_S for used_s in cpu.used().values())


def login(service, user, mechanism="PLAIN"):
    """One accepted AUTH in a session of its own: True when it computed a hash."""
    with Smtp(service) as smtp:
        reply, hashed = attempt(service, smtp, user, mechanism=mechanism)
    assert reply == ACCEPTED
    return hashed


def test_one_hash_for_many_logins(cached, slow_user):
    """The first login computes a hash, later ones of either mechanism do not; a wrong password always does."""
    assert login(cached, slow_user)
    assert not login(cached, slow_user)
    assert not login(cached, slow_user, "LOGIN")
    with Smtp(cached) as smtp:
        assert attempt(cached, smtp, slow_user, "wrong") == (REJECTED, True)
        assert attempt(cached, smtp, slow_user, "wrong") == (REJECTED, True)
        assert attempt(cached, smtp, slow_user) == (ACCEPTED, False)


def test_without_the_option(postfix, slow_user):
    """The cache is off by default."""
    service = postfix.services["plain"]
    assert login(service, slow_user)
    assert login(service, slow_user)


def test_processes_share_it(cached, slow_user, postfix, cache_file):
    """A password that one process verified costs no other process a hash, nor another service with the same file."""
    log = LogMark(postfix)
    with Smtp(cached) as first, Smtp(cached) as second, Smtp(cached) as third:
        assert attempt(cached, first, slow_user) == (ACCEPTED, True)
        assert attempt(cached, second, slow_user) == (ACCEPTED, False)
        assert attempt(cached, third, slow_user) == (ACCEPTED, False)
        processes = {re.search(r"\[(\d+)\]", line)[1] for line in log.wait_for("cached/smtpd.*: connect from", 3)}
    assert len(processes) == 3
    assert not login(cached_service(postfix, "cached-too", cache_file), slow_user)


def test_the_file(cached, slow_user, cache_file):
    """Only root can read the file, and it contains neither name nor password."""
    login(cached, slow_user)
    status = cache_file.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_nlink) == (0o600, 0, 1)
    content = cache_file.read_bytes()
    assert PASSWORD.encode() not in content and slow_user.name.encode() not in content
    assert [path.name for path in cache_file.parent.glob("verified*")] == ["verified"]


NEW_PASSWORD = "quite another one"
REVOCATIONS = {
    "password changed by plain SQL": (
        "UPDATE pgsasl.smtp_users SET password_hash = '{new_hash}', rotation_grace = '0' WHERE username = '{name}'",
        REJECTED,
        {"wrong_password", "stale_password"},
    ),
    "password set": ("SELECT pgsasl.set_password('{name}', '{new}')", REJECTED, {"wrong_password", "stale_password"}),
    "disabled": ("UPDATE pgsasl.smtp_users SET enabled = false WHERE username = '{name}'", REJECTED, {"disabled_user"}),
    "deleted": ("DELETE FROM pgsasl.smtp_users WHERE username = '{name}'", REJECTED, {"deleted_user"}),
    "suspended": (
        "UPDATE pgsasl.accounts SET standing = 'suspended' WHERE account_id = {account_id}",
        REJECTED,
        {"account_suspended"},
    ),
    "address taken off the list": (
        "UPDATE pgsasl.smtp_users SET allowed_networks = '{{192.0.2.0/24}}' WHERE username = '{name}'",
        NOT_AUTHORIZED,
        {"ip_not_authorized"},
    ),
}


@pytest.mark.parametrize("revocation", REVOCATIONS)
def test_revoked_at_once(db, desk, cached, make_user, revocation):
    """The first AUTH after the commit is refused, even in the same session and just after a verification."""
    statement, wanted, reasons = REVOCATIONS[revocation]
    user = make_user(stored=cheap_hash(PASSWORD))
    with Smtp(cached) as smtp, Smtp(cached) as other:
        for session in (smtp, other):
            assert session.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED
    with Smtp(cached) as smtp, Smtp(cached) as other:
        db.sql(
            statement.format(
                name=user.name, account_id=user.account_id, new=NEW_PASSWORD, new_hash=cheap_hash(NEW_PASSWORD)
            )
        )
        for session in (smtp, other):
            outcome = desk.attempt(session.authenticate, "PLAIN", plain(*user.octets))
            assert outcome.reply == wanted
            assert outcome.row.reason in reasons


def test_entries_end(postfix, workdir, slow_user):
    """After the configured time a login computes a hash again, even if there were hits in between."""
    service = cached_service(postfix, "short", workdir / "short", verified_cache_ttl_s=1)
    assert login(service, slow_user)
    assert not login(service, slow_user)
    wait_for(lambda: login(service, slow_user), "the entry to end", timeout=10)


def test_removed(postfix, workdir, slow_user):
    """Removing the file empties the cache at once; processes that start later create a new one."""
    path = workdir / "removed"
    service = cached_service(postfix, "removed", path)
    with Smtp(service) as smtp, Smtp(service) as other:
        assert attempt(service, smtp, slow_user) == (ACCEPTED, True)
        assert not login(service, slow_user)
        path.unlink()
        assert attempt(service, other, slow_user) == (ACCEPTED, True)
    assert not path.exists()
    postfix.reload()
    wait_for(lambda: not login(service, slow_user), "new processes to share a new file")
    assert path.exists()


def write(path, content=b"", mode=0o600):
    """A file with these bytes."""
    path.write_bytes(content)
    path.chmod(mode)


BAD_FILES = {
    "foreign": (lambda path: write(path, b"#!/bin/sh\n" * 10000), "is not a cache of verified passwords"),
    "too-small": (write, "is too small for a cache of verified passwords"),
    "readable": (lambda path: write(path, mode=0o644), "must have mode 0600"),
    "directory": (lambda path: path.mkdir(), "Is a directory"),
    "link": (lambda path: path.symlink_to("/etc/hostname"), "must be a plain file"),
    "nowhere": (lambda path: None, "No such file or directory"),
}


def test_bad_files(postfix, workdir, user):
    """Each is logged in one line and left unchanged; logins continue without a cache."""
    services = {}
    for kind, (make, _) in BAD_FILES.items():
        path = workdir / "no-directory/file" if kind == "nowhere" else workdir / f"bad-{kind}"
        make(path)
        services[kind] = (path, cached_service(postfix, f"bad-{kind}", path))
    for kind, (path, service) in services.items():
        log = LogMark(postfix)
        before = path.read_bytes() if path.is_file() else None
        with Smtp(service) as smtp:
            assert smtp.authenticate("PLAIN", plain(*user.octets)) == ACCEPTED, kind
        (line,) = log.wait_for(f"postfix/bad-{kind}/smtpd.*pgsasl_verified_cache")
        assert f"pgsasl: pgsasl_verified_cache {path}: {BAD_FILES[kind][1]}; going on without a cache" in line
        assert before == (path.read_bytes() if path.is_file() else None)
