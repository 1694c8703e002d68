"""docs/migrating.md, as written: its blocks run on the old systems' tables, and the old passwords log in."""

import os
import re
import stat
import subprocess

import pytest
from harness import dovecot
from harness.answers import ACCEPTED, REJECTED
from harness.audit import Audit, Desk
from harness.clients import log_in
from harness.cluster import DATABASE, OWNER, Cluster, Session, literal
from harness.postfix import STOCK_PLUGINS, Postfix, plugin_dir, sanitizer_of, sasl_conf
from harness.processes import SOURCE, CommandFailed, run, wait_for

PAGE = (SOURCE / "docs/migrating.md").read_text(encoding="utf-8")
PASSWORD = "correct horse"

# The tables as the old systems make them.
DOVECOT = """
CREATE TABLE users (username varchar(128) NOT NULL, domain varchar(128) NOT NULL, password text NOT NULL,
    home varchar(255) NOT NULL, uid integer NOT NULL, gid integer NOT NULL, active char(1) DEFAULT 'Y' NOT NULL);"""
CYRUS = (
    "CREATE TABLE sasl_users (username text NOT NULL, realm text NOT NULL, password text, UNIQUE (username, realm));"
)
POSTFIXADMIN = """
CREATE TABLE domain (domain character varying(255) PRIMARY KEY);
CREATE TABLE mailbox (username character varying(255) NOT NULL, password character varying(255) NOT NULL default '',
    name character varying(255) NOT NULL default '', maildir character varying(255) NOT NULL default '',
    quota bigint NOT NULL default 0, created timestamp with time zone default now(),
    modified timestamp with time zone default now(), active boolean NOT NULL default true,
    domain character varying(255) REFERENCES domain (domain), local_part character varying(255) NOT NULL,
    Constraint "mailbox_key" Primary Key ("username"));"""


def blocks(section, kind):
    """The fenced blocks of that kind in a section of the page, in order."""
    text = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL).group(1)
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def hashes(producer):
    """Hashes of PASSWORD by another program: rows of tests/unit/hash_vectors.h whose producer begins with this."""
    vectors = (SOURCE / "tests/unit/hash_vectors.h").read_text(encoding="utf-8")
    found = re.findall(rf'^    {{"{re.escape(producer)}[^"]*", "{PASSWORD}",\n     "(.*)"}},$', vectors, re.MULTILINE)
    assert found, producer
    return found


def md5_crypt():
    """A hash that is refused."""
    return run("openssl", "passwd", "-1", PASSWORD).stdout.strip()


@pytest.fixture(scope="module", name="site")
def fixture_site(workdir, library):
    """A cluster and a Postfix of its own: the page changes both."""
    site = Site(workdir / "migrating", library)
    try:
        yield site
    finally:
        site.stop()


class Site:
    """A site that migrates."""

    def __init__(self, base, library):
        base.mkdir()
        self.cluster = Cluster.create(base / "postgresql")
        self.db = Session(self.cluster)
        ours = plugin_dir(base / "sasl2", {"libpgsasl.so": library})
        self.postfix = Postfix.create(
            base / "postfix", [STOCK_PLUGINS, ours], self.cluster.conninfo(), sanitizer_of(library)
        )
        self.postfix.start()
        self.desk = Desk(self.postfix, Audit(self.db))
        self.bin = base / "bin"
        self.bin.mkdir()

    def stop(self):
        """Stops both."""
        self.db.close()
        self.postfix.stop()
        self.cluster.stop()

    def psql(self, block):
        """Runs a block as the database's owner, as psql -d mail would."""
        return run("psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", self.cluster.uri(), stdin=block).stdout

    def shell(self, block):
        """Runs a block as root on the mail server, whose configuration is Postfix's own here."""
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "MAIL_CONFIG": str(self.postfix.config),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.cluster.port),
            "PGUSER": OWNER,
            "PGPASSWORD": self.cluster.owner_password,
        }
        block = block.replace("/etc/postfix", str(self.postfix.config))
        return run("bash", "-euo", "pipefail", "-c", block, env=environment).stdout

    def service(self, name, block):
        """An smtpd whose SASL configuration has these lines."""
        options = dict(line.split(": ", 1) for line in block.splitlines())
        options["pgsasl_conninfo_file"] = self.postfix.config / "sasl/pgsasl.conninfo"
        return self.postfix.add_service(name, sasl_conf(options))

    def login(self, service, name, password=PASSWORD):
        """What the client hears, and the rows it leaves."""
        return self.desk.attempt(log_in, service, "PLAIN", name, password, cafile=self.postfix.certificate)

    def load(self):
        """Runs the page's blocks from incoming to smtp_users; returns the users that were refused, by name."""
        load, left, drop = blocks("Loading", "sql")
        self.psql(load)
        self.psql(load)
        refused = dict(line.split("|", 1) for line in self.psql(left).splitlines())
        self.psql(drop)
        return refused


