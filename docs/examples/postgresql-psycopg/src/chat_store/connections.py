"""PostgreSQL's connections, by psycopg and its pool."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeAlias, TypedDict

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Pool: TypeAlias = AsyncConnectionPool[Any]

DRIVER = "psycopg"
DRIVER_ERRORS = (psycopg.Error,)

_CONNECTION_FAILURE = "08006"
_REFUSALS = ("authentication failed", "does not exist", "pg_hba.conf", "certificate")

_RETRY_INTERVAL = 1.0  # of the pool, to reach a server that is away; in seconds


class DriverOptions(TypedDict, total=False):
    """What `ChatStore(url, …)` passes on to the driver.

    Attributes:
        pool: A pool of yours to use instead of a URL; it is neither opened nor closed.
        prepared_statements: Whether the server keeps prepared statements. Unless given,
            it does where there is no pooler, which may run one client's for another.
    """

    pool: Pool | None
    prepared_statements: bool | None


class Connection:
    """A connection, for the time of a call, whatever its pool has set it to."""

    def __init__(self, raw: AsyncConnection[Any]) -> None:
        self.raw = raw

    async def fetch(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        cursor = AsyncRawCursor(self.raw, row_factory=tuple_row)
        await cursor.execute(statement.encode(), params)
        return await cursor.fetchall()

    async def execute(self, statement: str, params: Sequence[object]) -> int:
        """Run a statement and return the number of rows that it changed."""
        cursor = AsyncRawCursor(self.raw, row_factory=tuple_row)
        await cursor.execute(statement.encode(), params)
        return cursor.rowcount

    async def run(self, script: str) -> None:
        """Run any number of statements without parameters."""
        await self.raw.execute(script.encode())

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Begin a transaction, which ends with the block."""
        return self.raw.transaction()

    async def close(self) -> None:
        """Close the connection at once, whatever it is doing."""
        await self.raw.close()


class Connections:
    """A bounded pool of connections.

    Args:
        url: As libpq reads it; None where a pool is given.
        size: The most connections.
        timeout: How long it may take to connect, in seconds, and half of that what is
            sent may stay without an acknowledgement, where the URL does not say.
    """

    def __init__(
        self,
        url: str | None,
        size: int,
        timeout: float,
        *,
        pool: "Pool | None" = None,
        prepared_statements: bool | None = None,
    ) -> None:
        self._url = url or ""
        self._size = size
        self._prepares = prepared_statements
        self._given = pool
        self._pool = pool
        try:
            in_url = conninfo_to_dict(self._url)
        except psycopg.ProgrammingError as error:
            raise ValueError(_unreadable(self._url, str(error))) from None
        defaults = {
            "connect_timeout": max(2, round(timeout)),
            # Load balancers drop what is idle for some minutes.
            "keepalives_idle": 60,
            "keepalives_interval": 10,
            # A call whose connection was cut silently has time for another.
            "tcp_user_timeout": round(timeout * 500),
        }
        self._settings: dict[str, Any] = {
            "autocommit": True,  # a statement is one round trip, without BEGIN and COMMIT
            "client_encoding": "utf8",
            "prepare_threshold": None if prepared_statements is False else 5,
            **{name: value for name, value in defaults.items() if name not in in_url},
        }

    async def open(self) -> None:
        """Open the pool, unless one was given; raises where nobody answers."""
        if self._given is not None:
            return
        # The pool connects in the background, and does not say what went wrong.
        async with await AsyncConnection.connect(self._url, **self._settings) as first:
            [(pid,)] = await (await first.execute("SELECT pg_backend_pid()")).fetchall()
            # A pooler tells its clients another process than the one that serves them.
            if self._prepares is None and pid != first.info.backend_pid:
                self._settings["prepare_threshold"] = None
        self._pool = AsyncConnectionPool[Any](
            self._url,
            kwargs=self._settings,
            min_size=1,
            max_size=self._size,
            # By default it waits ever longer between attempts to reach a server.
            reconnect_timeout=_RETRY_INTERVAL,
            open=False,
        )
        await self._pool.open()

    async def close(self) -> None:
        """Close the pool, unless it was given."""
        if self._given is None and self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    async def acquire(self) -> Connection:
        """Wait for a connection of the pool, however long that takes."""
        assert self._pool is not None
        while True:
            # When attempts to reconnect have failed, the pool begins new ones only for
            # callers that come after that: come again.
            with suppress(PoolTimeout):
                return Connection(await self._pool.getconn(_RETRY_INTERVAL))

    async def release(self, connection: Connection) -> None:
        """Give a connection back, after a commit where its pool has begun a transaction."""
        assert self._pool is not None
        if connection.raw.pgconn.transaction_status != TransactionStatus.IDLE:
            await connection.raw.commit()
        await self._pool.putconn(connection.raw)

    async def discard(self, connection: Connection) -> None:
        """Close a connection, and let the pool replace it."""
        assert self._pool is not None
        if connection.raw.broken:  # what has cut it may have cut others, silently
            await self.expire()
        await connection.close()
        await self._pool.putconn(connection.raw)

    async def expire(self) -> None:
        """Replace all connections, but for those of a pool that was given."""
        if self._given is None and self._pool is not None:
            await self._pool.drain()


def _unreadable(url: str, message: str) -> str:
    # libpq's message may quote the password, which may have a question mark in it.
    named = re.search(r'query parameter: ("\w+")', message)
    if named and "@" not in url.partition("?")[2]:
        return f"libpq has no option {named[1]}: use libpq's names in the URL"
    return (
        "libpq cannot read the URL: percent-encode what is special in its parts, "
        "and use libpq's names for options"
    )


def sqlstate(error: Exception) -> str:
    """Return the SQLSTATE of a driver's error, or "" for a mistake of the client's."""
    if state := getattr(error, "sqlstate", None):
        return str(state)
    # psycopg's own errors have none: a lost connection is an OperationalError, behind
    # PgBouncer also an InternalError, and so is one that cannot be made. Those that a
    # server refuses for good are told by their text; in another language they are tried
    # again in vain.
    is_lost = isinstance(error, (psycopg.OperationalError, psycopg.InternalError))
    is_refused = any(reason in str(error) for reason in _REFUSALS)
    return _CONNECTION_FAILURE if is_lost and not is_refused else ""


def message(error: Exception) -> str:
    """Return what the server or libpq says, without the detail that quotes rows."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).partition("\n")[0]
