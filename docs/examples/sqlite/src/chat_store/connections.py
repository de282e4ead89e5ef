"""Connections to SQLite, on threads, so that the event loop never blocks.

A thread takes all waiting calls, runs them in one transaction and then returns their
results together. So concurrent writes share a commit, and each is acknowledged once it
is on disk.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

MEMORY = ":memory:"
"""The path of a database in memory, which exists only in its one connection."""

_Call: TypeAlias = "tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]"

_MAX_BATCH = 64  # calls in a transaction, to limit the wait of the first


class Workers:
    """Threads that run calls, each with its own connection.

    Args:
        connect: Opens a connection.
        threads: The maximum number of threads.
        begin: The statement that begins a transaction.
        at_once: How many results one iteration of the event loop may deliver.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        threads: int,
        begin: str,
        at_once: int,
    ) -> None:
        self.threads = threads
        self.idle: list[sqlite3.Connection] = []
        self._connect = connect
        self._begin = begin
        self._at_once = at_once
        self._waiting: deque[_Call] = deque()
        self._executor = ThreadPoolExecutor(threads, "chat_store")

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function on a thread, in a transaction.

        Returns:
            The function's result, once the transaction is committed.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((function, future))
        if len(self._waiting) == 1:  # otherwise, a thread will take it
            self._executor.submit(self._work)
        return await future

    async def end(self) -> None:
        """Run the waiting calls, and end the threads; connections remain open."""
        executor = self._executor
        self._executor = ThreadPoolExecutor(self.threads, "chat_store")
        await asyncio.to_thread(executor.shutdown)

    def acquire(self) -> sqlite3.Connection:
        """Return an idle connection, or open one."""
        with contextlib.suppress(IndexError):
            return self.idle.pop()
        return self._connect()

    def disconnect(self) -> None:
        """Close the idle connections."""
        with contextlib.suppress(IndexError):
            while True:
                self.idle.pop().close()

    def _work(self) -> None:
        while calls := self._take(_MAX_BATCH):
            answers = self._answer(calls)
            loop = answers[0][0].get_loop()
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(_deliver, answers, self._at_once)

    def _take(self, count: int) -> list[_Call]:
        calls: list[_Call] = []
        with contextlib.suppress(IndexError):
            while len(calls) < count:
                calls.append(self._waiting.popleft())
        return calls

    def _answer(self, calls: list[_Call]) -> list[tuple[asyncio.Future[Any], Any]]:
        # Returns each future with its function's result or exception.
        try:
            results = self._transact(calls)
        except Exception as error:  # noqa: BLE001
            if code(error) == sqlite3.SQLITE_BUSY:
                # Later calls have waited for the same lock.
                calls += self._take(len(self._waiting))
            elif len(calls) > 1:
                # One failed, and all were rolled back. Run each by itself.
                return [answer for call in calls for answer in self._answer([call])]
            results = [error] * len(calls)
        return [(future, result) for (_, future), result in zip(calls, results)]

    def _transact(self, calls: list[_Call], *, retry: bool = True) -> list[Any]:
        connection = self.acquire()
        try:
            connection.execute(self._begin)
            results = [
                None if future.cancelled() else function(connection)
                for function, future in calls
            ]
            connection.execute("COMMIT")
        except Exception as error:
            if not _is_broken(error):
                connection.rollback()
                self.idle.append(connection)
                raise
            # The idle connections are probably broken, too.
            self.idle.append(connection)
            self.disconnect()
            if not retry:
                raise
            return self._transact(calls, retry=False)
        self.idle.append(connection)
        return results


def connect(path: str, synchronous: str, timeout: float) -> sqlite3.Connection:
    """Connect to an existing file, or to a new database in memory.

    Args:
        path: The file, or MEMORY.
        synchronous: SQLite's setting, "full" or "normal".
        timeout: How long to wait for a lock of another process, in seconds.
    """
    deadline = time.monotonic() + timeout
    connection = sqlite3.connect(
        path if path == MEMORY else f"{Path(path).as_uri()}?mode=rw",
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        while not _try_to_enable_wal(connection, deadline):
            time.sleep(0.02)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        # Deleted content is overwritten in the file.
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def code(error: Exception) -> int:
    """Return SQLite's primary result code; SQLITE_OK for errors of other origin."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF


def _try_to_enable_wal(connection: sqlite3.Connection, deadline: float) -> bool:
    # SQLite does not wait for processes that do this at the same time.
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
            raise
        return False
    return True


def _is_broken(error: Exception) -> bool:
    # Python raises ProgrammingError if the connection is closed.
    codes = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return isinstance(error, sqlite3.ProgrammingError) or code(error) in codes


def _deliver(answers: list[tuple[asyncio.Future[Any], Any]], at_once: int) -> None:
    for future, result in answers[:at_once]:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
    if rest := answers[at_once:]:
        asyncio.get_running_loop().call_soon(_deliver, rest, at_once)
