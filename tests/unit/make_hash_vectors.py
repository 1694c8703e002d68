#!/usr/bin/python3
"""Writes hash_vectors.h: stored hashes that other programs made, for test_hash.c and tests/sql/hashes.sql.

Run by hand when a scheme is added, never by the build:  ./make_hash_vectors.py > hash_vectors.h

Debian 12 packages: whois (mkpasswd), apache2-utils (htpasswd), openssl, argon2, python3-passlib, python3-bcrypt,
python3-nacl, postgresql-15 with postgresql-contrib. doveadm comes from dovecot-core, which is downloaded and unpacked
into a temporary directory, not installed. PostgreSQL is run in single-user mode in a cluster that is thrown away, so
no server is started. Needs root for it (PostgreSQL itself runs as the user postgres).

Salts are random, so each run writes another file. Costs are the lowest that each program accepts.
"""
import base64
import hashlib
import hmac
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import bcrypt
import nacl.pwhash
import passlib.hash

ASCII = "correct horse"
COMPOSED = "p\u00e4ssw\u00f6rd"
DECOMPOSED = "pa\u0308sswo\u0308rd"
CRYPT64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def run(*argv, text=None, **options):
    done = subprocess.run(argv, input=text, capture_output=True, encoding="utf-8", check=True, **options)
    return done.stdout.strip()


# crypt(3)


def crypt64(data):
    """The base64 of crypt(3)'s scrypt: groups of three bytes, the lowest bits first."""
    text = ""
    for at in range(0, len(data), 3):
        group = data[at : at + 3]
        value = int.from_bytes(group, "little")
        text += "".join(CRYPT64[value >> shift & 63] for shift in range(0, 8 * len(group), 6))
    return text


def scrypt_7(password):
    n_log2, r, p, salt = 6, 8, 1, "RGnjWGGeQjT1"
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=1 << n_log2, r=r, p=p, dklen=32)
    fixed = lambda value: "".join(CRYPT64[value >> shift & 63] for shift in range(0, 30, 6))
    return f"$7${CRYPT64[n_log2]}{fixed(r)}{fixed(p)}{salt}${crypt64(digest)}"


def python_bcrypt(password, prefix):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, prefix)).decode()


MKPASSWD_ACCEPTED = {
    "yescrypt": "1",
    "scrypt": "6",
    "bcrypt": "4",
    "bcrypt-a": "4",
    "sha512crypt": "1000",
    "sha256crypt": "1000",
}


def mkpasswd(method, rounds=None):
    return run("mkpasswd", "-s", "-m", method, *(["-R", rounds] if rounds else []), text=ASCII)


def crypt_vectors():
    # mkpasswd is libcrypt itself; nothing else in Debian makes yescrypt.
    for method, rounds in MKPASSWD_ACCEPTED.items():
        yield f"mkpasswd -m {method} (libcrypt)", ASCII, mkpasswd(method, rounds)
    yield "Python hashlib.scrypt, encoded here", ASCII, scrypt_7(ASCII)
    yield "Python hashlib.scrypt, encoded here", "", scrypt_7("")
    yield "python3-bcrypt", ASCII, python_bcrypt(ASCII, b"2a")
    for password in ASCII, "", "x", COMPOSED, "72 octets " * 7 + "ab":
        yield "python3-bcrypt", password, python_bcrypt(password, b"2b")
    yield "htpasswd -B", ASCII, htpasswd("-B", "-C", "4")
    passlib.hash.sha256_crypt.set_backend("builtin")
    passlib.hash.sha512_crypt.set_backend("builtin")
    for option, scheme in ("-5", passlib.hash.sha256_crypt), ("-6", passlib.hash.sha512_crypt):
        yield f"openssl passwd {option}", ASCII, run("openssl", "passwd", option, "-stdin", text=ASCII)
        for password in ASCII, "", COMPOSED:
            yield f"passlib {scheme.name}, in Python", password, scheme.using(rounds=1000).hash(password)


def htpasswd(*options):
    return run("htpasswd", "-ni", *options, "", text=ASCII).lstrip(":")


# Argon2


def argon2(password, *options):
    return run("argon2", "salt of 16 octs!", *options, "-e", text=password)


def argon2_vectors():
    sodium = {"i": (nacl.pwhash.argon2i, 3), "id": (nacl.pwhash.argon2id, 1)}
    for name, (module, passes) in sodium.items():
        for password in ASCII, "", COMPOSED:
            made = module.str(password.encode(), opslimit=passes, memlimit=8192)
            yield f"python3-nacl (libsodium) argon2{name}", password, made.decode().rstrip("\0")
    for kind in "-i", "-d", "-id":
        yield f"argon2 {kind}, 1 lane", ASCII, argon2(ASCII, kind, "-k", "64", "-t", "1", "-p", "1")
        yield f"argon2 {kind}, 4 lanes in 4 threads", ASCII, argon2(ASCII, kind, "-k", "64", "-t", "2", "-p", "4")
    yield "argon2 -i -v 10", ASCII, argon2(ASCII, "-i", "-v", "10", "-k", "64", "-t", "1", "-p", "1")
    yield "argon2 -id -l 64", ASCII, argon2(ASCII, "-id", "-l", "64", "-k", "64", "-t", "1", "-p", "1")


