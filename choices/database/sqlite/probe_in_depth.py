
    def set_time_zone(self, name: str) -> None:
        """Make a time zone the one of later sessions; SQLite's have none."""

    def break_at_commit(self, store: ChatStore) -> None:
        """Make each of the Store's connections die when it is about to commit, once."""

        class DiesAtCommit:
            def __init__(self, connection: sqlite3.Connection) -> None:
                self._connection = connection

            def __getattr__(self, name: str) -> Any:
                return getattr(self._connection, name)

            def execute(self, statement: str, *params: Any) -> sqlite3.Cursor:
                if statement == "COMMIT":
                    self._connection.close()
                return self._connection.execute(statement, *params)

        connections_of(store)
        for workers in _workers(store):
            workers.idle = [DiesAtCommit(it) for it in workers.idle]

    def query_json(self) -> list[str]:
        """Read the ids out of all payloads by the database's own JSON functions, sorted."""
        rows = [
            self.query(
                f"SELECT json_extract(data, '$.id'), json_type(data, '$.metadata') "
                f"FROM {table} WHERE data IS NOT NULL"
            )
            for table in TABLES
        ]
        return sorted(row[0] for part in rows for row in part)

    @contextmanager
    def unreachable(self, store: ChatStore) -> Generator[None, None, None]:
        """Break the Store's connections, and let it make no others."""
        self.break_connections(store)
        away = self.path.rename(self.path.with_suffix(".away"))
        self.path.mkdir()
        try:
            yield
        finally:
            self.path.rmdir()
            away.rename(self.path)
