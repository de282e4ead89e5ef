"""PostgreSQL's connections, by psycopg: a bounded pool, and what its errors say."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from .errors import DatabaseTimeoutError
from .waiting import Deadline, Turns

Pool: TypeAlias = AsyncConnectionPool[Any]
"""What can be handed in as `ChatStore(pool=…)`."""

DRIVER_ERRORS = (psycopg.Error,)

CONNECTION_FAILURE = "08006"

_PART_OF_WAIT = 1.0  # for a connection, in seconds


class Connection:
    """A connection, for the time of a call.

    Args:
        raw: psycopg's connection; whatever its own cursors and rows are set to.
    """

    def __init__(self, raw: AsyncConnection[Any]) -> None:
        self._raw = raw

    async def fetch(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement and give its rows."""
        cursor = AsyncRawCursor(self._raw, row_factory=tuple_row)
        await cursor.execute(statement.encode(), params)
        return await cursor.fetchall()

    async def execute(self, statement: str, params: Sequence[object]) -> int:
        """Run a statement and give the number of rows that it changed."""
        cursor = AsyncRawCursor(self._raw, row_factory=tuple_row)
        await cursor.execute(statement.encode(), params)
        return cursor.rowcount

    async def run(self, script: str) -> None:
        """Run any number of statements without parameters."""
        await self._raw.execute(script.encode())

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Begin a transaction, which ends with the block."""
        return self._raw.transaction()


class Connections:
    """A bounded pool of connections, our own or one that was handed in.

    Args:
        url: As libpq reads it: several hosts, TLS and `options` work.
        size: The most connections of our own pool.
        timeout: How long it may take to connect, in seconds, where the URL does not say.
        prepares: Whether the server may keep prepared statements, `on`, `off` or `auto`:
            unless there is a pooler, which may give them to others.
        pool: A pool to use instead, which is then neither opened nor closed here.

    Raises:
        ValueError: libpq cannot read the URL.
    """

    def __init__(
        self, url: str, size: int, timeout: float, prepares: str, pool: "Pool | None"
    ) -> None:
        self._url = url
        self._size = size
        self._timeout = timeout
        self._settings: dict[str, Any] = {
            "autocommit": True,  # a statement is one round trip, without BEGIN and COMMIT
            "client_encoding": "utf8",
            "prepare_threshold": None if prepares == "off" else 5,
        }
        self._prepares = prepares
        self._is_ours = pool is None
        self._pool = pool
        # A pool that was handed in is not ours alone: it says whose turn it is.
        self._turns: Turns[AsyncConnection[Any]] = Turns(sys.maxsize)
        if pool is None:
            try:
                given = conninfo_to_dict(url)
            except psycopg.ProgrammingError:  # its message may quote the password
                raise ValueError(
                    "libpq cannot read the URL: percent-encode what is special in its parts, "
                    "and use libpq's names for options"
                ) from None
            if "connect_timeout" not in given:
                self._settings["connect_timeout"] = max(2, round(timeout))

    async def open(self) -> None:
        """Make the pool, unless there is one; fails at once where nobody answers."""
        if self._pool is not None:
            return
        # The pool connects in the background, and keeps to itself what went wrong.
        async with await AsyncConnection.connect(self._url, **self._settings) as first:
            [(pid,)] = await (await first.execute("SELECT pg_backend_pid()")).fetchall()
            # A pooler tells each client of another process than the one that serves it.
            if self._prepares == "auto" and pid != first.info.backend_pid:
                self._settings["prepare_threshold"] = None
        pool = AsyncConnectionPool[Any](
            self._url,
            kwargs=self._settings,
            min_size=1,
            max_size=self._size,
            # Or it waits ever longer between its attempts to reach a server that is away.
            reconnect_timeout=_PART_OF_WAIT,
            open=False,
        )
        await pool.open()
        self._pool, self._turns = pool, Turns(self._size)

    async def close(self) -> None:
        """Close the pool if it is ours."""
        if self._is_ours and self._pool is not None:
            pool, self._pool = self._pool, None
            for raw in self._turns.idle:
                await pool.putconn(raw)
            await pool.close()

    @asynccontextmanager
    async def lend(
        self, timeout: float, seconds: float
    ) -> AsyncGenerator[Connection, None]:
        """Give a connection for the block, and take it back whatever happens in it.

        Args:
            timeout: How long to wait for one, in seconds.
            seconds: How long the block may take.

        Raises:
            TimeoutError: The block took longer.
            DatabaseTimeoutError: None became free, or could be made, in time (R33).
        """
        pool, turns = self._pool, self._turns
        assert pool is not None
        try:
            with Deadline(timeout):
                raw = await turns.take(partial(_take_from, pool))
        except TimeoutError:
            raise DatabaseTimeoutError(
                f"No connection to PostgreSQL became free within {self._timeout:g} s: "
                f"all of them (pool_size is {pool.max_size}) are busy, or the server cannot "
                "be reached."
            ) from None
        try:
            async with raw:  # commits or rolls back
                with Deadline(seconds):
                    yield Connection(raw)
        finally:
            try:
                is_idle = raw.pgconn.transaction_status == TransactionStatus.IDLE
                if is_idle and turns.is_awaited():
                    turns.idle.append(raw)
                else:
                    await pool.putconn(raw)
            finally:
                turns.end()


async def _take_from(pool: Pool) -> AsyncConnection[Any]:
    while True:
        # psycopg's pool gives up to connect although callers wait, and begins anew for
        # those who come.
        with suppress(PoolTimeout):
            raw: AsyncConnection[Any] = await pool.getconn(_PART_OF_WAIT)
            return raw


def sqlstate(error: Exception) -> str:
    """Give the SQLSTATE of a driver's error; CONNECTION_FAILURE where it has none."""
    return getattr(error, "sqlstate", None) or CONNECTION_FAILURE


def message(error: Exception) -> str:
    """Give what the server or libpq says, without the detail that quotes rows (R39)."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).partition("\n")[0]
