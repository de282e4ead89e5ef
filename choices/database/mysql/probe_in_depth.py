
    PORT = 3306
    CONFLICT = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213;"
    DISCONNECT = "KILL CONNECTION_ID();"

{% include "choices/database/server/probe_in_depth.py" %}

    def set_time_zone(self, name: str) -> None:
        """Make a time zone the one of the sessions that begin from now on."""
        zones = {"Asia/Tokyo": "+09:00", "America/New_York": "-05:00", "UTC": "+00:00"}
        self.execute(f"SET GLOBAL time_zone = '{zones[name]}'")

    def _crash(self) -> None:
        own_server().stop(signal.SIGKILL)
        own_server().start()
        self._connection.close()
        self._connection = _connect(server_url(), self._name)

    def _disturb_once(self, body: str, *, at_commit: bool = False) -> None:
        # No transaction takes back that a number was given out.
        self.execute("CREATE TABLE disturbed (n INT AUTO_INCREMENT PRIMARY KEY)")
        once = f"INSERT INTO disturbed VALUES (); IF LAST_INSERT_ID() = 1 THEN {body} END IF;"
        for table in TABLES:
            for event in ("INSERT", "UPDATE", "DELETE"):
                self._add_trigger(f"AFTER {event} ON {table}", once)

    def query_json(self) -> list[str]:
        """Read the ids out of all payloads by the database's own JSON functions, sorted."""
        rows = [
            self.query(
                # MariaDB answers NULL for what is nested more than 32 deep, and MySQL for
                # numbers beyond a double. MySQL fails at what is nested more than 100 deep.
                "SELECT COALESCE(CASE WHEN LENGTH(data) - "
                "LENGTH(REPLACE(REPLACE(data, '[', ''), '{', '')) <= 100 "
                "THEN JSON_VALUE(data, '$.id') END, id) "
                f"FROM {table} WHERE data IS NOT NULL"
            )
            for table in TABLES
        ]
        return sorted(row[0] for part in rows for row in part)

    def _allow_connections(self, allowed: bool) -> None:
        change = "UNLOCK" if allowed else "LOCK"
        self.execute(f"ALTER USER '{self._name}'@'%' ACCOUNT {change}")
