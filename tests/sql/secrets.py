#!/usr/bin/env python3
"""No password and no stored hash gets into the server's log, whatever is logged. usage: secrets.py SERVER_LOG

Runs each function and trigger that handles a password or a hash in a database that logs all statements, all plans, also of
nested statements, with their parameters, and makes a plan for each call. Then it looks for each secret in the log: as text,
and as the bytes of a constant in a plan. The secrets come from a table, so no statement contains one. PGHOST and PGDATABASE
name a database with the schema, a copy for this test alone.
"""

import re
import subprocess
import sys

LOGGED = """
    session_preload_libraries = auto_explain; auto_explain.log_min_duration = 0; auto_explain.log_nested_statements = on;
    auto_explain.log_verbose = on; auto_explain.log_analyze = on; auto_explain.log_triggers = on;
    log_statement = all; log_min_duration_statement = 0; log_parameter_max_length = -1;
    log_parameter_max_length_on_error = -1; log_error_verbosity = verbose;
    debug_print_parse = on; debug_print_rewritten = on; debug_print_plan = on; debug_pretty_print = off;
    plan_cache_mode = force_custom_plan
"""

# Roles: an operator, the schema's owner, the plugin. Each line is one session.
STEPS = [
    ("secrets_operator", "SELECT pgsasl.add_user(name, password) FROM public.secrets WHERE name LIKE 'app%'"),
    (
        "secrets_operator",
        "SELECT pgsasl.set_password(name, password || 'x') FROM public.secrets WHERE name LIKE 'app%'",
    ),
    (
        "secrets_operator",
        "SELECT pgsasl.set_password(name, password || 'y', '1 day') FROM public.secrets WHERE name = 'app1'",
    ),
    ("secrets_operator", "SELECT pgsasl.rotate_password('app1', '1 day'), pgsasl.rotate_password('app2')"),
    ("secrets_operator", "SELECT * FROM pgsasl.rotate_passwords('{app1,app2}', '1 day')"),
    (
        "secrets_operator",
        "SELECT pgsasl.store_hashes(ARRAY[name], ARRAY[hash], '1 day') FROM public.secrets WHERE name = 'app2'",
    ),
    ("secrets_operator", "SELECT pgsasl.random_password(), length(pgsasl.hash_password(password)) FROM public.secrets"),
    (
        "secrets_operator",
        "INSERT INTO pgsasl.smtp_users (username, password_hash) SELECT name, hash FROM public.secrets WHERE name"
        " LIKE 'raw%'",
    ),
    (
        "secrets_operator",
        "UPDATE pgsasl.smtp_users u SET password_hash = s.hash FROM public.secrets s WHERE u.username =" " s.name",
    ),
    ("secrets_operator", "BEGIN; UPDATE pgsasl.smtp_users SET password_hash = '$2a$10$' || repeat('b', 53); ROLLBACK"),
    (
        "secrets_operator",
        "UPDATE pgsasl.smtp_users u SET password_hash = s.hash, rotation_grace = '1 day' FROM public.secrets s"
        " WHERE s.name = 'raw1'",
    ),
    ("secrets_operator", "SELECT pgsasl.hash_fault(hash), (pgsasl.parse_hash(hash)).fault FROM public.secrets"),
    ("secrets_operator", "UPDATE pgsasl.smtp_users SET username = 'renamed' WHERE username = 'raw2'"),
    ("secrets_operator", "DELETE FROM pgsasl.smtp_users WHERE username = 'renamed'"),
    ("secrets_operator", "SELECT pgsasl.end_rotation('app1')"),
    ("mail_owner", "SELECT pgsasl.bcrypt(password, 4) IS NULL, pgsasl.decoy_of(hash) IS NULL FROM public.secrets"),
    ("mail_owner", "SELECT * FROM pgsasl.user_status('app1')"),
    (
        "mail_owner",
        "SELECT pgsasl.note_login(jsonb_build_object('user_id', r.user_id::text, 'retired_id',"
        " r.retired_id::text)), pgsasl.is_guess(f) FROM pgsasl.retired_passwords r, pgsasl.auth_failures f",
    ),
    ("pgsasl_plugin", "SELECT count(*) FROM pgsasl.find_user('app1', NULL)"),
    ("pgsasl_plugin", "SELECT count(*) FROM pgsasl.find_user('nobody@x', NULL)"),
]

