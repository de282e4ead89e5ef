    def __enter__(self) -> Self:
        self._disconnect_others()
        self._empty()
        return self

    def __exit__(self, *error: object) -> None:
        self._disconnect_others()
{% if store_database == "postgresql" %}
        self._connection.close()
{% else %}
        self._reset_time_zone()
{% endif %}

    def damage_item(self, item_id: str) -> None:
        """Make an item's payload unreadable."""
        self.execute(
            f"UPDATE chatkit_items SET data = '{_DAMAGED}' WHERE id = '{item_id}'"
        )

    def refuse_items(self) -> None:
        """Make every insertion of an item fail, with an error that quotes it."""
        self._add_trigger("BEFORE INSERT ON chatkit_items", _REFUSE_AND_QUOTE)

    def forbid_attachments(self) -> None:
        """Make every insertion of an attachment break a constraint."""
        self.execute("DELETE FROM chatkit_attachments")
        self.execute("ALTER TABLE chatkit_attachments ADD CHECK (id = 'none')")

    def refuse_deleting_items(self) -> None:
        """Make every deletion of an item fail."""
        self._add_trigger("BEFORE DELETE ON chatkit_items", _REFUSE)

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Keep every write of the Store waiting."""
        with self._session() as run:
            run("BEGIN")
            run(_LOCK_WRITES)
            yield
            run(_UNLOCK)

    @contextmanager
    def migrating(self) -> Generator[None, None, None]:
        """Hold the lock that a process holds while it migrates."""
        with self._session() as run:
            run(statements.LOCK)
            yield
            run(statements.UNLOCK)

    @contextmanager
    def stalled(self, store: ChatStore) -> Generator[None, None, None]:
        """Block every read and write of the Store."""
        with self._session() as run:
            run("BEGIN")
            run(_LOCK_ALL)
            yield
            run(_UNLOCK)

    @contextmanager
    def deleting_threads(self) -> Generator[None, None, None]:
        """Delete all threads, as another process does, but commit only after the block."""
        with self._session() as run:
            run("BEGIN")
            run("UPDATE chatkit_threads SET deleted_at = created_at, data = NULL")
            yield
            run("COMMIT")

    def break_connections(self, store: ChatStore) -> None:
        """Terminate the Store's connections."""
        self._disconnect_others()

    def count_connections(self, store: ChatStore) -> int:
        """Count the connections that the Store holds."""
        return len(self._others())

    def urls_with(self, password: str) -> list[str]:
        """Return URLs that carry a password, and that no Store can open."""
        account = f"user:{password}"
        return [
            f"{_SCHEME}://{account}@127.0.0.1:1/chat",
            f"{_SCHEME}://{account}@127.0.0.1:port/chat",
            f"nosuchdb://{account}@localhost/chat",
        ]

    @contextmanager
    def recorded(self, store: ChatStore) -> Generator[list[str], None, None]:
        """Collect the statements that the Store sends, without COMMIT."""
        sent: list[str] = []
        fetch, execute = connections.Connection.fetch, connections.Connection.execute

        async def note_and_fetch(self: Any, statement: str, params: Any = ()) -> Any:
            sent.append(statement)
            return await fetch(self, statement, params)

        async def note_and_execute(self: Any, statement: str, params: Any) -> Any:
            sent.append(statement)
            return await execute(self, statement, params)

        begin = connections.Connection.transaction

        def note_and_begin(self: Any) -> Any:
            sent.append("BEGIN")
            return begin(self)

        with (
            patch.object(connections.Connection, "fetch", note_and_fetch),
            patch.object(connections.Connection, "execute", note_and_execute),
            patch.object(connections.Connection, "transaction", note_and_begin),
        ):
            yield sent

    def fill(self, count: int) -> None:
        """Make some thousands of threads, and as many items in one, with statistics."""
        self.run_script(_MANY_ROWS.replace("COUNT", str(count)))

    def _disconnect_others(self) -> None:
        ended = self._others()
        for number in ended:
            self._disconnect(number)
        while set(ended) & set(self._others()):
            time.sleep(0.002)
