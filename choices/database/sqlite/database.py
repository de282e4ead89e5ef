"""Runs statements on SQLite, with the standard library's `sqlite3`.

URLs: `sqlite:///chat.db` is relative to the working directory,
`sqlite:////var/lib/chat.db` is absolute, and `sqlite://` is a private database in
memory, for tests, which exists as long as its ChatStore object. Any number of processes
may share a file on a local disk. The first migration creates it.
"""

import asyncio
import math
import os
import sqlite3
import threading
import weakref
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, TypedDict, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from . import statements
from .connections import MEMORY, Workers, code, connect
from .errors import DatabaseError, DatabaseTimeoutError
from .migrate import Migration

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_READS_OF_AN_OWNER = 16  # at the same time


class DatabaseOptions(TypedDict, total=False):
    """The database's options of `ChatStore(url, …)`.

    Attributes:
        pool_size: The number of threads that read (default: 2).
        pool_timeout: How long a read waits for a free thread, and a write for another
            writing process, in seconds (default: 10).
        synchronous: "full", the default: acknowledged writes survive a power failure or
            a crash of the operating system. "normal": writes do not wait for the disk,
            so the last of them may be lost then, but not by a crash of the process.
    """

    pool_size: int
    pool_timeout: float
    synchronous: Literal["full", "normal"]