# What the tables refuse.
REFUSED = [
    (
        "secrets_operator",
        "INSERT INTO pgsasl.smtp_users (username, password_hash) SELECT 'clear', password FROM public.secrets",
    ),
    ("secrets_operator", "UPDATE pgsasl.smtp_users SET password_hash = s.password FROM public.secrets s"),
    ("secrets_operator", "SELECT pgsasl.set_password(name, password, '-1 s') FROM public.secrets WHERE name = 'app1'"),
    ("secrets_operator", "SELECT pgsasl.set_password('nobody', password) FROM public.secrets"),
    ("secrets_operator", "SELECT pgsasl.add_user(name, password) FROM public.secrets WHERE name = 'app1'"),
    ("secrets_operator", "SELECT pgsasl.add_user('a@b', password) FROM public.secrets WHERE name = 'app1'"),
    ("secrets_operator", "SELECT pgsasl.hash_password(repeat(password, 9)) FROM public.secrets"),
    ("mail_owner", "UPDATE pgsasl.smtp_users SET username = 'a@b'"),
    ("mail_owner", "UPDATE pgsasl.retired_passwords SET accepted_until = NULL"),
]

# A function of PL/pgSQL that does not choose its plans: its secret is found, or this test sees nothing.
CONTROL = """DO $$ DECLARE secret text := (SELECT s.password FROM public.secrets s WHERE s.name = 'control');
BEGIN PERFORM count(*) FROM public.secrets s WHERE s.hash = secret; END $$"""


def psql(user, *statements, stdin=None):
    """Runs statements; returns rows, and whether they succeeded."""
    command = ["psql", "-X", "-q", "-A", "-t", "-U", user]
    done = subprocess.run(
        command + [x for s in statements for x in ("-c", s)],
        input=stdin,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    return done.stdout.split(), done.stderr


def set_up():
    """The secrets, then everything that can be logged."""
    names = ["app1", "app2", "raw1", "raw2", "control"]
    psql(
        "postgres",
        "CREATE TABLE public.secrets (name text, password text, hash text)",
        "CREATE ROLE secrets_operator LOGIN IN ROLE pgsasl_operator",
        "GRANT SELECT ON public.secrets TO PUBLIC",
    )
    lines = [f"{name}\tclear text of {name}\t$2b$10${name.ljust(22, 's')}{name.ljust(31, 'd')}\n" for name in names]
    psql("postgres", "COPY public.secrets FROM STDIN", stdin="".join(lines))
    database = psql("postgres", "SELECT current_database()")[0][0]
    known = psql("postgres", "SELECT name FROM pg_settings")[0]
    for setting in LOGGED.split(";"):
        if setting.split()[0] in known or "auto_explain" in setting:
            psql("postgres", f"ALTER DATABASE {database} SET {setting}")


def secrets():
    """What must not be in the log: the ends of hashes, and passwords."""
    rows = psql(
        "postgres",
        "SELECT right(password_hash, 31) FROM pgsasl.smtp_users UNION"
        " SELECT right(password_hash, 31) FROM pgsasl.retired_passwords",
    )[0]
    given = psql("postgres", "SELECT right(hash, 31) FROM public.secrets WHERE name <> 'control'")[0]
    return set(rows) | set(given) | {"clear text of " + name for name in ("app", "raw")}


def read_log(path, start):
    """The log as text, and the bytes of the constants in it."""
    with open(path, "rb") as log:
        log.seek(start)
        text = log.read().decode(errors="replace")
    constants = []
    for numbers in re.findall(r":constvalue \d+ \[ ([-0-9 ]+) \]", text):
        constants.append(bytes(int(n) % 256 for n in numbers.split()).decode("latin-1"))
    return text + "\n".join(constants)


def fail(message):
    """Ends the test."""
    sys.exit("not ok: " + message)


def check_coverage():
    """Each function that mentions a password or a hash is called above, or is a trigger's."""
    handled = psql(
        "postgres",
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pgsasl'::regnamespace AND"
        r" prorettype <> 'trigger'::regtype AND pg_get_functiondef(oid) ~ '\mpasswords?\M|\m\w*hash(es)?\M'"
        " AND proname <> 'schema_faults'",
    )[0]
    called = " ".join(statement for _, statement in STEPS)
    missing = [name for name in handled if f"pgsasl.{name}(" not in called]
    if missing:
        fail(f"no step calls {', '.join(missing)}")


def main():
    """Runs the steps and reads the log after each."""
    path = sys.argv[1]
    check_coverage()
    set_up()
    with open(path, "rb") as log:
        start = log.seek(0, 2)
    psql("postgres", CONTROL)
    if "clear text of control" not in read_log(path, start):
        fail("this test does not find a secret that is in a plan")
    leaks = []
    for user, statement in STEPS + REFUSED:
        known = secrets()
        with open(path, "rb") as log:
            start = log.seek(0, 2)
        rows, error = psql(user, statement)
        if bool(error) == ((user, statement) in STEPS):
            fail(f"{statement}: {error}")
        made = {word for row in rows for word in row.split("|") if re.fullmatch("[a-z2-9]{32}", word)}
        logged = read_log(path, start)
        if any(secret in logged or secret in error for secret in known | secrets() | made):
            leaks.append(f"{user}: {statement}")
    if leaks:
        fail("these put a password or a hash into the log:\n    " + "\n    ".join(leaks))
    print(f"ok: {len(STEPS) + len(REFUSED)} statements put no password and no hash into the log")


main()
