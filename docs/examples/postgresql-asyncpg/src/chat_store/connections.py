"""PostgreSQL's connections, by asyncpg: a bounded pool, and what its errors say."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import anyio
import asyncpg

from .errors import DatabaseError, DatabaseTimeoutError
from .waiting import PATIENCE, Deadline, Turns

Pool: TypeAlias = "asyncpg.Pool[Any]"
"""What can be handed in as `ChatStore(pool=…)`."""

RawConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Any]"

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also where the server ends an idle connection
    OSError,
)

_TIMEOUTS = (TimeoutError, asyncio.TimeoutError)  # one class since Python 3.11

CONNECTION_FAILURE = "08006"


class Connection:
    """A connection, for the time of a call.

    Args:
        raw: asyncpg's connection.
    """

    def __init__(self, raw: RawConnection) -> None:
        self._raw = raw

    async def fetch(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement and give its rows."""
        return list(map(tuple, await self._raw.fetch(statement, *params)))

    async def execute(self, statement: str, params: Sequence[object]) -> int:
        """Run a statement and give the number of rows that it changed."""
        status = await self._raw.execute(statement, *params)
        return int(status.rpartition(" ")[2])

    async def run(self, script: str) -> None:
        """Run any number of statements without parameters."""
        await self._raw.execute(script)

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Begin a transaction, which ends with the block."""
        return cast(AbstractAsyncContextManager[object], self._raw.transaction())


class Connections:
    """A bounded pool of connections, our own or one that was handed in.

    Args:
        url: As asyncpg reads it: several hosts, TLS and `options` work.
        size: The most connections of our own pool.
        timeout: How long it may take to connect, in seconds.
        prepares: Whether the server may keep prepared statements, `on`, `off` or `auto`:
            unless there is a pooler, which may give them to others.
        pool: A pool to use instead, which is then neither opened nor closed here.
    """

    def __init__(
        self, url: str, size: int, timeout: float, prepares: str, pool: "Pool | None"
    ) -> None:
        self._url = url
        self._size = size
        self._timeout = timeout
        self._prepares = prepares
        self._is_ours = pool is None
        self._pool = pool
        # A pool that was handed in is not ours alone: it says whose turn it is.
        self._turns: Turns[RawConnection] = Turns(sys.maxsize)

    async def open(self) -> None:
        """Make the pool, unless there is one; fails at once where nobody answers."""
        if self._pool is not None:
            return
        self._turns = Turns(self._size)
        try:
            if self._prepares == "auto":
                self._prepares = "off" if await self._is_pooled() else "on"
            pool = asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._size,
                timeout=self._timeout,
                reset=_leave_alone,
                statement_cache_size=100 if self._prepares == "on" else 0,
            )
            await pool
        except _TIMEOUTS:
            raise DatabaseTimeoutError(
                f"PostgreSQL did not answer within {self._timeout:g} s."
            ) from None
        except OSError as error:  # a certificate's is a ValueError, too
            place = urlsplit(self._url).netloc.rpartition("@")[2] or "its socket"
            raise DatabaseError(
                f"PostgreSQL cannot be reached at {place}: {message(error)}"
            ) from None
        except (ValueError, asyncpg.ClientConfigurationError):
            raise DatabaseError(
                "asyncpg cannot read the URL: percent-encode what is special in its parts"
            ) from None
        self._pool = pool

    async def _is_pooled(self) -> bool:
        # A pooler tells each client of another process than the one that serves it.
        connection = await asyncpg.connect(
            self._url, timeout=self._timeout, statement_cache_size=0
        )
        try:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            return bool(pid != connection.get_server_pid())
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close the pool if it is ours."""
        if self._is_ours and self._pool is not None:
            pool, self._pool = self._pool, None
            # asyncpg waits for the server to hang up, which a lost one never does.
            with anyio.move_on_after(self._timeout):
                for raw in self._turns.idle:
                    await pool.release(raw)
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
            DatabaseTimeoutError: None became free in time (R33).
        """
        pool, turns = self._pool, self._turns
        assert pool is not None
        try:
            with Deadline(timeout):
                raw = await turns.take(pool.acquire)
        except _TIMEOUTS:
            raise DatabaseTimeoutError(
                f"No connection to PostgreSQL became free within {self._timeout:g} s: "
                f"all of them (pool_size is {pool.get_max_size()}) are busy, or the server "
                "cannot be reached."
            ) from None
        try:
            with Deadline(seconds):
                yield Connection(raw)
        except BaseException:
            # asyncpg first waits for the statement to be cancelled, or throws the
            # connection away. The error stands, whatever comes of that.
            with suppress(*_TIMEOUTS):
                await pool.release(raw, timeout=PATIENCE)
            raise
        else:
            if turns.is_awaited():
                turns.idle.append(raw)
            else:
                await pool.release(raw)
        finally:
            turns.end()


async def _leave_alone(connection: object) -> None:
    """Do without asyncpg's reset of a returned connection, which costs a round trip.

    The Store leaves no session state behind, and asyncpg itself rolls back what is open.
    """


def sqlstate(error: Exception) -> str:
    """Give the SQLSTATE of a driver's error; CONNECTION_FAILURE where it has none."""
    return getattr(error, "sqlstate", None) or CONNECTION_FAILURE


def message(error: Exception) -> str:
    """Give what the server says, without the detail that quotes rows (R39)."""
    if isinstance(error, OSError):  # its first argument is a number
        return error.strerror or str(error) or type(error).__name__
    return str(error.args[0] if error.args else error).partition("\n")[0]