class Database:
    """A SQLite database.

    The options are those of `DatabaseOptions`; invalid ones raise a ValueError.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 2,
        pool_timeout: float = 10.0,
        synchronous: Literal["full", "normal"] = "full",
    ) -> None:
        for name, value in (("pool_size", pool_size), ("pool_timeout", pool_timeout)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and more than 0, not {value}")
        if synchronous not in ("full", "normal"):
            raise ValueError(
                f"synchronous must be 'full' or 'normal', not {synchronous!r}"
            )
        self._path = _parse(url)
        self._timeout = pool_timeout
        # An owner's semaphore is garbage-collected after the owner's last read.
        self._limits: weakref.WeakValueDictionary[str, asyncio.Semaphore] = (
            weakref.WeakValueDictionary()
        )
        self._is_missing = False  # when its migrations were last listed
        make = partial(connect, self._path, synchronous, pool_timeout)
        self._writers = Workers(make, 1, "BEGIN IMMEDIATE", at_once=4)
        # Parsing a page takes long, so the event loop gets one read at a time.
        self._readers = Workers(make, pool_size, "BEGIN", at_once=1)
        if self._path == MEMORY:
            self._readers = self._writers
            weakref.finalize(self, self._writers.disconnect)

    @property
    def name(self) -> str:
        """The name of the database in messages."""
        if self._path == MEMORY:
            return "the database in memory"
        return self._path + (", which does not exist yet" if self._is_missing else "")

    async def open(self) -> None:
        """Do nothing: threads and connections start when first needed."""

    async def close(self) -> None:
        """Finish running reads, then disconnect."""
        for workers in (self._readers, self._writers):
            await workers.end()
            if self._path != MEMORY:
                await asyncio.to_thread(workers.disconnect)

    async def read(
        self, statement: str, params: Sequence[object] = (), *, owner: str = ""
    ) -> list[tuple[Any, ...]]:
        """Run one statement that changes nothing.

        Args:
            statement: From `statements.py`.
            params: Its parameters, in order.
            owner: The owner who makes the call; empty for maintenance.

        Raises:
            DatabaseTimeoutError: No thread became available in time.
            DatabaseError: The file cannot be used, or SQLite rejected the statement.
        """
        fetch = partial(_fetch, statement, _bind(params))

        # All reads wait in one queue for a thread. So that no owner blocks the others,
        # each has only some reads in it (R44).
        limit = self._limits.setdefault(owner, asyncio.Semaphore(_READS_OF_AN_OWNER))

        async def read() -> list[tuple[Any, ...]]:
            async with limit:
                return await self._readers.run(fetch)

        return await self._call(read(), self._timeout)

    async def write(self, *steps: tuple[str, Sequence[object]], owner: str = "") -> int:
        """Run statements in one transaction; arguments and errors as for `read`.

        `owner` is not used: writes that wait share a commit.

        Returns:
            The number of rows changed, once the commit is on disk.
        """
        bound = [(statement, _bind(params)) for statement, params in steps]

        def execute(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(*step).rowcount for step in bound)

        return await self._call(self._writers.run(execute))

    async def applied_migrations(self) -> dict[int, int]:
        """Return the applied versions, each with the oldest code that it supports."""
        exists = await asyncio.to_thread(os.path.exists, self._path)
        self._is_missing = self._path != MEMORY and not exists
        if self._is_missing:
            return {}
        return await self._call(self._readers.run(_list_migrations), self._timeout)

    async def is_exposed(self) -> bool:
        """Return whether data crosses a network without TLS; never, in a file."""
        return False

    async def apply(self, migration: Migration) -> bool:
        """Apply and record a migration; False if another process has done it."""
        cancelled = threading.Event()
        try:
            if self._path != MEMORY:
                await self._call(asyncio.to_thread(_create, self._path))
            return await self._call(
                self._writers.run(partial(_apply, migration, cancelled))
            )
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def _call(self, call: Awaitable[T], timeout: float | None = None) -> T:
        try:
            async with asyncio.timeout(timeout):
                return await call
        except TimeoutError:
            raise DatabaseTimeoutError(
                f"No thread became available within {self._timeout:g} s: reads arrive faster "
                "than they end, or the disk hangs."
            ) from None
        except (sqlite3.Error, OSError) as error:
            raise self._describe(error) from None

    def _describe(self, error: sqlite3.Error | OSError) -> DatabaseError:
        if code(error) == sqlite3.SQLITE_BUSY:
            return DatabaseTimeoutError(
                f"{self._path} stayed locked by another process for {self._timeout:g} s."
            )
        message = f"SQLite failed on {self._path}: {getattr(error, 'strerror', error)}"
        unusable = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if isinstance(error, OSError) or code(error) in unusable:
            message += (
                ". It must be a file in a directory that exists, and this process must "
                "be able to write to both."
            )
        return DatabaseError(message)


def _parse(url: str) -> str:
    drivers = ("aiosqlite", "pysqlite", "sqlite3")  # as SQLAlchemy names them
    schemes = [*(f"sqlite+{driver}" for driver in drivers), "sqlite"]
    parts = _split_url(url, schemes, "sqlite:///chat.db")
    if parts.netloc or parts.path == "/":
        raise ValueError(
            "A SQLite URL has three slashes before a relative path and four before an "
            "absolute one: sqlite:///chat.db, sqlite:////var/lib/chat.db; sqlite:// "
            "alone is in memory"
        )
    if rest := parts.query or parts.fragment:
        raise ValueError(
            f"A SQLite URL ends with the path, and this one has {rest.partition('=')[0]!r} "
            "after it: write %3F and %23 for ? and # in the path, and give options to "
            "ChatStore as arguments"
        )
    path = unquote(parts.path[1:])
    # Absolute, so that a change of the working directory has no effect.
    return os.path.abspath(path) if path not in ("", MEMORY) else MEMORY


def _bind(params: Sequence[object]) -> list[object]:
    return [
        (param - _EPOCH) // _MICROSECOND if isinstance(param, datetime) else param
        for param in params
    ]


def _fetch(
    statement: str, params: Sequence[object], connection: sqlite3.Connection
) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(statement, params).fetchall()
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode"):
            raise
    # Damaged text must affect only its own row. This is not the default, since a Python
    # call for each text makes a page 50 % slower.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        return connection.execute(statement, params).fetchall()
    finally:
        connection.text_factory = str


def _list_migrations(connection: sqlite3.Connection) -> dict[int, int]:
    if not connection.execute(statements.HAS_MIGRATIONS).fetchall():
        return {}
    return dict(connection.execute(statements.LIST_MIGRATIONS))


def _create(path: str) -> None:
    # The file will contain users' text, so only its owner may read it. Closing an older
    # file would lose the locks that SQLite has on it.
    with suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        os.close(os.open(os.path.realpath(path), flags, 0o600))


def _apply(
    migration: Migration, cancelled: threading.Event, connection: sqlite3.Connection
) -> bool:
    # Interrupts a long migration if its caller is cancelled: closing waits for it.
    connection.set_progress_handler(cancelled.is_set, 10_000)
    try:
        connection.execute(statements.CREATE_MIGRATIONS)
        if migration.version in dict(connection.execute(statements.LIST_MIGRATIONS)):
            return False
        for statement in _split(migration.sql):
            connection.execute(statement)
        record = (migration.version, migration.name, migration.runs_with)
        connection.execute(statements.RECORD_MIGRATION, record)
        return True
    finally:
        connection.set_progress_handler(None, 0)


def _split(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


{% include "choices/database/split_url.py" %}
