"""Talks to SQLite from threads of its own, so that the event loop never waits (R32).

One thread writes and a few read, each on one connection of the standard library's
`sqlite3`. A thread takes all the calls that wait for it, runs them in one transaction
and then answers them together: concurrent writes share one commit, and each is
acknowledged once it is on disk (R35).

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
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypedDict, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from . import statements
from .codec import UTC
from .errors import DatabaseError, DatabaseTimeoutError
from .migrations import Migration

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MEMORY = ":memory:"
_MOST_JOBS = 64  # of one transaction, so that its first does not wait long


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

    def __init__(
        self, url: str, *, pool_size: int = 2, pool_timeout: float = 10.0
    ) -> None:
        if pool_size < 1:
            raise ValueError(f"pool_size must be at least 1, not {pool_size}")
        self._path, self._synchronous = _parse(url)
        self._timeout = pool_timeout
        self._writes: SimpleQueue[_Job | None] = SimpleQueue()
        self._reads: SimpleQueue[_Job | None] = SimpleQueue()
        self._readers = pool_size
        self._memory: sqlite3.Connection | None = None
        if self._path == _MEMORY:
            # Such a database lives in its one connection, which then serves reads too.
            self._memory = self._connect_anew()
            self._reads, self._readers = self._writes, 0
        self._workers: list[_Worker] = []
        self._lifecycle = threading.Lock()

    async def open(self) -> None:
        """Connect; does nothing when open.

        Raises:
            DatabaseError: The file cannot be opened or created.
        """
        await asyncio.to_thread(self._start_workers)

    async def close(self) -> None:
        """Finish the calls under way, then disconnect; safe to call twice."""
        if self._workers:
            await asyncio.to_thread(self._stop_workers)

    async def read(
        self, statement: str, params: Sequence[object]
    ) -> list[tuple[str, str]]:
        """Run one statement that changes nothing.

        Args:
            statement: From `statements.py`.
            params: Its parameters, in order.

        Returns:
            The rows, each an id and a payload.

        Raises:
            DatabaseTimeoutError: No thread became free in time (R33).
            DatabaseError: SQLite refused the statement.
        """
        bound = _bind(params)

        def run(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            return connection.execute(statement, bound).fetchall()

        return await self._wait(self._submit(self._reads, run))

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

        return self._submit(self._writes, run)

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

        return await self._wait(self._submit(self._reads, run))

    async def apply(self, migration: Migration) -> bool:
        """Apply a migration and record it, in one transaction, unless that has been
        done.

        Args:
            migration: The migration.

        Returns:
            Whether this call applied it; False where another process was faster (R37).
        """
        record = (migration.version, migration.name, migration.runs_with)

        def run(connection: sqlite3.Connection) -> bool:
            connection.execute(statements.CREATE_MIGRATIONS)
            if migration.version in dict(
                connection.execute(statements.LIST_MIGRATIONS)
            ):
                return False
            for statement in _split(migration.sql):
                connection.execute(statement)
            connection.execute(statements.RECORD_MIGRATION, record)
            return True

        return await self._submit(self._writes, run)

    def _submit(
        self, queue: "SimpleQueue[_Job | None]", run: Callable[[sqlite3.Connection], T]
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        queue.put(_Job(run, future, time.monotonic() + self._timeout))
        return future

    async def _wait(self, future: asyncio.Future[T]) -> T:
        await asyncio.wait({future}, timeout=self._timeout)
        if not future.done():
            future.cancel()
            raise DatabaseTimeoutError(
                f"No connection became free within {self._timeout:g} s (pool_size is "
                f"{self._readers}): reads arrive faster than they end, or the disk hangs."
            )
        return future.result()

    # Both run to their end in a thread although their caller is cancelled, one at a time.
    def _start_workers(self) -> None:
        with self._lifecycle:
            if self._workers:
                return
            writer = _Worker(self, self._writes, "BEGIN IMMEDIATE")
            readers = [
                _Worker(self, self._reads, "BEGIN") for _ in range(self._readers)
            ]
            self._workers = [writer, *readers]
            for worker in self._workers:
                worker.start()

    def _stop_workers(self) -> None:
        with self._lifecycle:
            if not self._workers:
                return
            self._writes.put(None)
            for _ in range(self._readers):
                self._reads.put(None)
            for worker in self._workers:
                worker.join()
                if worker.connection is not self._memory:
                    worker.connection.close()
            self._workers = []

    def connect(self) -> sqlite3.Connection:
        """Make a connection for a worker; the only one of a database in memory."""
        return self._memory or self._connect_anew()

    def _connect_anew(self) -> sqlite3.Connection:
        deadline = time.monotonic() + self._timeout
        try:
            connection = sqlite3.connect(
                self._path,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            # Text that is damaged must spoil its own row only, not the page around it
            # (R29).
            connection.text_factory = partial(
                str, encoding="utf-8", errors="surrogateescape"
            )
            while not _try_to_enable_wal(connection, deadline):
                time.sleep(0.02)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            raise self.describe(error) from None
        return connection

    def late(self) -> DatabaseError:
        """Make the error of a call that has waited too long for its turn."""
        return DatabaseTimeoutError(
            f"No connection to {self._path} became free within {self._timeout:g} s."
        )

    def describe(self, error: sqlite3.Error) -> DatabaseError:
        """Turn SQLite's error into ours; its messages never quote values (R39)."""
        if _is_locked(error):
            return DatabaseTimeoutError(
                f"{self._path} stayed locked by another process for {self._timeout:g} s."
            )
        return DatabaseError(f"SQLite failed on {self._path}: {error}")


