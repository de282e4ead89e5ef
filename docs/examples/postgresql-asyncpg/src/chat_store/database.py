"""Runs statements on the server: transactions, retries and timeouts.

A call acquires a connection, runs its statements and releases the connection; after any
error, the connection is discarded. If the connection is lost, or locks conflict, the
call is retried until `pool_timeout` has passed. A write that was committed may thus run
twice, which is safe: every write can be repeated, and the last one wins.

`dialect.py` contains the code that is specific to this server.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar, Unpack
from weakref import WeakValueDictionary

from . import dialect, statements
from .connections import DRIVER_ERRORS, Connection, Connections, DriverOptions
from .errors import DatabaseError, DatabaseTimeoutError
from .migrate import Migration

T = TypeVar("T")


class DatabaseOptions(DriverOptions, total=False):
    """The database's options of `ChatStore(url, …)`.

    Attributes:
        pool_size: The maximum number of connections (default: 10); also set it if you
            pass a pool, to the size of the pool.
        pool_timeout: How long a call waits for a connection, on MySQL also for a lock,
            and is retried if the connection is lost, locks conflict or the server is
            unreachable, in seconds (default: 10).
        statement_timeout: The limit for a call's statements, in seconds (default: 30).
        connections: An object with the methods of `Connections`, instead of a URL.
    """

    pool_size: int
    pool_timeout: float
    statement_timeout: float
    connections: Connections | None


class Database:
    """A database on a server, at a URL of `dialect.py`.

    The options are those of `DatabaseOptions`; invalid ones raise a ValueError.
    """

    name = "the database"

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = 10.0,
        statement_timeout: float = 30.0,
        connections: Connections | None = None,
        **options: Unpack[DriverOptions],
    ) -> None:
        for name, value in (
            ("pool_size", pool_size),
            ("pool_timeout", pool_timeout),
            ("statement_timeout", statement_timeout),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and more than 0, not {value}")
        if connections is None:
            target = None if options.get("pool") else dialect.parse_url(url)
            connections = Connections(target, pool_size, pool_timeout, **options)
        elif options:
            raise ValueError(f"{next(iter(options))} cannot be used with connections")
        self._connections = connections
        self._pool_timeout = pool_timeout
        self._statement_timeout = statement_timeout
        self._no_connection = (
            f"No connection became available within {pool_timeout:g} s: all of them "
            f"(pool_size={pool_size}) are in use, possibly by one owner, or the server "
            "cannot be reached."
        )
        self._no_answer = f"The server did not answer within {statement_timeout:g} s."
        self._reads: set[asyncio.Task[Any]] = set()
        self._pool_size = pool_size
        # An owner's semaphore is garbage-collected after the owner's last call.
        self._limits: WeakValueDictionary[str, asyncio.Semaphore] = (
            WeakValueDictionary()
        )

    async def open(self) -> None:
        """Connect; retries while the server is starting, or temporarily full."""
        no_answer = f"The server did not answer within {self._pool_timeout:g} s."

        async def attempt(remaining: float) -> None:
            # At least 1 s, so that a server that responds can report its error.
            with _Deadline(max(remaining, 1.0), no_answer):
                await self._connections.open()

        await self._retry(attempt)

    async def close(self) -> None:
        """Finish running reads, then disconnect."""
        while self._reads:
            await asyncio.wait(self._reads)
        await self._connections.close()

    async def read(
        self, statement: str, params: Sequence[object] = (), *, owner: str = ""
    ) -> list[tuple[Any, ...]]:
        """Run one statement that changes nothing.

        If the caller is cancelled, the read still finishes: cancelling it on the server
        would cost a connection, and take longer.

        Args:
            statement: From `statements.py`.
            params: Its parameters, in order.
            owner: The owner who makes the call; empty for maintenance.

        Raises:
            DatabaseTimeoutError: No connection, or no response, within the timeout.
            DatabaseError: The server cannot be reached, or rejected the statement.
        """

        def fetch(connection: Connection) -> Coroutine[Any, Any, list[tuple[Any, ...]]]:
            return connection.fetch(statement, params)

        call = self._call(fetch, self._statement_timeout, owner)
        task = asyncio.create_task(call)
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)
        return await asyncio.shield(task)

    async def write(self, *steps: tuple[str, Sequence[object]], owner: str = "") -> int:
        """Run statements in one transaction; arguments and errors as for `read`.

        Returns:
            The number of rows changed, once the server has committed.
        """
        execute = partial(_execute, steps)
        return await self._call(execute, self._statement_timeout, owner)

    async def applied_migrations(self) -> dict[int, int]:
        """Return the applied versions, each with the oldest code that it supports."""
        if not await self.read(statements.HAS_MIGRATIONS):
            return {}
        return dict(await self.read(statements.LIST_MIGRATIONS))

    async def is_exposed(self) -> bool:
        """Return whether data crosses a network without TLS."""
        return await self._call(dialect.is_exposed, self._statement_timeout)

    async def apply(self, migration: Migration) -> bool:
        """Apply and record a migration; False if another process has done it."""
        apply = partial(dialect.apply, migration)
        while (applied := await self._call(apply, None)) is None:
            await asyncio.sleep(0.05)  # another process is migrating
        return applied

    async def _call(
        self,
        action: Callable[[Connection], Awaitable[T]],
        seconds: float | None,
        owner: str = "",
    ) -> T:
        return await self._retry(partial(self._attempt, action, seconds, owner))

    async def _retry(self, attempt: Callable[[float], Awaitable[T]]) -> T:
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._pool_timeout
        attempts = 0
        while True:
            try:
                return await attempt(give_up - clock())
            except DatabaseError:  # some are OSErrors, too
                raise
            except DRIVER_ERRORS as error:
                if not dialect.is_transient(error) or clock() >= give_up:
                    raise dialect.describe(error) from None
            # Immediately at first: the pool may contain more lost connections.
            await asyncio.sleep(min(0.01 * attempts, 0.5) * random.random())
            attempts += 1

    async def _attempt(
        self,
        action: Callable[[Connection], Awaitable[T]],
        seconds: float | None,
        owner: str,
        remaining: float,
    ) -> T:
        connection = None
        # All calls wait in one queue for a connection. So that no owner blocks the
        # others, each has at most `pool_size` calls in it (R44).
        limit = self._limits.setdefault(owner, asyncio.Semaphore(self._pool_size))
        deadline = _Deadline(max(remaining, 0.001), self._no_connection)
        try:
            with deadline:
                async with limit:
                    connection = await self._connections.acquire()
                    deadline.move(seconds, self._no_answer)
                    result = await action(connection)
                    await self._connections.release(connection)
        except BaseException:
            if connection is not None:
                await self._connections.discard(connection)
                if deadline.cancellations:
                    # If the network was cut silently, the others are dead, too.
                    await self._connections.expire()
            raise
        return result


class _Deadline:
    """Cancels a block that takes too long, and raises `DatabaseTimeoutError`.

    A cancelled driver has the server cancel the statement and waits for the response,
    which never comes if the network is down. So the task is cancelled again every
    second; `asyncio.timeout` cancels only once, and is slower.
    """

    def __init__(self, seconds: float, message: str) -> None:
        self.cancellations = 0
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._due = self._loop.time() + seconds
        self._message = message

    def __enter__(self) -> None:
        self._timer = self._loop.call_at(self._due, self._expire)

    def move(self, seconds: float | None, message: str) -> None:
        """Restart with another time (None for no limit) and another message."""
        self._due = self._loop.time() + (math.inf if seconds is None else seconds)
        self._message = message
        if self._due < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._expire)

    def __exit__(
        self, error_type: type[BaseException] | None, *details: object
    ) -> None:
        self._timer.cancel()
        for _ in range(self.cancellations):
            assert self._task is not None
            self._task.uncancel()
        if self.cancellations and error_type is not None:
            raise DatabaseTimeoutError(self._message) from None

    def _expire(self) -> None:
        # `move` keeps a timer that fires too early: a new one would slow every call.
        if (now := self._loop.time()) >= self._due:
            assert self._task is not None
            self.cancellations += 1
            self._task.cancel()
            self._due = now + 1.0
        if self._due < math.inf:
            self._timer = self._loop.call_at(self._due, self._expire)


async def _execute(
    steps: Sequence[tuple[str, Sequence[object]]], connection: Connection
) -> int:
    if len(steps) == 1:
        return await connection.execute(*steps[0])
    async with connection.transaction():
        return sum([await connection.execute(*step) for step in steps])
