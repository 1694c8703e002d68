"""Stored hashes of test users, by libcrypt's crypt(3). Python's own module for it is gone since 3.13."""

import base64
import ctypes
import functools
import hashlib
import hmac

PASSWORD = "right horse battery"


@functools.cache
def _function():
    function = ctypes.CDLL("libcrypt.so.1").crypt
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_char_p
    return function


def crypt(password, setting):
    """The hash of password; setting is a method with its parameters and salt, as crypt(5) describes them."""
    stored = _function()(password.encode(), setting.encode())
    if stored is None or stored.startswith(b"*"):
        raise ValueError(f"crypt(3) refuses the setting {setting!r}")
    return stored.decode("ascii")


def cheap_hash(password=PASSWORD):
    """A stored hash that costs little."""
    return crypt(password, "$5$rounds=1000$saltysalt")


def verifier(password=PASSWORD, iterations=4096, salt=b"salt of 16 bytes"):
    """A SCRAM verifier as PostgreSQL writes it (RFC 5802, RFC 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt, stored, server = (base64.b64encode(value).decode() for value in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt}${stored}:{server}"


@functools.cache
def slow_hash(password=PASSWORD):
    """A stored hash whose verification takes 150 ms or more: it shows in the CPU time of a process."""
    return crypt(password, "$2b$12$saltysaltysaltysaltysa")