# PostgreSQL


def scram(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    b64 = lambda data: base64.b64encode(data).decode()
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{b64(salt)}${b64(stored)}:{b64(server)}"


def postgres_answers(statements):
    """What PostgreSQL's single-user mode answers to statements that return one text each."""
    programs = run("pg_config", "--bindir")
    directory = tempfile.mkdtemp()
    try:
        shutil.chown(directory, "postgres")
        data = f"{directory}/data"
        as_postgres = ["runuser", "-u", "postgres", "--"]
        run(*as_postgres, f"{programs}/initdb", "-N", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", data, cwd="/")
        script = "".join(statement + "\n" for statement in statements)
        output = run(*as_postgres, f"{programs}/postgres", "--single", "-D", data, "postgres", text=script, cwd="/")
    finally:
        shutil.rmtree(directory)
    return re.findall(r'\d: hash = "(.*?)"\t', output)


def postgres_vectors():
    rfc = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    yield "RFC 7677, section 3, by Python hashlib", "pencil", scram("pencil", rfc, 4096)
    yield "Python hashlib", "", scram("", rfc, 1)

    bcrypt_2a = "PostgreSQL pgcrypto gen_salt('bf', 4)"
    bare, normalised = "PostgreSQL", "PostgreSQL, given the decomposed form"
    made = [(bare, ASCII, ASCII), (bare, COMPOSED, COMPOSED), (normalised, COMPOSED, DECOMPOSED)]
    statements = ["CREATE EXTENSION pgcrypto;", f"SELECT crypt('{ASCII}', gen_salt('bf', 4)) AS hash;"]
    for number, (_, _, given) in enumerate(made):
        statements += [
            f"CREATE ROLE r{number} PASSWORD '{given}';",
            f"SELECT rolpassword AS hash FROM pg_authid WHERE rolname = 'r{number}';",
        ]
    answers = postgres_answers(statements)
    yield bcrypt_2a, ASCII, answers[0]
    for (producer, password, _), answer in zip(made, answers[1:], strict=True):
        yield producer, password, answer


# passlib


def ab64(data):
    """passlib's base64: a dot for the plus, and no padding."""
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def hashlib_vectors():
    salt, password = bytes(range(240, 256)), COMPOSED.encode()
    for digest in "sha256", "sha512":
        made = hashlib.pbkdf2_hmac(digest, password, salt, 3)
        yield "Python hashlib.pbkdf2_hmac, in passlib's form", COMPOSED, f"$pbkdf2-{digest}$3${ab64(salt)}${ab64(made)}"
    made = hashlib.scrypt(password, salt=salt, n=32, r=2, p=3, dklen=32)
    b64 = lambda data: base64.b64encode(data).decode().rstrip("=")
    yield "Python hashlib.scrypt, in passlib's form", COMPOSED, f"$scrypt$ln=5,r=2,p=3${b64(salt)}${b64(made)}"


def passlib_vectors():
    costs = {"pbkdf2_sha256": 2, "pbkdf2_sha512": 2, "scrypt": 4}
    for name, rounds in costs.items():
        for password in ASCII, "", COMPOSED:
            yield f"passlib {name}", password, getattr(passlib.hash, name).using(rounds=rounds).hash(password)
    for name in "ldap_salted_sha256", "ldap_salted_sha512":
        yield f"passlib {name}", ASCII, getattr(passlib.hash, name).hash(ASCII)


# Dovecot


class Doveadm:
    """`doveadm pw` of a package that is unpacked and not installed."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp()
        run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "dovecot-core", cwd=self.directory)
        (package,) = pathlib.Path(self.directory).glob("*.deb")
        run("dpkg", "-x", str(package), self.directory)
        libraries = f"{self.directory}/usr/lib/dovecot"
        self.environment = dict(os.environ, LD_LIBRARY_PATH=f"{libraries}:{libraries}/modules")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def schemes(self):
        return self.pw("-l").split()

    def hash(self, scheme, password, *options):
        return self.pw("-s", scheme, "-p", password, *options)

    def pw(self, *options):
        return run(f"{self.directory}/usr/bin/doveadm", "-O", "pw", *options, env=self.environment)


# doveadm's options for each scheme that is accepted; a suffix is an encoding.
DOVECOT_ACCEPTED = {
    "CRYPT": ["-r", "4"],
    "CRYPT.B64": ["-r", "4"],
    "BLF-CRYPT": ["-r", "4"],
    "BLF-CRYPT.B64": ["-r", "4"],
    "BLF-CRYPT.HEX": ["-r", "4"],
    "SHA256-CRYPT": ["-r", "1000"],
    "SHA256-CRYPT.hex": ["-r", "1000"],
    "SHA512-CRYPT": ["-r", "1000"],
    "SHA512-CRYPT.b64": ["-r", "1000"],
    "PBKDF2": ["-r", "2"],
    "PBKDF2.b64": ["-r", "2"],
    "PBKDF2.hex": ["-r", "2"],
    "SCRAM-SHA-256": [],
    "SCRAM-SHA-256.b64": [],
    "SCRAM-SHA-256.HEX": [],
    "SSHA256": [],
    "SSHA256.HEX": [],
    "SSHA256.b64": [],
    "SSHA512": [],
    "SSHA512.hex": [],
    "SSHA512.base64": [],
    "ARGON2I": ["-r", "3"],
    "ARGON2I.HEX": ["-r", "3"],
    "ARGON2ID": ["-r", "1"],
}


def dovecot_vectors():
    with Doveadm() as doveadm:
        for scheme, options in DOVECOT_ACCEPTED.items():
            yield f"doveadm pw -s {scheme}", ASCII, doveadm.hash(scheme, ASCII, *options)
        for scheme in "SSHA256", "SCRAM-SHA-256":
            yield f"doveadm pw -s {scheme}", COMPOSED, doveadm.hash(scheme, COMPOSED)
    # doveadm's Argon2id is 64 MiB at the least: one of it is enough.
    made = nacl.pwhash.argon2id.str(ASCII.encode(), opslimit=1, memlimit=8192).rstrip(b"\0")
    yield "python3-nacl (libsodium), encoded here", ASCII, "{ARGON2ID.B64}" + base64.b64encode(made).decode()


# Refused


def refused_hashes():
    """All else that these programs can make of a password: producer and hash."""
    for method in "gost-yescrypt", "sunmd5", "md5crypt", "bsdicrypt", "descrypt", "nt":
        yield f"mkpasswd -m {method}", mkpasswd(method)
    for option in "-m", "-s", "-d", "-p":
        yield f"htpasswd {option}", htpasswd(option)
    for option in "-1", "-apr1", "-aixmd5":
        yield f"openssl passwd {option}", run("openssl", "passwd", option, "-stdin", text=ASCII)
    kinds = "md5", "xdes", "des"
    salts = [f"SELECT crypt('{ASCII}', gen_salt('{kind}')) AS hash;" for kind in kinds]
    md5 = [
        "SET password_encryption = md5;",
        f"CREATE ROLE old PASSWORD '{ASCII}';",
        "SELECT rolpassword AS hash FROM pg_authid WHERE rolname = 'old';",
    ]
    *crypts, authid = postgres_answers(["CREATE EXTENSION pgcrypto;", *salts, *md5])
    for kind, made in zip(kinds, crypts, strict=True):
        yield f"PostgreSQL pgcrypto gen_salt('{kind}')", made
    yield "PostgreSQL, password_encryption = md5", authid
    for name in "pbkdf2_sha1", "sha1_crypt", "phpass", "bcrypt_sha256", "ldap_salted_sha1", "hex_sha256", "mssql2005":
        yield f"passlib {name}", getattr(passlib.hash, name).hash(ASCII)
    with Doveadm() as doveadm:
        accepted = {scheme.partition(".")[0] for scheme in DOVECOT_ACCEPTED}
        for scheme in sorted(set(doveadm.schemes()) - accepted):
            yield f"doveadm pw -s {scheme}", doveadm.hash(scheme, ASCII, "-u", "user@example.com")
        for scheme in "PLAIN.b64", "SSHA.hex", "MD5-CRYPT.B64", "DES-CRYPT.HEX":
            yield f"doveadm pw -s {scheme}", doveadm.hash(scheme, ASCII)


def literal(text):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in text.encode()) + '"'


HEAD = """/*
 * hash_vectors.h: stored hashes that other programs made, for test_hash.c.
 *
 * Written by make_hash_vectors.py, which says how each is made; not edited by hand.
 */
#ifndef PGSASL_HASH_VECTORS_H
#define PGSASL_HASH_VECTORS_H

struct hash_vector {
    const char *producer;
    const char *password; /* UTF-8, without NUL */
    const char *stored;
};

/* clang-format off */
static const struct hash_vector hash_vectors[] = {"""

MIDDLE = """};

/* What else the same programs make of "correct horse": nobody's. */
struct refused_hash {
    const char *producer, *stored;
};

static const struct refused_hash refused_hashes[] = {"""

TAIL = """};
/* clang-format on */

#endif"""


def main():
    print(HEAD)
    for vectors in crypt_vectors, argon2_vectors, postgres_vectors, hashlib_vectors, passlib_vectors, dovecot_vectors:
        for producer, password, stored in vectors():
            print(f"    {{{literal(producer)}, {literal(password)},\n     {literal(stored)}}},")
    print(MIDDLE)
    for producer, stored in refused_hashes():
        print(f"    {{{literal(producer)}, {literal(stored)}}},")
    print(TAIL)


if __name__ == "__main__":
    sys.exit(main())
