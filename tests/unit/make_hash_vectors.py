#!/usr/bin/python3
"""Writes hash_vectors.h: stored hashes that other programs made, for test_hash.c.

Run by hand when a scheme is added, never by the build:  ./make_hash_vectors.py > hash_vectors.h

Debian 12 packages: whois (mkpasswd), apache2-utils (htpasswd), openssl, argon2, python3-passlib, python3-bcrypt,
python3-nacl, postgresql-15 with postgresql-contrib. doveadm comes from dovecot-core, which is downloaded and unpacked
into a temporary directory, not installed. PostgreSQL is run in single-user mode in a cluster that is thrown away, so
no server is started. Needs root for it (PostgreSQL itself runs as the user postgres).

Salts are drawn anew, so each run writes another file. Costs are the lowest that each program takes.
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
    """The base64 of crypt(3)'s scrypt: groups of three octets, the lowest bits first."""
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


def crypt_vectors():
    mkpasswd = lambda method, rounds: run("mkpasswd", "-s", "-m", method, "-R", rounds, text=ASCII)
    # Nothing else in Debian makes yescrypt: this one vector comes from libcrypt itself, by way of mkpasswd.
    yield "mkpasswd (libcrypt)", ASCII, mkpasswd("yescrypt", "1")
    yield "Python hashlib.scrypt, encoded here", ASCII, scrypt_7(ASCII)
    yield "Python hashlib.scrypt, encoded here", "", scrypt_7("")
    yield "python3-bcrypt", ASCII, python_bcrypt(ASCII, b"2a")
    for password in ASCII, "", "x", COMPOSED, "72 octets " * 7 + "ab":
        yield "python3-bcrypt", password, python_bcrypt(password, b"2b")
    yield "htpasswd -B", ASCII, run("htpasswd", "-niB", "-C", "4", "", text=ASCII).lstrip(":")
    passlib.hash.sha256_crypt.set_backend("builtin")
    passlib.hash.sha512_crypt.set_backend("builtin")
    for option, scheme in ("-5", passlib.hash.sha256_crypt), ("-6", passlib.hash.sha512_crypt):
        yield f"openssl passwd {option}", ASCII, run("openssl", "passwd", option, "-stdin", text=ASCII)
        for password in ASCII, "", COMPOSED:
            yield f"passlib {scheme.name}, in Python", password, scheme.using(rounds=1000).hash(password)


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

    def pw(self, scheme, password, *options):
        doveadm = f"{self.directory}/usr/bin/doveadm"
        return run(doveadm, "-O", "pw", "-s", scheme, "-p", password, *options, env=self.environment)


def dovecot_vectors():
    schemes = {
        "CRYPT": ["-r", "4"],
        "BLF-CRYPT": ["-r", "4"],
        "BLF-CRYPT.B64": ["-r", "4"],
        "BLF-CRYPT.HEX": ["-r", "4"],
        "SHA256-CRYPT": ["-r", "1000"],
        "SHA512-CRYPT": ["-r", "1000"],
        "SHA512-CRYPT.b64": ["-r", "1000"],
        "PBKDF2": ["-r", "2"],
        "PBKDF2.hex": ["-r", "2"],
        "SCRAM-SHA-256": [],
        "SCRAM-SHA-256.b64": [],
        "SSHA256": [],
        "SSHA256.HEX": [],
        "SSHA256.b64": [],
        "SSHA512": [],
        "SSHA512.hex": [],
        "SSHA512.base64": [],
        "ARGON2I": ["-r", "3"],
    }
    with Doveadm() as doveadm:
        for scheme, options in schemes.items():
            yield f"doveadm pw -s {scheme}", ASCII, doveadm.pw(scheme, ASCII, *options)
        for scheme in "SSHA256", "SCRAM-SHA-256":
            yield f"doveadm pw -s {scheme}", COMPOSED, doveadm.pw(scheme, COMPOSED)
    # doveadm's own Argon2id takes 1 GiB: the prefix as Dovecot reads it, with less behind it.
    made = nacl.pwhash.argon2id.str(ASCII.encode(), opslimit=1, memlimit=8192).decode().rstrip("\0")
    yield "python3-nacl (libsodium), Dovecot's prefix before it", ASCII, "{ARGON2ID}" + made


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

TAIL = """};
/* clang-format on */

#endif"""


def main():
    print(HEAD)
    for vectors in crypt_vectors, argon2_vectors, postgres_vectors, passlib_vectors, dovecot_vectors:
        for producer, password, stored in vectors():
            print(f"    {{{literal(producer)}, {literal(password)},\n     {literal(stored)}}},")
    print(TAIL)


if __name__ == "__main__":
    sys.exit(main())
