"""SQLite's connections, each on a thread of its own (R32).

One thread writes and a few read. A thread takes all the calls that wait for it, runs
them in one transaction and then answers them together: concurrent writes share one
commit, and each is acknowledged once it is on disk (R35).
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from .errors import DatabaseError, DatabaseTimeoutError

T = TypeVar("T")

MEMORY = ":memory:"
"""The path of a private database in memory."""

_MOST_CALLS = 64  # of one transaction, so that its first does not wait long
_READS_AT_ONCE = 1  # that go on in one turn of the loop, since a page is long to parse


class Connections:
    """A thread that writes, and some that read, on one database.

    Args:
        path: The file, or MEMORY.
        synchronous: SQLite's setting of that name, "full" or "normal".
        readers: How many threads read.
        timeout: How long a call waits for its turn, or for another process that is
            writing, in seconds.
    """

    def __init__(
        self, path: str, synchronous: str, readers: int, timeout: float
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._timeout = timeout
        self._writes = _Calls()
        self._reads = _Calls()
        self._readers = readers
        self._memory: sqlite3.Connection | None = None
        if path == MEMORY:
            # Such a database lives in its one connection, which then serves reads too.
            self._memory = self._connect_anew()
            self._reads, self._readers = self._writes, 0
        self.workers: list[Worker] = []
        self._lifecycle = threading.Lock()

    def submit_read(self, run: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Have a call run that changes nothing; give the future of its result."""
        return self._reads.add(run, self._timeout)

    def submit_write(self, run: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Have a call run that writes; its future is done once the commit is on disk."""
        return self._writes.add(run, self._timeout)

    def open(self) -> None:
        """Start the threads, unless they run; blocks, and is safe in any thread.

        Raises:
            DatabaseError: The file cannot be opened or created.
        """
        with self._lifecycle:
            if self.workers:
                return
            readers = [
                Worker(self, self._reads, "BEGIN", _READS_AT_ONCE)
                for _ in range(self._readers)
            ]
            writer = Worker(self, self._writes, "BEGIN IMMEDIATE", _MOST_CALLS)
            self.workers = [writer, *readers]
            for worker in self.workers:
                worker.start()

    def close(self) -> None:
        """Let the threads finish their calls, and end them; blocks like `open`."""
        with self._lifecycle:
            if not self.workers:
                return
            self._writes.end()
            for _ in range(self._readers):
                self._reads.end()
            for worker in self.workers:
                worker.join()
                if worker.connection is not self._memory:
                    worker.connection.close()
            self.workers = []

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
class _Call:
    """A call that waits for its thread."""

    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    deadline: float


_Outcome: TypeAlias = "tuple[asyncio.Future[Any], Any, Exception | None]"


class _Calls:
    """The calls that wait for the threads of a kind.

    Those that are made in one turn of an event loop are handed over together, at its end.
    A thread that began with the first would contend with the loop for Python's lock.
    """

    def __init__(self) -> None:
        self._ready: SimpleQueue[list[_Call] | None] = SimpleQueue()
        self._new: dict[asyncio.AbstractEventLoop, list[_Call]] = {}

    def add(
        self, run: Callable[[sqlite3.Connection], T], timeout: float
    ) -> asyncio.Future[T]:
        """Add a call, which has so many seconds to begin; give the future of its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if loop not in self._new:
            self._new[loop] = []
            loop.call_soon(self._hand_over, loop)
        self._new[loop].append(_Call(run, future, time.monotonic() + timeout))
        return future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        new = self._new.pop(loop)
        for start in range(0, len(new), _MOST_CALLS):
            self._ready.put(new[start : start + _MOST_CALLS])

    def end(self) -> None:
        """Have one thread stop, after the calls so far."""
        self._ready.put(None)

    def take(self) -> list[_Call]:
        """Wait for calls, and take all that fit into a transaction; none means to stop."""
        batch = self._ready.get() or []
        while 0 < len(batch) < _MOST_CALLS:
            try:
                more = self._ready.get_nowait()
            except Empty:
                break
            if more is None:  # serve these first, and stop at the next turn
                self._ready.put(None)
                break
            batch += more
        return batch


class Worker(threading.Thread):
    """A thread with a connection, which runs on it the calls that wait.

    Args:
        connections: Where it belongs.
        calls: What it takes its calls from.
        begin: The statement that begins its transactions.
        at_once: How many calls may go on in one turn of their event loop.
    """

    def __init__(
        self, connections: Connections, calls: _Calls, begin: str, at_once: int
    ) -> None:
        super().__init__(name="chat_store", daemon=True)
        self._connections = connections
        self._calls = calls
        self._begin = begin
        self._at_once = at_once
        self.connection = connections.connect()

    def run(self) -> None:
        """Serve until it is to stop."""
        while batch := self._calls.take():
            now = time.monotonic()
            late = [call for call in batch if call.deadline < now]
            self._deliver(
                [(call.future, None, self._connections.late()) for call in late]
            )
            if in_time := [call for call in batch if call.deadline >= now]:
                self._serve(in_time)

    def _serve(self, batch: list[_Call]) -> None:
        try:
            results = self._transact(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it
            if len(batch) > 1 and not _is_locked(error):
                # All were rolled back because of one, which must not fail the others.
                for call in batch:
                    self._serve([call])
                return
            failure = (
                self._connections.describe(error)
                if isinstance(error, sqlite3.Error)
                else error
            )
            self._deliver([(call.future, None, failure) for call in batch])
        else:
            self._deliver(
                [(call.future, result, None) for call, result in zip(batch, results)]
            )

    def _transact(self, batch: list[_Call], retry: bool = True) -> list[Any]:
        try:
            self.connection.execute(self._begin)
            results = [call.run(self.connection) for call in batch]
            self.connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                self.connection.rollback()
            if retry and _is_broken(error):
                with contextlib.suppress(sqlite3.Error):
                    self.connection.close()
                self.connection = self._connections.connect()
                return self._transact(batch, retry=False)
            raise
        return results

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        # One wake-up for all the calls of a transaction; they share a loop, except in odd
        # programs.
        for loop in {future.get_loop() for future, _, _ in outcomes}:
            mine = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
            with contextlib.suppress(RuntimeError):  # it was closed, and nobody waits
                loop.call_soon_threadsafe(_resolve, mine, self._at_once)


def fetch(
    connection: sqlite3.Connection, statement: str, params: Sequence[object]
) -> list[tuple[Any, ...]]:
    """Run a statement and give its rows; damaged text spoils its own row only (R29)."""
    try:
        return connection.execute(statement, params).fetchall()
    except sqlite3.OperationalError as error:
        if "Could not decode" not in str(error):
            raise
    # Only then, since a call for each value costs a third of the time of a page.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        return connection.execute(statement, params).fetchall()
    finally:
        connection.text_factory = str


def _resolve(outcomes: list[_Outcome], at_once: int) -> None:
    for future, result, error in outcomes[:at_once]:
        if future.done():  # its caller was cancelled
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    if others := outcomes[at_once:]:
        asyncio.get_running_loop().call_soon(_resolve, others, at_once)


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
