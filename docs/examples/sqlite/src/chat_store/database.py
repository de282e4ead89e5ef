"""Talks to SQLite, through the standard library's `sqlite3`.

The calls run on the threads of `connections.py`, so that the event loop never waits
(R32).

URLs: `sqlite:///chat.db` is relative to the working directory,
`sqlite:////var/lib/chat.db` is absolute, and `sqlite://` is a private database in
memory, for tests, which lives as long as its ChatStore object. Any number of processes
may share a file on a local disk. Options of the URL:

- `?synchronous=full`, the default: what was acknowledged survives a crash of the
  process or of the operating system, and a power cut.
- `?synchronous=normal`: writes that need not wait for the disk. A crash of the process
  loses nothing; a power cut or a crash of the operating system can lose the last
  commits, but damages nothing.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar
from urllib.parse import unquote

from . import statements
from .codec import UTC
from .connections import MEMORY, Connections, fetch
from .errors import DatabaseError, DatabaseTimeoutError
from .migrations import Migration
from .settle import ended
from .urls import split_url, take_option

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class DatabaseOptions(TypedDict, total=False):
    """What `ChatStore(url, …)` passes on to the database.

    Attributes:
        pool_size: How many threads read at the same time; 2 unless given.
        pool_timeout: How long a call waits for a free thread, or for another process
            that is writing, in seconds; 10 unless given.
    """

    pool_size: int
    pool_timeout: float


class Database:
    """A SQLite database.

    Args:
        url: As the module says.
        pool_size: As in `DatabaseOptions`.
        pool_timeout: As in `DatabaseOptions`.

    Raises:
        ValueError: The URL, or an option, is not one that the module lists.
    """

    EXAMPLE_URL = "sqlite:///chat.db"
    SERVES_ANY_LOOP = True

    def __init__(
        self, url: str, *, pool_size: int = 2, pool_timeout: float = 10.0
    ) -> None:
        if pool_size < 1:
            raise ValueError(f"pool_size must be at least 1, not {pool_size}")
        path, synchronous = _parse(url, self.EXAMPLE_URL)
        self._path = path
        self._connections = Connections(path, synchronous, pool_size, pool_timeout)
        self._pool_size = pool_size
        self._timeout = pool_timeout

    async def open(self) -> None:
        """Connect; does nothing when open.

        Raises:
            DatabaseError: The file cannot be opened or created.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        try:
            self._connections.open()
        except DatabaseError as error:
            if not (obstacle := _obstacle(self._path)):
                raise
            raise DatabaseError(f"{error}: {obstacle}") from None

    async def close(self) -> None:
        """Finish the calls under way, then disconnect; safe to call twice."""
        await asyncio.sleep(0)  # hands over what was called in this turn of the loop
        await asyncio.to_thread(self._connections.close)

    async def read(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement that changes nothing.

        Args:
            statement: From `statements.py`.
            params: Its parameters, in order.

        Returns:
            The rows; for what the Store loads, each an id and a payload.

        Raises:
            DatabaseTimeoutError: No thread became free in time (R33).
            DatabaseError: SQLite refused the statement.
        """
        bound = _bind(params)

        def run(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return fetch(connection, statement, bound)

        return await self._wait(self._connections.submit_read(run))

    def write(self, *steps: tuple[str, Sequence[object]]) -> asyncio.Future[int]:
        """Start a transaction; it goes on whatever becomes of the caller (R31).

        Args:
            steps: Statements from `statements.py`, each with its parameters, for one
                transaction.

        Returns:
            A future of how many rows were changed; it is done once the commit is on
            disk. It raises the errors of `read`.
        """
        bound = [(statement, _bind(params)) for statement, params in steps]

        def run(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(*step).rowcount for step in bound)

        return self._connections.submit_write(run)

    async def applied_migrations(self) -> dict[int, int]:
        """List the migrations that the database has seen.

        Returns:
            For each version, the oldest code that runs on it; empty for an empty
            database.
        """

        def run(connection: sqlite3.Connection) -> dict[int, int]:
            if not connection.execute(statements.HAS_MIGRATIONS).fetchall():
                return {}
            return dict(connection.execute(statements.LIST_MIGRATIONS).fetchall())

        return await self._wait(self._connections.submit_read(run))

    async def apply(self, migration: Migration) -> bool:
        """Apply a migration and record it, in one transaction, unless that has been
        done.

        Args:
            migration: The migration.

        Returns:
            Whether this call applied it; False where another process was faster (R37).
        """
        record = (migration.version, migration.name, migration.runs_with)
        busy: list[sqlite3.Connection] = []
        given_up = threading.Event()

        def run(connection: sqlite3.Connection) -> bool:
            if given_up.is_set():
                return False
            busy.append(connection)
            connection.execute(statements.CREATE_MIGRATIONS)
            if migration.version in dict(
                connection.execute(statements.LIST_MIGRATIONS)
            ):
                return False
            for statement in _split(migration.sql):
                connection.execute(statement)
            connection.execute(statements.RECORD_MIGRATION, record)
            return True

        applying = self._connections.submit_write(run)
        try:
            return await applying
        except asyncio.CancelledError:
            # Or closing would wait for the whole migration.
            given_up.set()
            for connection in busy:
                connection.interrupt()
            raise

    async def _wait(self, future: asyncio.Future[T]) -> T:
        await ended(future, self._timeout)
        if not future.done():
            future.cancel()
            raise DatabaseTimeoutError(
                f"No connection became free within {self._timeout:g} s (pool_size is "
                f"{self._pool_size}): reads arrive faster than they end, or the disk hangs."
            )
        return future.result()


def _parse(url: str, example: str) -> tuple[str, str]:
    url, synchronous = take_option(url, "synchronous", ("full", "normal"))
    parts = split_url(url, ("sqlite",), "SQLite", example)
    if parts.netloc or parts.path == "/":
        raise ValueError(
            "A SQLite URL has three slashes before a relative path and four before an absolute "
            "one: sqlite:///chat.db, sqlite:////var/lib/chat.db; sqlite:// alone is in memory"
        )
    if parts.query:
        names = [pair.partition("=")[0] for pair in parts.query.split("&")]
        raise ValueError(f"Unknown option in the SQLite URL: {', '.join(names)}")
    path = unquote(parts.path[1:])
    # Absolute, so that a later change of the working directory changes nothing.
    return (os.path.abspath(path) if path not in ("", MEMORY) else MEMORY), synchronous


def _obstacle(path: str) -> str:
    # SQLite does not say why it cannot open a file. It writes beside it, too.
    directory = os.path.dirname(path)
    if os.path.isdir(path):
        return "it is a directory; name a file in it"
    if not os.path.isdir(directory):
        return f"there is no directory {directory}; create it"
    for place in filter(os.path.exists, (directory, path)):
        if not os.access(place, os.R_OK | os.W_OK):
            return f"{place} must be readable and writable for this process"
    return ""


def _bind(params: Sequence[object]) -> list[object]:
    return [
        (param - _EPOCH) // _MICROSECOND if isinstance(param, datetime) else param
        for param in params
    ]


def _split(script: str) -> list[str]:
    complete: list[str] = []
    lines: list[str] = []
    for line in script.splitlines():
        lines.append(line)
        if sqlite3.complete_statement("\n".join(lines)):
            complete.append("\n".join(lines))
            lines = []
    return complete
