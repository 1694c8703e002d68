"""Dovecot's auth service beside a Postfix, configured as its version wants: 2.4 (Debian 13) has another syntax than 2.3."""

import re
from pathlib import Path

from .processes import run

PROGRAM = Path("/usr/sbin/dovecot")

COMMON = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols =
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
service auth {{
  client_limit = 4096
  unix_listener {socket} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0600
  }}
}}
"""

CONF_2_3 = """
disable_plaintext_auth = no
auth_worker_max_count = {workers}
passdb {{
  driver = sql
  args = {base}/sql.conf
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
"""

SQL_2_3 = """
driver = pgsql
connect = host={host} port={port} dbname={dbname} user={user} password={password}
password_query = {query}
"""

CONF_2_4 = """
auth_allow_cleartext = yes
service auth-worker {{
  process_limit = {workers}
}}
userdb static {{
  fields {{
    uid = 65534
    gid = 65534
    home = /nonexistent
  }}
}}
!include {base}/sql.conf
"""

SQL_2_4 = """
sql_driver = pgsql
pgsql {host} {{
  parameters {{
    port = {port}
    dbname = {dbname}
    user = {user}
    password = {password}
  }}
}}
passdb sql {{
  query = {query}
}}
"""

# What a query may say of the name that the client sent.
VARIABLES_2_3 = {"name": "%u", "local": "%n", "domain": "%d"}
VARIABLES_2_4 = {"name": "%{user}", "local": "%{user | username}", "domain": "%{user | domain}"}


def version():
    """The installed one, as (2, 3)."""
    major, minor = re.match(r"(\d+)\.(\d+)", run(PROGRAM, "--version").stdout).groups()
    return int(major), int(minor)


def configure(base, socket, database, query, workers=30, more=""):
    """Writes dovecot.conf and what it includes to base, and returns its path.

    database has the words of a connection string. In query {name}, {local} and {domain} stand for what the client sent.
    more are settings that both versions know.
    """
    new = version() >= (2, 4)
    query = query.format(**(VARIABLES_2_4 if new else VARIABLES_2_3))
    head = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n" if new else ""
    conf = COMMON + more + (CONF_2_4 if new else CONF_2_3)
    secret = Path(base) / "sql.conf"
    secret.touch(mode=0o600)
    secret.write_text((SQL_2_4 if new else SQL_2_3).format(**database, query=query), encoding="ascii")
    path = Path(base) / "dovecot.conf"
    path.write_text(head + conf.format(base=base, socket=socket, workers=workers), encoding="ascii")
    return path
