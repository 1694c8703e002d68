"""SASL configurations that tests and the demo use beside the samples', and the tables that some of them query."""

from .cluster import PLUGIN_LOGIN
from .processes import free_port

# A site's own tables, for pgsasl_user_query. "bare" holds hashes that the CHECK of pgsasl.smtp_users would refuse.
OWN_TABLES = f"""
CREATE TABLE mail_users (username text PRIMARY KEY, password_hash text, enabled boolean, account_standing text);
CREATE TABLE bare (username text PRIMARY KEY, password_hash text);
GRANT SELECT ON mail_users, bare TO {PLUGIN_LOGIN};

CREATE TABLE looked_up (username text);
CREATE FUNCTION counted(name text, client inet) RETURNS TABLE (password_hash text) LANGUAGE sql VOLATILE
    SECURITY DEFINER AS $$
        INSERT INTO looked_up VALUES (name);
        SELECT password_hash FROM bare WHERE username = name $$;
"""

OWN_QUERY = "SELECT password_hash, enabled, account_standing FROM mail_users WHERE username = $1"
BARE_QUERY = "SELECT password_hash FROM bare WHERE username = $1"
THROTTLED_QUERY = "SELECT password_hash, true AS throttled FROM bare WHERE username = $1"
COUNTED_QUERY = "SELECT * FROM counted($1, $2)"
NO_HASH_QUERY = "SELECT username, enabled FROM mail_users WHERE username = $1"

TRAP_NAMES = "CRAM-MD5 DIGEST-MD5 NTLM XOAUTH2 OAUTHBEARER SCRAM-SHA-1 X-OWN"
TRAPS = {"mech_list": f"PLAIN LOGIN {TRAP_NAMES}", "pgsasl_trap_mechanisms": TRAP_NAMES}

# What a service sets in place of the sample's main.cf.
PARAMETERS = {
    "scram": {"smtpd_sasl_mechanism_filter": "static:all"},
    "bare-scram": {"smtpd_sasl_mechanism_filter": "static:all"},
    "announced-traps": {"smtpd_sasl_mechanism_filter": "static:all"},
}


def services(cluster, conninfo_file):
    """Name: the options of a service's SASL configuration that are not the sample's. None takes an option out."""
    by_file = {"pgsasl_conninfo_file": conninfo_file}
    dead = cluster.conninfo(port=free_port())
    return {
        "plain": by_file,
        "inline": {"pgsasl_conninfo_file": None, "pgsasl_conninfo": cluster.conninfo()},
        "own-table": by_file | {"pgsasl_user_query": OWN_QUERY},
        "bare-table": by_file | {"pgsasl_user_query": BARE_QUERY},
        "throttled": by_file | {"pgsasl_user_query": THROTTLED_QUERY},
        "no-hash-column": by_file | {"pgsasl_user_query": NO_HASH_QUERY},
        "counted": by_file | {"pgsasl_user_query": COUNTED_QUERY},
        "scram": by_file | {"mech_list": "PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5"},
        "bare-scram": by_file | {"mech_list": "PLAIN SCRAM-SHA-256", "pgsasl_user_query": BARE_QUERY},
        "traps": by_file | TRAPS,
        "announced-traps": by_file | TRAPS,
        "wants-tls": by_file | {"pgsasl_require_tls": "yes"},
        "wrong-value": by_file | {"pgsasl_timeout_ms": "soon"},
        "wrong-file": {"pgsasl_conninfo_file": conninfo_file.with_name("nowhere")},
        "no-database": {"pgsasl_conninfo_file": None, "pgsasl_conninfo": dead},
        "audit-elsewhere": {
            "pgsasl_conninfo_file": None,
            "pgsasl_conninfo": dead,
            "pgsasl_audit_conninfo": cluster.conninfo(),
        },
        "unprepared": by_file | {"pgsasl_prepared_statements": "no"},
    }