@dataclass(frozen=True)
class _Job:
    """A call that waits for its thread."""

    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    deadline: float


class _Worker(threading.Thread):
    """A thread with a connection, which runs the jobs of a queue on it."""

    def __init__(
        self, database: Database, jobs: "SimpleQueue[_Job | None]", begin: str
    ) -> None:
        super().__init__(name="chat_store", daemon=True)
        self._database = database
        self._jobs = jobs
        self._begin = begin
        self.connection = database.connect()

    def run(self) -> None:
        """Serve until a None arrives."""
        while batch := self._take():
            now = time.monotonic()
            late = [job for job in batch if job.deadline < now]
            _deliver([(job.future, None, self._database.late()) for job in late])
            if in_time := [job for job in batch if job.deadline >= now]:
                self._serve(in_time)

    def _take(self) -> list[_Job]:
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _MOST_JOBS:
                return batch
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return batch
        if batch:
            self._jobs.put(None)  # serve these first, and stop at the next turn
        return batch

    def _serve(self, batch: list[_Job]) -> None:
        try:
            results = self._transact(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it
            if len(batch) > 1 and not _is_locked(error):
                # All were rolled back because of one, which must not fail the others.
                for job in batch:
                    self._serve([job])
                return
            failure = (
                self._database.describe(error)
                if isinstance(error, sqlite3.Error)
                else error
            )
            _deliver([(job.future, None, failure) for job in batch])
        else:
            _deliver(
                [(job.future, result, None) for job, result in zip(batch, results)]
            )

    def _transact(self, batch: list[_Job], retry: bool = True) -> list[Any]:
        try:
            self.connection.execute(self._begin)
            results = [job.run(self.connection) for job in batch]
            self.connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self.connection.rollback()
            if retry and _is_broken(error):
                with contextlib.suppress(sqlite3.Error):
                    self.connection.close()
                self.connection = self._database.connect()
                return self._transact(batch, retry=False)
            raise
        return results


def _deliver(outcomes: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    # One wake-up for all the calls of a transaction; they share a loop, except in odd
    # programs.
    for loop in {future.get_loop() for future, _, _ in outcomes}:
        mine = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(outcomes: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, result, error in outcomes:
        if future.done():  # its caller was cancelled
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _parse(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # its message may quote the URL (R39)
        raise ValueError(
            f"The URL cannot be read; write {Database.EXAMPLE_URL}"
        ) from None
    if parts.scheme != "sqlite":
        raise ValueError(
            f"This ChatStore was rendered for SQLite and cannot use a {parts.scheme!r} URL; "
            f"write {Database.EXAMPLE_URL}"
        )
    if parts.netloc or parts.path == "/":
        raise ValueError(
            "A SQLite URL has three slashes before a relative path and four before an absolute "
            "one: sqlite:///chat.db, sqlite:////var/lib/chat.db; sqlite:// alone is in memory"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "full").lower()
    if synchronous not in ("full", "normal"):
        raise ValueError(f"synchronous must be full or normal, not {synchronous!r}")
    if options:
        raise ValueError(
            f"Unknown option in the SQLite URL: {', '.join(sorted(options))}"
        )
    path = unquote(parts.path[1:])
    # Absolute, so that a later change of the working directory changes nothing.
    return (
        os.path.abspath(path) if path not in ("", _MEMORY) else _MEMORY
    ), synchronous


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


def _try_to_enable_wal(connection: sqlite3.Connection, deadline: float) -> bool:
    # The switch does not wait for other processes that make it at the same moment.
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        return True
    except sqlite3.OperationalError as error:
        if not _is_locked(error) or time.monotonic() > deadline:
            raise
        return False


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "is locked" in str(error)


def _is_broken(error: BaseException) -> bool:
    # Python 3.10 has no error codes; these texts are SQLite's own and have not changed.
    broken = ("closed database", "disk I/O error", "unable to open database file")
    return isinstance(error, sqlite3.Error) and any(
        text in str(error) for text in broken
    )
