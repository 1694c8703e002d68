"""A private certificate authority, by the openssl command."""

from dataclasses import dataclass
from pathlib import Path

from .processes import run

CONFIG = """
[ca]
default_ca = this
[this]
new_certs_dir = {base}
database = {base}/index.txt
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files that only root can read."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, base, name):
        self.base = Path(base)
        self.base.mkdir(mode=0o700)
        self.config = self.base / "openssl.cnf"
        self.config.write_text(CONFIG.format(base=self.base), encoding="ascii")
        (self.base / "index.txt").touch()
        self.certificate, self.key = self.base / "ca.pem", self.base / "ca.key"
        run(
            "openssl",
            "req",
            "-x509",
            *self._new_key(self.key),
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-out",
            self.certificate,
        )
        self._protect(self.certificate, self.key)

    @staticmethod
    def _new_key(path):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)

    @staticmethod
    def _protect(*paths):
        for path in paths:
            path.chmod(0o600)

    def _ca(self, *argv):
        run("openssl", "ca", "-batch", "-config", self.config, "-cert", self.certificate, "-keyfile", self.key, *argv)

    def issue(self, label, common_name, names=None, expired=False):
        """A new identity; names is a subjectAltName."""
        identity = Identity(self.base / f"{label}.pem", self.base / f"{label}.key")
        request = self.base / f"{label}.csr"
        run(
            "openssl",
            "req",
            "-new",
            *self._new_key(identity.key),
            "-subj",
            f"/CN={common_name}",
            *(("-addext", f"subjectAltName={names}") if names else ()),
            "-out",
            request,
        )
        when = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z") if expired else ()
        self._ca("-notext", "-in", request, *when, "-out", identity.certificate)
        self._protect(identity.certificate, identity.key)
        return identity

    def revoke(self, identity):
        """Revokes a certificate."""
        self._ca("-revoke", identity.certificate)

    def revocations(self):
        """Writes the revocation list and returns its file."""
        path = self.base / "crl.pem"
        self._ca("-gencrl", "-out", path)
        self._protect(path)
        return path
