"""TLS to the database from inside smtpd's chroot, with certificates and a key that only root can read."""

import shutil
import socket
import ssl
import struct

import pytest
from harness.answers import ACCEPTED, LATER, REJECTED
from harness.certificates import Authority
from harness.clients import Smtp, plain
from harness.cluster import PLUGIN_LOGIN, Cluster
from harness.hashes import PASSWORD
from harness.postfix import LogMark, sasl_conf
from harness.processes import run, wait_for
from harness.users import add_user

NAME, WRONG_NAME = "IP:127.0.0.1,DNS:localhost", "DNS:elsewhere.test"


class TlsCluster:
    """A cluster that accepts the plugin only over TLS and only with a client certificate."""

    HBA = (
        f"hostssl all {PLUGIN_LOGIN} 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"
        f"host all {PLUGIN_LOGIN} all reject\n"
    )

    def __init__(self, base, authority):
        self.cluster = Cluster.create(base)
        hba = self.cluster.data / "pg_hba.conf"
        hba.write_text(self.HBA + hba.read_text(encoding="ascii"), encoding="ascii")
        shutil.copy(authority.certificate, self.cluster.data / "root.crt")
        shutil.chown(self.cluster.data / "root.crt", "postgres")
        self.cluster.admin("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")

    def served(self):
        """The certificate that the server shows."""
        with socket.create_connection(("127.0.0.1", self.cluster.port), 5) as plain_socket:
            plain_socket.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest
            if plain_socket.recv(1) != b"S":
                return None
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(plain_socket) as tls:
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))

    def present(self, identity):
        """Makes the server show this identity from now on."""
        for source, name in ((identity.certificate, "server.crt"), (identity.key, "server.key")):
            shutil.copy(source, self.cluster.data / name)
            shutil.chown(self.cluster.data / name, "postgres")
        self.cluster.admin("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        wanted = ssl.PEM_cert_to_DER_cert(identity.certificate.read_text(encoding="ascii"))
        wait_for(lambda: (shown := self.served()) and ssl.PEM_cert_to_DER_cert(shown) == wanted, "the new certificate")


@pytest.fixture(scope="module", name="ours")
def fixture_ours(workdir):
    """The authority that everybody trusts."""
    return Authority(workdir / "authority", "ours")


@pytest.fixture(scope="module", name="identities")
def fixture_identities(workdir, ours):
    """What the server may show."""
    return {
        "good": ours.issue("good", "127.0.0.1", NAME),
        "of another host": ours.issue("elsewhere", "elsewhere.test", WRONG_NAME),
        "expired": ours.issue("expired", "127.0.0.1", NAME, expired=True),
        "of another authority": Authority(workdir / "stranger", "stranger").issue("good", "127.0.0.1", NAME),
        "revoked": ours.issue("revoked", "127.0.0.1", NAME),
    }


@pytest.fixture(scope="module", name="client")
def fixture_client(ours):
    """What the plugin shows."""
    return ours.issue("client", PLUGIN_LOGIN)


@pytest.fixture(scope="module", name="server")
def fixture_server(workdir, ours, library):
    """The cluster, with one user in it."""
    del library
    server = TlsCluster(workdir / "tls-postgresql", ours)
    try:
        add_user(server.cluster, name="app")
        yield server
    finally:
        server.cluster.stop()


@pytest.fixture(scope="module", name="add_service")
def fixture_add_service(postfix, server, ours, client):
    """Adds a service whose conninfo has these words beside the usual ones."""

    def add_service(name, **words):
        usual = {
            "sslmode": "verify-full",
            "sslrootcert": ours.certificate,
            "sslcert": client.certificate,
            "sslkey": client.key,
        }
        conninfo = server.cluster.conninfo(**{word: value for word, value in (usual | words).items() if value})
        return postfix.add_service(
            name,
            sasl_conf({"pgsasl_conninfo_file": None, "pgsasl_conninfo": conninfo}),
            processes=1,
            syslog_name=f"postfix/{name}",
        )

    return add_service


RIGHT, WRONG = plain(b"app", PASSWORD.encode()), plain(b"app", b"wrong")


def test_verify_full(server, identities, add_service):
    """Certificates that are unreadable in the chroot work, also when the connection is made again."""
    server.present(identities["good"])
    with Smtp(add_service("tls-full")) as smtp:
        for _ in range(2):
            assert smtp.authenticate("PLAIN", WRONG) == REJECTED
            server.cluster.admin(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{PLUGIN_LOGIN}'"
            )
        assert smtp.authenticate("PLAIN", RIGHT) == ACCEPTED
        assert (
            server.cluster.admin(
                "SELECT ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                f"WHERE usename = '{PLUGIN_LOGIN}'"
            )
            == f"t|/CN={PLUGIN_LOGIN}"
        )


REFUSALS = {
    "of another host": "(IP address|[Hh]ostname) mismatch",
    "expired": "certificate has expired",
    "of another authority": "unable to get local issuer certificate",
    "revoked": "certificate revoked",
}


@pytest.mark.parametrize("shown", REFUSALS)
def test_refused_certificates(postfix, server, ours, identities, add_service, shown):
    """A server that cannot be trusted is an outage, and the log says why; the right certificate ends it."""
    words = {}
    if shown == "revoked":
        ours.revoke(identities[shown])
        words["sslcrl"] = ours.revocations()
    server.present(identities[shown])
    name = "tls-" + shown.replace(" ", "-")
    log = LogMark(postfix)
    with Smtp(add_service(name, **words)) as smtp:
        assert smtp.authenticate("PLAIN", RIGHT) == LATER
        log.wait_for(rf"{name}/smtpd.*reason=backend_unavailable.*server's certificate is refused: {REFUSALS[shown]}")
        server.present(identities["good"])
        assert smtp.authenticate("PLAIN", RIGHT) == ACCEPTED


def test_verify_ca_minds_no_name(server, identities, add_service):
    """verify-ca checks only the authority."""
    server.present(identities["of another host"])
    with Smtp(add_service("tls-ca", sslmode="verify-ca")) as smtp:
        assert smtp.authenticate("PLAIN", RIGHT) == ACCEPTED


def test_no_client_certificate(postfix, server, identities, add_service):
    """The server's own refusal is an outage too."""
    server.present(identities["good"])
    log = LogMark(postfix)
    with Smtp(add_service("tls-nameless", sslcert=None, sslkey=None)) as smtp:
        assert smtp.authenticate("PLAIN", RIGHT) == LATER
    log.wait_for("tls-nameless/smtpd.*reason=backend_unavailable.*valid client certificate")


FAULTS = {
    "no file": (
        lambda base, ours, client: {"sslrootcert": base / "nowhere.pem"},
        r"sslrootcert \S*nowhere.pem cannot be used: No such file",
    ),
    "no certificate in it": (
        lambda base, ours, client: {"sslrootcert": ours.config},
        r"sslrootcert \S*openssl.cnf cannot be used: no certificate or crl found",
    ),
    "another's key": (lambda base, ours, client: {"sslkey": ours.key}, r"sslkey \S*ca.key is not the key of sslcert"),
    "key for all to read": (
        lambda base, ours, client: {"sslkey": open_copy(client.key, base)},
        r"sslkey \S*open.key must be a file of root, or of the user that reads it, that others cannot read",
    ),
    "key of another user": (
        lambda base, ours, client: {"sslkey": foreign_copy(client.key, base)},
        r"sslkey \S*foreign.key must be a file of root",
    ),
    "key with a pass phrase": (
        lambda base, ours, client: {"sslkey": locked_copy(client.key, base)},
        r"sslkey \S*locked.key cannot be used",
    ),
}


def open_copy(key, base):
    """A copy of the key that everybody can read."""
    shutil.copy(key, base / "open.key")
    (base / "open.key").chmod(0o644)
    return base / "open.key"


def foreign_copy(key, base):
    """A copy of the key that belongs to another user."""
    shutil.copy(key, base / "foreign.key")
    (base / "foreign.key").chmod(0o600)
    shutil.chown(base / "foreign.key", "nobody")
    return base / "foreign.key"


def locked_copy(key, base):
    """A copy of the key with a pass phrase."""
    run("openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:unknown", "-out", base / "locked.key")
    (base / "locked.key").chmod(0o600)
    return base / "locked.key"


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_files(postfix, workdir, ours, client, add_service, fault):
    """An unusable file is logged in one line, and clients get a temporary failure."""
    words, line = FAULTS[fault]
    name = "tls-fault-" + fault.replace(" ", "-").replace("'", "")
    log = LogMark(postfix)
    with Smtp(add_service(name, **words(workdir, ours, client))) as smtp:
        assert smtp.authenticate("PLAIN", RIGHT) == LATER
    assert len(log.wait_for(rf"{name}/smtpd.*pgsasl_conninfo .*{line}")) == 1


def test_pass_phrase(server, identities, workdir, client, add_service):
    """sslpassword opens a key."""
    server.present(identities["good"])
    with Smtp(add_service("tls-phrase", sslkey=locked_copy(client.key, workdir), sslpassword="unknown")) as smtp:
        assert smtp.authenticate("PLAIN", RIGHT) == ACCEPTED
