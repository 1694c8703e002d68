"""The same servers for contrib/demo.sh: python3 -m harness ACTION DIRECTORY.

up starts a cluster and a Postfix in DIRECTORY and writes DIRECTORY/settings for the caller's shell.
"""

import argparse
import shlex
from pathlib import Path

from .cluster import DATABASE, OWNER, PLUGIN_LOGIN, Cluster
from .postfix import STOCK_PLUGINS, Postfix, built_library, plugin_dir, sanitizer_of, sasl_conf

OWN_QUERY = "SELECT password_hash, enabled, account_standing FROM mail_users WHERE username = $1"


def up(base):
    """Starts both servers, with two services more than the samples have, for the rarer failures."""
    base.chmod(0o755)
    library = built_library()
    cluster = Cluster.create(base / "postgresql")
    postfix = Postfix.create(base / "postfix", [plugin_dir(base / "sasl2", {"libpgsasl.so": library}), STOCK_PLUGINS],
                             cluster.conninfo(), sanitizer_of(library), {"pgsasl_spool_file": base / "spool"})
    conninfo_file = {"pgsasl_conninfo_file": postfix.config / "sasl/pgsasl.conninfo"}
    postfix.add_service("wants-tls", sasl_conf(conninfo_file | {"pgsasl_require_tls": "yes"}))
    postfix.add_service("own-table", sasl_conf(conninfo_file | {"pgsasl_user_query": OWN_QUERY}))
    cluster.sql("CREATE TABLE mail_users (username text PRIMARY KEY, password_hash text, enabled boolean, "
                f"account_standing text); GRANT SELECT ON mail_users TO {PLUGIN_LOGIN}")
    postfix.start()
    settings = {
        "PGHOST": "127.0.0.1", "PGPORT": cluster.port, "PGDATABASE": DATABASE, "PGUSER": OWNER,
        "PGPASSWORD": cluster.owner_password, "cafile": postfix.certificate, "mail_log": postfix.base / "mail.log",
        "postfix_config": postfix.config,
    } | {f"port_{name.replace('-', '_')}": service.port for name, service in postfix.services.items()}
    (base / "settings").write_text("".join(f"export {name}={shlex.quote(str(value))}\n" for name, value in settings.items()),
                                   encoding="utf-8")


def down(base):
    """Stops what up() started, as far as it got."""
    if (base / "postfix").exists():
        Postfix(base / "postfix").stop()
    if (base / "postgresql").exists():
        Cluster(base / "postgresql").stop()


ACTIONS = {
    "up": up,
    "down": down,
    "database-down": lambda base: Cluster.at(base / "postgresql").stop("fast"),
    "database-up": lambda base: Cluster.at(base / "postgresql").start(),
}

parser = argparse.ArgumentParser(prog="harness", description=__doc__)
parser.add_argument("action", choices=ACTIONS)
parser.add_argument("directory", type=Path)
arguments = parser.parse_args()
ACTIONS[arguments.action](arguments.directory.resolve())
