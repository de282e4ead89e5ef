"""Connections to MySQL and MariaDB, by asyncmy: a bounded pool, and what errors mean.

Statements are prepared on the server, so that values never become a part of SQL text.
"""

import contextlib
import ssl
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
import asyncmy
import asyncmy.errors
from asyncmy.pool import Pool as AsyncmyPool

from .errors import DatabaseError, DatabaseTimeoutError
from .waiting import Deadline, Turns

Pool: TypeAlias = AsyncmyPool
"""What can be handed in as `ChatStore(pool=…)`."""

# asyncmy's types leave out most of what these two have.
RawConnection: TypeAlias = Any
_asyncmy: Any = asyncmy

DRIVER_ERRORS = (asyncmy.errors.MySQLError, OSError, EOFError)

CONNECTION_LOST = 2013
NOT_READY = 1047


@dataclass(frozen=True)
class Target:
    """Where the database is.

    Attributes:
        hosts: Each a name and a port; the first that answers is used.
        user: Who connects.
        password: The password, or "".
        database: The database's name.
        socket: The path of a Unix socket to use instead of the hosts, or None.
        tls: The settings of TLS, or None for a connection without.
    """

    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str
    database: str
    socket: str | None
    tls: ssl.SSLContext | None


class Connection:
    """A connection, set up for the Store, with the statements that it has prepared.

    Args:
        raw: asyncmy's connection.
    """

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw
        self._longest = 2**24
        self._prepared: dict[str, Any] = {}

    async def set_up(self, lock_timeout: int) -> None:
        """Set the session up.

        Args:
            lock_timeout: How long a statement waits for a lock, in whole seconds.
        """
        asked = (
            "SHOW VARIABLES WHERE variable_name IN ('max_allowed_packet', 'wsrep_on')"
        )
        known = dict(await self.fetch(asked))
        self._longest = int(known["max_allowed_packet"])
        settings = [
            "autocommit = 1",
            "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            f"lock_wait_timeout = {lock_timeout}",
            f"innodb_lock_wait_timeout = {lock_timeout}",
        ]
        if known.get("wsrep_on") == "ON":
            # On a node of a Galera cluster: see first what the others have acknowledged.
            settings.append("wsrep_sync_wait = 7")
        await self.run(f"SET SESSION {', SESSION '.join(settings)}")
        await self.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        if known.get("wsrep_on") == "ON":
            [(_, ready)] = await self.fetch("SHOW STATUS LIKE 'wsrep_ready'")
            if ready != "ON":  # cut off from the others; they may be reached
                raise asyncmy.errors.OperationalError(NOT_READY, "Node is not ready")

    async def fetch(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement and give its rows."""
        result = await self._execute(statement, params)
        return list(result.rows)

    async def execute(self, statement: str, params: Sequence[object]) -> int:
        """Run a statement and give the number of rows that it changed."""
        size = sum(len(param.encode()) for param in params if isinstance(param, str))
        if size + 1024 > self._longest:
            raise DatabaseError(
                f"The row has {size:,} bytes, more than the server takes: its "
                f"max_allowed_packet is {self._longest:,}"
            )
        result = await self._execute(statement, params)
        return int(result.affected_rows)

    async def run(self, statement: str) -> None:
        """Run a statement without parameters."""
        await self.raw.query(statement)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """Begin a transaction, which ends with the block."""
        await self.raw.begin()
        yield  # after an error the connection is closed, which rolls back
        await self.raw.commit()

    async def _execute(self, statement: str, params: Sequence[object]) -> Any:
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = await self.raw.prepare(statement)
            self._prepared[statement] = prepared
        return await prepared.execute(params)


class Connections:
    """A bounded pool of connections, our own or one that was handed in.

    Args:
        target: Where to connect; not used where there is a pool.
        size: The most connections of our own pool.
        timeout: How long it may take to connect, in seconds.
        lock_timeout: How long a statement waits for a lock on the server, in seconds.
        pool: A pool to use instead, which is not closed here. Its connections are set up
            as our own are when they are first used.
    """

    def __init__(
        self,
        target: Target | None,
        size: int,
        timeout: float,
        lock_timeout: float,
        pool: Pool | None,
    ) -> None:
        self._target = target
        self._size = size
        self._timeout = timeout
        self._lock_timeout = max(1, round(lock_timeout))
        self._pool = pool
        self._host = 0  # of target.hosts, the one that answered last
        self._turns: Turns[Connection] | None = None

    async def open(self) -> None:
        """Make the pool, unless there is one; fails at once where nobody answers."""
        if self._turns is None:
            turns: Turns[Connection] = Turns(self._size)
            if self._pool is None:
                turns.idle.append(await self._connect())
            self._turns = turns

    async def close(self) -> None:
        """Close the connections; a pool that was handed in keeps its own."""
        turns, self._turns = self._turns, None
        while turns is not None and turns.idle:
            with contextlib.suppress(*DRIVER_ERRORS):  # the server may be gone
                await turns.idle.pop().raw.ensure_closed()

    @contextlib.asynccontextmanager
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
        turns = self._turns
        assert turns is not None
        try:
            with Deadline(timeout):
                connection = await turns.take(self._take)
        except TimeoutError:
            raise DatabaseTimeoutError(
                f"No connection to the server became free within {self._timeout:g} s: all of "
                f"them (pool_size is {self._size}) are busy, or the server cannot be reached."
            ) from None
        try:
            with Deadline(seconds):
                yield connection
        except BaseException:
            # Its answer may still be under way, or a transaction open.
            connection.raw.close()
            raise
        finally:
            if self._pool is not None:
                self._pool.release(connection.raw)
            elif connection.raw.connected and self._turns is turns:  # not closed since
                turns.idle.append(connection)
            else:
                connection.raw.close()
            turns.end()

    async def _take(self) -> Connection:
        if self._pool is None:
            return await self._connect()
        raw: RawConnection = await self._pool.acquire()
        try:
            known: Connection | None = getattr(raw, "chat_store", None)
            if known is None:
                known = raw.chat_store = await self._set_up(raw)
        except BaseException:
            self._pool.release(raw)
            raise
        return known

    async def _connect(self) -> Connection:
        target = self._target
        assert target is not None
        count = len(target.hosts)
        for attempt in range(count):
            turn = (self._host + attempt) % count
            try:
                connection = await self._connect_to(target, turn, self._timeout / count)
            except DRIVER_ERRORS:
                if attempt == count - 1:
                    raise
            else:
                self._host = turn
                return connection
        raise AssertionError("there is no host")

    async def _connect_to(
        self, target: Target, turn: int, seconds: float
    ) -> Connection:
        host, port = target.hosts[turn]
        # asyncmy's own time-out ends when something has accepted the connection.
        with anyio.move_on_after(seconds):
            raw = await _asyncmy.connect(
                host=host,
                port=port,
                user=target.user,
                password=target.password.encode(),
                database=target.database,
                unix_socket=target.socket,
                charset="utf8mb4",
                connect_timeout=max(1, round(seconds)),
                ssl=target.tls,
            )
            return await self._set_up(raw)
        raise TimeoutError(f"{host} did not answer within {seconds:g} s")

    async def _set_up(self, raw: RawConnection) -> Connection:
        connection = Connection(raw)
        try:
            await connection.set_up(self._lock_timeout)
        except BaseException:
            raw.close()
            raise
        return connection


def error_code(error: Exception) -> int:
    """Give the server's number of an error; CONNECTION_LOST where it has none."""
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) and code > 0 else CONNECTION_LOST
