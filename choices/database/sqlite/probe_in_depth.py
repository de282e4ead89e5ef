
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
