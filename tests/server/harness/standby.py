"""A streaming standby of a cluster."""

import shutil

from .cluster import Cluster
from .processes import free_port, wait_for


class Standby(Cluster):
    """A hot standby; promote() makes it a primary."""

    @classmethod
    def of(cls, primary, base):
        """Copies the running primary to base and follows it."""
        standby = cls(base)
        standby.base.mkdir()
        shutil.chown(standby.base, "postgres", "postgres")
        standby.owner_password, standby.plugin_password = primary.owner_password, primary.plugin_password
        standby.port = free_port()
        standby._as_postgres(
            "pg_basebackup",
            "--host",
            primary.base,
            "--port",
            primary.port,
            "--pgdata",
            standby.data,
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )
        with (standby.data / "postgresql.conf").open("a", encoding="ascii") as conf:
            conf.write(f"port = {standby.port}\nunix_socket_directories = '{standby.base}'\n")
        standby.start()
        return standby

    def catch_up_with(self, primary):
        """Waits until all that the primary has committed is here."""
        sent = primary.admin("SELECT pg_current_wal_lsn()")
        wait_for(lambda: self.admin(f"SELECT pg_last_wal_replay_lsn() >= '{sent}'") == "t", "the standby to catch up")

    def promote(self):
        """Makes it a primary, and waits until it is one."""
        self._as_postgres("pg_ctl", "promote", "--wait", "--silent", "--pgdata", self.data)
