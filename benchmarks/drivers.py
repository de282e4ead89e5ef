"""The drivers by hand: a statement on the driver's own pool, and nothing around it.

What the rendered `connections.py` and `database.py` do less deadlines, retries, clean-up and errors,
with the same settings: no reset of a returned connection, prepared statements, as many connections.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiosqlite
import asyncmy
import asyncpg
from psycopg import AsyncRawCursor
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

Params = Sequence[object]
Rows = Sequence[Any]

POOL = 10
"""How many connections each contestant has, as the Store unless told otherwise."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Driver(ABC):
    """A database, by a driver's own pool.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect."""

    @abstractmethod
    async def fetch(self, statement: str, params: Params) -> Rows:
        """Run a statement and give its rows."""

    @abstractmethod
    async def execute(self, statement: str, params: Params = ()) -> None:
        """Run a statement that gives no rows."""

    def instant(self, moment: datetime) -> object:
        """Write a time as the tables hold it."""
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


class Psycopg(Driver):
    """psycopg with its pool."""

    async def open(self) -> None:
        self._pool = AsyncConnectionPool[Any](
            self.url, kwargs={"autocommit": True}, min_size=POOL, max_size=POOL, open=False
        )
        await self._pool.open(wait=True)

    async def close(self) -> None:
        await self._pool.close()

    async def fetch(self, statement: str, params: Params) -> Rows:
        async with self._pool.connection() as connection:
            cursor = AsyncRawCursor(connection, row_factory=tuple_row)
            await cursor.execute(statement.encode(), params)
            return await cursor.fetchall()

    async def execute(self, statement: str, params: Params = ()) -> None:
        async with self._pool.connection() as connection:
            await AsyncRawCursor(connection).execute(statement.encode(), params)

    def instant(self, moment: datetime) -> object:
        return moment.astimezone(UTC)


class Asyncpg(Driver):
    """asyncpg with its pool."""

    async def open(self) -> None:
        async def keep_session(connection: object) -> None:
            pass

        self._pool = await asyncpg.create_pool(
            self.url, min_size=POOL, max_size=POOL, reset=keep_session
        )

    async def close(self) -> None:
        await self._pool.close()

    async def fetch(self, statement: str, params: Params) -> Rows:
        async with self._pool.acquire() as connection:
            return await connection.fetch(statement, *params)

    async def execute(self, statement: str, params: Params = ()) -> None:
        async with self._pool.acquire() as connection:
            await connection.execute(statement, *params)

    def instant(self, moment: datetime) -> object:
        return moment.astimezone(UTC)


class Asyncmy(Driver):
    """asyncmy, with a queue of connections: its own pool does not keep prepared statements."""

    async def open(self) -> None:
        self._idle: asyncio.LifoQueue[tuple[Any, dict[str, Any]]] = asyncio.LifoQueue()
        parts = urlsplit(self.url)
        connect: Any = asyncmy.connect
        for _ in range(POOL):
            connection = await connect(
                host=parts.hostname,
                port=parts.port,
                user=parts.username,
                password=parts.password or "",
                database=parts.path[1:],
                charset="utf8mb4",
            )
            await connection.query("SET SESSION autocommit = 1")
            await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            self._idle.put_nowait((connection, {}))

    async def close(self) -> None:
        while not self._idle.empty():
            await self._idle.get_nowait()[0].ensure_closed()

    async def fetch(self, statement: str, params: Params) -> Rows:
        connection, prepared = await self._idle.get()
        try:
            if statement not in prepared:
                prepared[statement] = await connection.prepare(statement)
            result = await prepared[statement].execute(params)
            rows: Rows = result.rows
            return rows
        finally:
            self._idle.put_nowait((connection, prepared))

    async def execute(self, statement: str, params: Params = ()) -> None:
        await self.fetch(statement, params)


class Aiosqlite(Driver):
    """One connection of aiosqlite, and a transaction for each write, under a lock."""

    async def open(self) -> None:
        self._lock = asyncio.Lock()
        self._connection = await aiosqlite.connect(
            self.url.removeprefix("sqlite:///"), isolation_level=None
        )
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            await self._connection.execute(f"PRAGMA {setting}")

    async def close(self) -> None:
        await self._connection.close()

    async def fetch(self, statement: str, params: Params) -> Rows:
        return list(await self._connection.execute_fetchall(statement, params))

    async def execute(self, statement: str, params: Params = ()) -> None:
        async with self._lock:
            await self._connection.execute("BEGIN")
            await self._connection.execute(statement, params)
            await self._connection.execute("COMMIT")


DRIVERS: dict[str, type[Driver]] = {
    "sqlite": Aiosqlite,
    "postgresql-psycopg": Psycopg,
    "postgresql-asyncpg": Asyncpg,
    "mysql": Asyncmy,
}
"""The driver of each flavor."""
