"""SMTP users of tests, in pgsasl's own table."""

import itertools
from dataclasses import dataclass

from .cluster import literal
from .hashes import PASSWORD, cheap_hash

_numbers = itertools.count(1)


@dataclass
class User:
    """An SMTP user of one test."""

    name: str
    password: str
    user_id: int
    account_id: int

    @property
    def octets(self):
        """Name and password as a client sends them."""
        return self.name.encode(), self.password.encode()


def add_user(
    db,
    password=PASSWORD,
    stored=None,
    enabled=True,
    standing="good",
    networks=None,
    expires_at=None,
    deleted=False,
    name=None,
):
    """Adds an SMTP user, in an account of its own; db is a Session or a Cluster. By default the name is a new one."""
    name = name or f"user-{next(_numbers)}"
    account_id = int(db.sql(f"SELECT pgsasl.add_account('account of {name}', {literal(standing)})"))
    user_id = int(
        db.sql(
            f"""
        INSERT INTO pgsasl.smtp_users (username, password_hash, enabled, account_id, allowed_networks, expires_at)
        VALUES ({literal(name)}, {literal(stored or cheap_hash(password))}, {literal(enabled)}, {account_id},
                {literal(networks)}::cidr[], {literal(expires_at)}) RETURNING user_id"""
        )
    )
    if deleted:
        db.sql(f"DELETE FROM pgsasl.smtp_users WHERE username = {literal(name)}")
    return User(name, password, user_id, account_id)
