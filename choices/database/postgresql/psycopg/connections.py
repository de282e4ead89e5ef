"""Connections to PostgreSQL, by psycopg and its pool."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeAlias, TypedDict

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Pool: TypeAlias = AsyncConnectionPool[Any]

DRIVER = "psycopg"
DRIVER_ERRORS = (psycopg.Error,)

_CONNECTION_FAILURE = "08006"
_REFUSALS = ("authentication failed", "does not exist", "pg_hba.conf", "certificate")

_RETRY_INTERVAL = 1.0  # seconds between the pool's attempts to reconnect


class DriverOptions(TypedDict, total=False):
    """The driver's options of `ChatStore(url, …)`.

    Attributes:
        pool: Your pool, instead of a URL; the Store neither opens nor closes it.
        prepared_statements: Whether to use prepared statements. The default is yes, but
            not with a pooler, which may run one client's for another.
    """

    pool: Pool | None
    prepared_statements: bool | None


class Connection:
    """A connection, acquired for one call; works with any settings of a given pool."""

    def __init__(self, raw: AsyncConnection[Any]) -> None:
        self.raw = raw
        self.has_autocommit = raw.autocommit  # outside the call

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
        """Return a transaction, as a context manager."""
        return self.raw.transaction()

    async def close(self) -> None:
        """Close the connection immediately, even during a statement."""
        await self.raw.close()


class Connections:
    """A bounded pool of connections.

    Args:
        url: In libpq's format; None if a pool is given.
        size: The maximum number of connections.
        timeout: The time limit for connecting, in seconds, and half of that for TCP
            acknowledgements; options of the URL take precedence.
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
        if pool is not None and prepared_statements is not None:
            raise ValueError("prepared_statements cannot be used with pool")
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
            # Load balancers drop connections that are idle for some minutes.
            "keepalives_idle": 60,
            "keepalives_interval": 10,
            # Leaves a call whose connection was cut silently time to retry.
            "tcp_user_timeout": round(timeout * 500),
        }
        self._settings: dict[str, Any] = {
            "autocommit": True,  # a statement is one round trip, without BEGIN and COMMIT
            "client_encoding": "utf8",
            "prepare_threshold": None if prepared_statements is False else 5,
            **{name: value for name, value in defaults.items() if name not in in_url},
        }

    async def open(self) -> None:
        """Open the pool, unless one was given; raises if no server responds."""
        if self._given is not None:
            return
        # The pool connects in the background, and does not report errors.
        async with await AsyncConnection.connect(self._url, **self._settings) as first:
            [(pid,)] = await (await first.execute("SELECT pg_backend_pid()")).fetchall()
            # A pooler reports another process id than that of the server.
            if self._prepares is None and pid != first.info.backend_pid:
                self._settings["prepare_threshold"] = None
        self._pool = AsyncConnectionPool[Any](
            self._url,
            kwargs=self._settings,
            min_size=1,
            max_size=self._size,
            # By default, the interval between attempts to reconnect grows.
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
        """Wait for a connection of the pool, without a time limit."""
        assert self._pool is not None
        while True:
            # After failed attempts to reconnect, the pool makes new ones only for new
            # callers, so this asks again.
            with suppress(PoolTimeout):
                connection = Connection(await self._pool.getconn(_RETRY_INTERVAL))
                if not connection.has_autocommit:
                    await connection.raw.set_autocommit(True)
                return connection

    async def release(self, connection: Connection) -> None:
        """Return a connection to the pool, with the pool's setting of autocommit."""
        assert self._pool is not None
        if not connection.has_autocommit:
            await connection.raw.set_autocommit(False)
        await self._pool.putconn(connection.raw)

    async def discard(self, connection: Connection) -> None:
        """Close a connection, and let the pool replace it."""
        assert self._pool is not None
        if connection.raw.broken:  # others may have been cut silently
            await self.expire()
        await connection.close()
        await self._pool.putconn(connection.raw)

    async def expire(self) -> None:
        """Replace all connections, except those of a given pool."""
        if self._given is None and self._pool is not None:
            await self._pool.drain()


def _unreadable(url: str, message: str) -> str:
    # libpq's message may quote the password, which may have a question mark in it.
    named = re.search(r'query parameter: ("\w+")', message)
    if named and "@" not in url.partition("?")[2]:
        return f"libpq has no option {named[1]}: use libpq's names in the URL"
    return (
        "libpq cannot read the URL: percent-encode special characters in its "
        "parts, and use libpq's names for options"
    )


def sqlstate(error: Exception) -> str:
    """Return the SQLSTATE of a driver's error, or "" for a client's own error."""
    if state := getattr(error, "sqlstate", None):
        return str(state)
    # psycopg's own errors have none: a lost or failed connection is an
    # OperationalError, or an InternalError with PgBouncer. Permanent refusals are
    # recognized by their text; in another language, they are retried, too.
    is_lost = isinstance(error, (psycopg.OperationalError, psycopg.InternalError))
    is_refused = any(reason in str(error) for reason in _REFUSALS)
    return _CONNECTION_FAILURE if is_lost and not is_refused else ""


def message(error: Exception) -> str:
    """Return the server's or libpq's message, without the detail that quotes rows."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).partition("\n")[0]
