"""What the time of an answer tells: nothing about who exists, who may log in, or whether the password was right.

The CPU time of the smtpd process is compared, not the clock's: it is what a client would measure on an idle machine, and
other programs add little to it. Attempts of all groups are interleaved, and each group is compared with one of the same run.
"""

import statistics

import pytest
from harness.answers import POSTFIX
from harness.clients import Smtp
from harness.hashes import crypt
from harness.postfix import CpuMeter, sasl_conf

ROUNDS = 9
RIGHT, OLD, WRONG = "right horse battery", "old horse battery", "wrong horse battery"
REFUSED = dict(enabled=False, standing="suspended", expires_at="2001-01-01")


def bcrypt(password, cost):
    """A stored hash of some 3 ms at cost 6, of some 13 ms at cost 8."""
    return crypt(password, f"$2b${cost:02}$saltysaltysaltysaltysa")


@pytest.fixture(scope="module", name="timed")
def fixture_timed(postfix):
    """A service of one process, so that all its CPU time is in one place."""
    options = {"pgsasl_conninfo_file": postfix.config / "sasl/pgsasl.conninfo"}
    return postfix.add_service("timed", sasl_conf(options), processes=1)


@pytest.fixture(name="costs")
def fixture_costs(timed, db):
    """Runs groups of rejected attempts, interleaved. The median CPU time of each in ms, by its name."""

    def costs(groups):
        seen = {name: [] for name in groups}
        for _ in range(ROUNDS + 1):
            db.sql("DELETE FROM pgsasl.recent_guesses")
            for name, (username, password) in groups.items():
                with Smtp(timed) as smtp:
                    meter = CpuMeter(timed)
                    reply = smtp.log_in("PLAIN", username, password)
                    seen[name] += [sum(meter.used().values()) * 1000]
                assert reply in (POSTFIX.rejected, POSTFIX.not_authorized), name
        medians = {name: statistics.median(times[1:]) for name, times in seen.items()}  # the first connects
        print("".join(f"\n{name:40} {medians[name]:6.1f} ms" for name in groups), end="")
        return medians

    return costs


def assert_alike(costs, reference):
    """Each within a sixth: one hash more or less among three would be a third."""
    assert {name: ms for name, ms in costs.items() if not 5 / 6 < ms / costs[reference] < 7 / 6} == {}


def rotate(db, user, cost):
    """The user's password was OLD, by a hash of its own cost, and is now RIGHT at another."""
    db.sql(f"UPDATE pgsasl.smtp_users SET password_hash = '{bcrypt(OLD, cost)}' WHERE user_id = {user.user_id}")
    db.sql(f"UPDATE pgsasl.smtp_users SET password_hash = '{bcrypt(RIGHT, 8)}' WHERE user_id = {user.user_id}")


def test_state_and_password(db, make_user, costs):
    """A user who may not log in, and one who may with a wrong password: no attempt is told from another."""
    groups, stored = {}, bcrypt(RIGHT, 8)
    users = {"in order": {}, "elsewhere": {"networks": ["192.0.2.0/24"]}}
    users |= {name: {name: value} for name, value in REFUSED.items()}
    for name, options in users.items():
        user = make_user(stored=stored, **options)
        rotate(db, user, 8)
        db.sql(
            f"DELETE FROM pgsasl.retired_passwords r WHERE user_id = {user.user_id} AND retired_id < (SELECT"
            f" max(retired_id) FROM pgsasl.retired_passwords m WHERE m.user_id = r.user_id)"
        )
        for password in (WRONG, OLD) if name == "in order" else (WRONG, OLD, RIGHT):
            groups[f"{name}, {password}"] = (user.name, password)
    assert_alike(costs(groups), f"in order, {WRONG}")


def unknown_like(db, decoy, retired):
    """An unknown name whose decoys are like these, and how many of a thousand names are."""
    names = db.rows(
        f"""
        SELECT n.name FROM (SELECT 'ghost' || i FROM generate_series(1, 1000) AS i) AS n (name),
            pgsasl.find_user(n.name, NULL) AS f
        WHERE f.decoy_hash LIKE '{decoy}%' AND (f.retired_hashes)[1] IS {"NOT " if retired else ""}NULL
            AND coalesce((f.retired_hashes)[1] LIKE '{retired}%', true)"""
    )
    return names[0]["name"], len(names)


def test_unknown_names(db, make_user, costs):
    """Costs are mixed: unknown names are of each of them, as users are, and none is told from its user."""
    db.sql("DELETE FROM pgsasl.smtp_users")
    cheap, dear, mixed = ([make_user(stored=bcrypt(RIGHT, cost)) for _ in range(20)] for cost in (6, 8, 8))
    for user in mixed:
        db.sql(f"UPDATE pgsasl.smtp_users SET password_hash = '{bcrypt(OLD, 9)}' WHERE user_id = {user.user_id}")
        db.sql("DELETE FROM pgsasl.retired_passwords WHERE password_hash LIKE '$2b$08%'")
        db.sql(f"UPDATE pgsasl.smtp_users SET password_hash = '{bcrypt(RIGHT, 8)}' WHERE user_id = {user.user_id}")
    groups = {}
    for name, user, decoy, retired in (
        ("cheap", cheap[0], "$2b$06$", ""),
        ("dear", dear[-1], "$2b$08$", ""),
        ("mixed", mixed[-1], "$2b$08$", "$2b$09$"),
    ):
        unknown, count = unknown_like(db, decoy, retired)
        assert 100 < count < 640, "about a third of the names"
        groups |= {f"user, {name}": (user.name, WRONG), f"unknown, {name}": (unknown, WRONG)}
    seen = costs(groups)
    for name in ("cheap", "dear", "mixed"):
        assert_alike({kind: seen[kind] for kind in (f"user, {name}", f"unknown, {name}")}, f"user, {name}")
    assert seen["user, mixed"] > 1.2 * seen["user, dear"] > 2 * seen["user, cheap"], "the costs do differ"


def test_a_hash_above_the_ceiling(db, desk, make_user, timed):
    """A hash of 1 GiB that somebody forced into the table is not computed."""
    stored = "$argon2id$v=19$m=1048576,t=3,p=4$c2FsdHNhbHRzYWx0$" + "A" * 43
    db.sql("UPDATE pgsasl.settings SET hash_max_memory_kb = 1048576, hash_max_ms = 20000")
    user = make_user(stored=stored)
    db.sql("UPDATE pgsasl.settings SET hash_max_memory_kb = 262144, hash_max_ms = 2000")
    meter = CpuMeter(timed)
    with Smtp(timed) as smtp:
        assert smtp.log_in("PLAIN", user.name, RIGHT) == POSTFIX.later
    (row,) = desk.audit.of(user.name)
    assert (row.reason, row.detail) == (
        "unusable_hash",
        "the stored hash takes more memory than pgsasl_hash_max_memory_kb",
    )
    assert sum(meter.used().values()) < 1.5
