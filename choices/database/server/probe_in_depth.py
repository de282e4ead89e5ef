    @property
    def address(self) -> tuple[str, int]:
        """Where Stores reach the server."""
        parts = urlsplit(self.url)
        return parts.hostname or "localhost", parts.port or self.PORT

    def conflict_once(self) -> None:
        """Make the first write meet a deadlock, which ends it and nothing else."""
        self._disturb_once(self.CONFLICT)

    def break_at_commit(self, store: ChatStore) -> None:
        """Make the first of the Store's connections that is about to commit die."""
        self._disturb_once(self.DISCONNECT, at_commit=True)

    def crash_server(self) -> None:
        """Kill the server that the suite has started with SIGKILL, and start it again."""
        import pytest

        if os.environ.get("CHAT_STORE_TEST_URL"):
            pytest.skip("The server of CHAT_STORE_TEST_URL is not ours to kill.")
        self._crash()

    @contextmanager
    def unreachable(self, store: ChatStore) -> Generator[None, None, None]:
        """Break the Store's connections, and let it make no others."""
        self._allow_connections(False)
        self._disconnect_others()
        try:
            yield
        finally:
            self._allow_connections(True)
