
    PORT = 5432
    CONFLICT = "RAISE 'deadlock' USING ERRCODE = '40P01';"
    DISCONNECT = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10);"

{% include "choices/database/server/probe_in_depth.py" %}

    def set_time_zone(self, name: str) -> None:
        """Make a time zone the one of the sessions that begin from now on."""
        self.execute(f"ALTER DATABASE {self._name} SET timezone = '{name}'")

    def _crash(self) -> None:
        processes = self.query("SELECT pid FROM pg_stat_activity")
        own_server().stop(signal.SIGKILL)
        for (pid,) in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(1000):
            try:
                own_server().start()
                break
            except RuntimeError:  # one of those processes still holds its memory
                time.sleep(0.01)
        self._connection.close()
        self._connection = self._connect()

    def _disturb_once(self, body: str, *, at_commit: bool = False) -> None:
        self.execute("CREATE SEQUENCE disturbed")
        once = f"IF nextval('disturbed') = 1 THEN {body} END IF; RETURN NULL;"
        for table in TABLES:
            when = f"AFTER INSERT OR UPDATE OR DELETE ON {table}"
            if at_commit:
                when += " DEFERRABLE INITIALLY DEFERRED"
            kind = "CONSTRAINT TRIGGER" if at_commit else "TRIGGER"
            self._add_trigger(when, once, kind)

    def query_json(self) -> list[str]:
        """Read the ids out of all payloads by the database's own JSON functions, sorted."""
        rows = [
            self.query(
                f"SELECT data->>'id', json_typeof(data->'metadata'), data::jsonb "
                f"FROM {table} WHERE data IS NOT NULL"
            )
            for table in TABLES
        ]
        return sorted(row[0] for part in rows for row in part)

    def _allow_connections(self, allowed: bool) -> None:
        _administer(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS {allowed}")