def test_every_block_is_run():
    """A new block needs a line in a test here."""
    kinds = re.findall(r"^```(\S+)$", PAGE, re.MULTILINE)
    assert {kind: kinds.count(kind) for kind in kinds} == {"sql": 12, "smtpd.conf": 3, "sh": 4}


def add_dovecot_users(site, rows):
    """rows: local part, password, active."""
    for name, stored, active in rows:
        site.db.sql(
            f"""INSERT INTO users VALUES
                        ({literal(name)}, 'example.test', {literal(stored)}, '/home', 8, 8, {literal(active)})"""
        )


@pytest.fixture(name="users")
def fixture_users(site):
    """Dovecot's table, with a user for each scheme of doveadm."""
    site.psql(DOVECOT)
    names = {f"user{number}": stored for number, stored in enumerate(hashes("doveadm pw -s "))}
    add_dovecot_users(site, [(name, stored, "Y") for name, stored in names.items()])
    add_dovecot_users(site, [("gone", hashes("doveadm pw -s SSHA512")[0], "N"), ("old", md5_crypt(), "Y")])
    yield list(names)
    site.psql("DROP TABLE users CASCADE")


def test_the_old_table_stays(site, users):
    """The view over Dovecot's table."""
    (view,), (lines,) = blocks("Keeping your own table", "sql"), blocks("Keeping your own table", "smtpd.conf")
    site.psql(view)
    service = site.service("stay", lines)
    assert site.login(service, f"{users[0]}@Example.test").reply == ACCEPTED
    assert site.login(service, f"{users[0]}@example.test", "wrong").row.reason == "wrong_password"
    assert site.login(service, "gone@example.test").row.reason == "disabled_user"


def test_dovecot(site, users):
    """Each of doveadm's schemes logs in by its address; what is changed in the old table is carried over."""
    (names,), (lines,) = blocks("Names with an @", "sql"), blocks("Names with an @", "smtpd.conf")
    (incoming,), (gather, trigger) = blocks("The staging table", "sql"), blocks("From Dovecot", "sql")
    for block in names, incoming, gather:
        site.psql(block)
    refused = site.load()
    assert list(refused) == ["old%example.test"] and "smtp_users_password_hash_scheme" in refused["old%example.test"]

    service = site.service("dovecot-names", lines)
    for user in users:
        assert site.login(service, f"{user}@example.test").reply == ACCEPTED, user
    assert site.login(service, f"{users[0].upper()}@Example.Test").reply == ACCEPTED
    assert site.login(service, f"{users[0]}%example.test").reply == ACCEPTED
    row = site.login(service, f"{users[0]}@example.test", "wrong").row
    assert (row.username, row.reason) == (f"{users[0]}%example.test", "wrong_password")
    assert None not in (row.user_id, row.account_id)
    assert site.login(service, "gone@example.test").row.reason == "disabled_user"

    site.psql(trigger)
    site.psql("UPDATE users SET password = '{CRYPT}' || crypt('a new one', gen_salt('bf', 4)) WHERE username = 'user0'")
    assert site.login(service, "user0@example.test", "a new one").reply == ACCEPTED
    with pytest.raises(CommandFailed, match="smtp_users_password_hash_scheme"):
        site.psql("UPDATE users SET password = '{PLAIN}secret' WHERE username = 'user0'")
    site.psql("UPDATE users SET active = 'N' WHERE username = 'user1'")
    assert site.login(service, "user1@example.test").row.reason == "disabled_user"


def test_cyrus_sql(site):
    """Clear text is hashed once; the default realm may be sent or not."""
    site.psql(CYRUS)
    for name, realm, password in (
        ("Anna", "mail.example.test", PASSWORD),
        ("bert", "sales", PASSWORD),
        ("long", "sales", "x" * 73),
        ("none", "sales", None),
    ):
        site.db.sql(f"INSERT INTO sasl_users VALUES ({literal(name)}, {literal(realm)}, {literal(password)})")
    (incoming,), (gather, clear), (lines,) = (
        blocks("The staging table", "sql"),
        blocks("From Cyrus `sql`", "sql"),
        blocks("Names with an @", "smtpd.conf"),
    )
    for block in incoming, gather:
        site.psql(block)
    assert not site.load()
    site.psql(clear)

    service = site.service("cyrus-names", lines)
    for name in "Anna", "Anna@mail.example.test", "bert@sales":
        assert site.login(service, name).reply == ACCEPTED, name
    for name in "anna", "bert", "Anna@sales", "none@sales":
        assert site.login(service, name).reply == REJECTED, name
    assert site.login(service, "long@sales", "x" * 73).reply == REJECTED
    assert site.db.value("SELECT count(*) FROM pgsasl.smtp_users WHERE username LIKE '%sales'") == 1


def test_postfixadmin(site):
    """Its mailbox table, moved and left where it is."""
    site.psql(POSTFIXADMIN)
    site.psql("INSERT INTO domain VALUES ('admin.test')")
    rows = [
        ("php", hashes("openssl passwd -6")[0], True),
        ("blowfish", hashes("htpasswd -B")[0], True),
        ("doveadm", hashes("doveadm pw -s SHA512-CRYPT")[0], True),
        ("off", hashes("htpasswd -B")[0], False),
        ("default", md5_crypt(), True),
    ]
    for name, stored, active in rows:
        site.db.sql(
            f"""INSERT INTO mailbox (username, password, active, domain, local_part) VALUES
                        ('{name}@admin.test', {literal(stored)}, {literal(active)}, 'admin.test', '{name}')"""
        )
    (names,), (incoming,) = blocks("Names with an @", "sql"), blocks("The staging table", "sql")
    gather, grant = blocks("From Postfixadmin", "sql")
    for block in names, incoming, gather, grant:
        site.psql(block)
    assert list(site.load()) == ["default%admin.test"]

    moved = site.service("admin-moved", blocks("Names with an @", "smtpd.conf")[0])
    stays = site.service("admin-stays", blocks("From Postfixadmin", "smtpd.conf")[0])
    for service in moved, stays:
        for name in "php", "blowfish", "doveadm":
            assert site.login(service, f"{name}@Admin.test").reply == ACCEPTED, name
        assert site.login(service, "off@admin.test").row.reason == "disabled_user"


def test_saslauthd(site):
    """What getent shadow prints, of users who may log in, are locked, have expired, have no password."""
    yescrypt = hashes("mkpasswd -m yescrypt")[0]
    entries = {
        "root": ("*", ""),
        "unix": (yescrypt, ""),
        "locked": (f"!{yescrypt}", ""),
        "expired": (yescrypt, "19001"),
        "until": (yescrypt, "99999"),
        "empty": ("", ""),
    }
    shadow = "".join(f"{name}:{stored}:19000:0:99999:7::{end}:\n" for name, (stored, end) in entries.items())
    getent = site.bin / "getent"
    getent.write_text(f"#!/bin/sh\n[ \"$*\" = shadow ] && cat <<'END'\n{shadow}END\n", encoding="ascii")
    getent.chmod(stat.S_IRWXU)
    site.psql(blocks("The staging table", "sql")[0])
    site.shell(blocks("From saslauthd", "sh")[0])
    assert not site.load()

    service = site.postfix.add_service("saslauthd-names")
    assert site.login(service, "unix").reply == ACCEPTED
    assert site.login(service, "until").reply == ACCEPTED
    assert site.login(service, "expired").row.reason == "disabled_user"
    for name in "root", "locked", "empty":
        assert site.login(service, name).row.reason == "unknown_user"


@pytest.fixture(name="dovecot_auth")
def fixture_dovecot(site, users, workdir, missing):
    """Dovecot's auth service at private/auth of the Postfix, with its stock query."""
    del users
    if not dovecot.PROGRAM.exists():
        missing("dovecot-core and dovecot-pgsql are not installed")
    base, socket = workdir / "dovecot", site.postfix.base / "queue/private/auth"
    base.mkdir()
    base.chmod(0o755)
    database = {
        "host": "127.0.0.1",
        "port": site.cluster.port,
        "dbname": DATABASE,
        "user": OWNER,
        "password": site.cluster.owner_password,
    }
    query = (
        "SELECT username, domain, password FROM users "
        "WHERE username = '{local}' AND domain = '{domain}' AND active = 'Y'"
    )
    conf = dovecot.configure(base, socket, database, query)
    with subprocess.Popen([dovecot.PROGRAM, "-F", "-c", conf]) as server:
        try:
            wait_for(socket.exists, f"Dovecot to make {socket}")
            yield
        finally:
            server.terminate()


def test_there_and_back(site, dovecot_auth):
    """Dovecot alone, both side by side, pgsasl alone, each time by the commands of the page."""
    del dovecot_auth
    there, back, beside = blocks("From Dovecot", "sh")
    site.psql("DELETE FROM pgsasl.smtp_users")
    site.psql("SELECT pgsasl.add_user('ours', 'a password of ours', pgsasl.add_account('ours'))")
    submission, submissions = site.postfix.services["submission"], site.postfix.services["submissions"]

    def is_pgsasl(service):
        """True when pgsasl answers: it knows our user and not Dovecot's."""
        ours = site.login(service, "ours", "a password of ours").reply
        theirs = site.login(service, "user0@example.test").reply
        assert {ours.code, theirs.code} == {235, 535}, (ours, theirs)
        return ours == ACCEPTED

    def switched(service, wanted):
        """Waits: smtpd processes from before the reload may still answer once."""
        return wait_for(lambda: is_pgsasl(service) == wanted, f"pgsasl to answer: {wanted}")

    site.shell(back)
    assert switched(submission, False) and switched(submissions, False)
    site.shell(beside.replace("submissions/", f"127.0.0.1:{submissions.port}/"))
    assert switched(submission, False) and switched(submissions, True)
    site.shell(there)
    assert switched(submission, True) and switched(submissions, True)
