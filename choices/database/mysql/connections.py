"""Connections to MySQL and MariaDB, by asyncmy.

Statements are prepared on the server, so that values are never part of SQL text.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypedDict

import asyncmy
import asyncmy.errors
from asyncmy.constants.CLIENT import SSL
from asyncmy.pool import Pool as AsyncmyPool

Pool: TypeAlias = AsyncmyPool

# asyncmy's types omit most attributes of these two.
RawConnection: TypeAlias = Any
_asyncmy: Any = asyncmy

DRIVER = "asyncmy"
DRIVER_ERRORS = (asyncmy.errors.MySQLError, OSError, EOFError)

_CONNECTION_LOST = 2013
_NOT_READY = 1047
_READ_ONLY = 1836
_REFUSED = (1048,)  # "Column 'saves' cannot be null", in the server's language

_CLOSING = 1.0  # seconds for closing a connection: with TLS, the server has to answer
_MAX_IDLE = 200.0  # seconds: load balancers drop connections idle for some minutes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class DriverOptions(TypedDict, total=False):
    """The driver's options of `ChatStore(url, …)`.

    Attributes:
        pool: Your asyncmy pool, instead of a URL; the Store does not close it, but
            changes the settings of its sessions, so nothing else should use it.
    """

    pool: Pool | None


@dataclass(frozen=True)
class Target:
    """The address of the database, and how to connect."""

    hosts: tuple[tuple[str, int], ...]  # the first that responds is used
    user: str
    password: str = field(repr=False)
    database: str
    socket: str | None  # the path of a Unix socket to use instead of the hosts
    tls: ssl.SSLContext | None  # None for no TLS
    requires_tls: bool  # whether to reject a server without TLS


class Connection:
    """A connection with its prepared statements."""

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw
        self.host = 0
        self.idle_since = time.monotonic()
        self.is_read_only = False
        self._longest = 2**24
        self._prepared: dict[str, Any] = {}

    async def set_up(self, lock_timeout: int) -> None:
        """Set up the session; a statement waits `lock_timeout` seconds for a lock."""
        if self.raw.character_set_name() != "utf8mb4":
            raise ValueError("Create the pool with charset='utf8mb4'")
        asked = "'max_allowed_packet', 'wsrep_on', 'read_only', 'innodb_read_only'"
        known = dict(
            await self.fetch(f"SHOW VARIABLES WHERE variable_name IN ({asked})")
        )
        self._longest = int(known["max_allowed_packet"])
        self.is_read_only = {known["read_only"], known["innodb_read_only"]} != {"OFF"}
        settings = [
            "autocommit = 1",
            "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            f"lock_wait_timeout = {lock_timeout}",
            f"innodb_lock_wait_timeout = {lock_timeout}",
        ]
        if known.get("wsrep_on") == "ON":
            # On a Galera node: wait for the writes that other nodes have acknowledged.
            settings.append("wsrep_sync_wait = 7")
        await self.run(f"SET SESSION {', SESSION '.join(settings)}")
        await self.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        if known.get("wsrep_on") == "ON":
            [(_, ready)] = await self.fetch("SHOW STATUS LIKE 'wsrep_ready'")
            if ready != "ON":  # cut off from the other nodes, which may be reachable
                raise asyncmy.errors.OperationalError(_NOT_READY, "Node is not ready")

    async def fetch(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        result = await self._execute(statement, params)
        return list(result.rows)

    async def execute(self, statement: str, params: Sequence[object]) -> int:
        """Run a statement and return the number of rows that it changed.

        It is 0 if SAVE_THREAD rejects the save; see `statements.py`.
        """
        size = sum(len(param.encode()) for param in params if isinstance(param, str))
        if size + 1024 > self._longest:
            raise ValueError(
                f"The row has {size:,} bytes, more than the server takes: its "
                f"max_allowed_packet is {self._longest:,}"
            )
        try:
            result = await self._execute(statement, params)
        except asyncmy.errors.MySQLError as error:
            if error.args[:1] != _REFUSED:
                raise
            return 0
        return int(result.affected_rows)

    async def run(self, statement: str) -> None:
        """Run a statement without parameters."""
        await self.raw.query(statement)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """Run a block in a transaction."""
        await self.raw.begin()
        yield  # after an error the connection is closed, which rolls back
        await self.raw.commit()

    async def _execute(self, statement: str, params: Sequence[object]) -> Any:
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = await self.raw.prepare(statement)
            self._prepared[statement] = prepared
        bound = [
            (param - _EPOCH) // _MICROSECOND if isinstance(param, datetime) else param
            for param in params
        ]
        return await prepared.execute(bound)


class _NoClearText:
    """Replaces asyncmy's plugins that send the password in clear text."""

    def __init__(self, connection: RawConnection) -> None:
        """Accept asyncmy's argument."""

    def authenticate(self, packet: object) -> object:
        raise asyncmy.errors.NotSupportedError(
            "the server asks for the password in clear text: use ?tls=verify"
        )


_PLUGINS = {"mysql_clear_password": _NoClearText, "dialog": _NoClearText}


class Connections:
    """A bounded pool of connections.

    asyncmy's own pool supports only one host, and does not set up sessions.

    Args:
        target: The server; None if a pool is given.
        size: The maximum number of connections.
        timeout: The time limit for connecting, and for a statement's wait for locks, in
            seconds.
        pool: See `DriverOptions`. Its connections are set up on first use.
    """

    def __init__(
        self,
        target: Target | None,
        size: int,
        timeout: float,
        *,
        pool: Pool | None = None,
    ) -> None:
        self._target = target
        self._size = size
        self._timeout = timeout
        self._pool = pool
        self._host = 0  # the index of the last host that responded
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(size)

    async def open(self) -> None:
        """Connect, unless a pool was given; raises if no server responds."""
        self._free = asyncio.Semaphore(self._size)
        if self._pool is None:
            self._idle.append(await self._connect())

    async def close(self) -> None:
        """Close the connections, except those of a given pool."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(_end, idle))

    async def acquire(self) -> Connection:
        """Wait for an idle connection, or open one, without a time limit."""
        await self._free.acquire()
        try:
            return await self._take()
        except BaseException:
            self._free.release()
            raise

    async def release(self, connection: Connection) -> None:
        """Return a connection to the pool."""
        if self._pool is not None:
            self._pool.release(connection.raw)
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        self._free.release()

    async def discard(self, connection: Connection) -> None:
        """Close a connection: it may have a pending response or transaction."""
        connection.raw.close()
        if self._pool is not None:
            self._pool.release(connection.raw)
        self._free.release()

    async def expire(self) -> None:
        """Replace all connections, except those of a given pool."""
        while self._idle:
            self._idle.pop().raw.close()

    async def _take(self) -> Connection:
        if self._pool is not None:
            raw: RawConnection = await self._pool.acquire()
            try:
                known: Connection | None = getattr(raw, "chat_store", None)
                if known is None:
                    known = raw.chat_store = await self._set_up(raw)
            except BaseException:
                self._pool.release(raw)
                raise
            return known
        while self._idle:
            connection = self._idle.pop()
            is_fresh = time.monotonic() - connection.idle_since < _MAX_IDLE
            # A former primary may lack later writes.
            if is_fresh and connection.host == self._host:
                return connection
            connection.raw.close()
        return await self._connect()

    async def _connect(self) -> Connection:
        target = self._target
        assert target is not None
        count = len(target.hosts)
        for attempt in range(count):
            number = (self._host + attempt) % count
            try:
                connection = await self._connect_to(
                    target, number, self._timeout / count, target.tls
                )
            except DRIVER_ERRORS:
                if attempt == count - 1:
                    raise
            else:
                self._host = connection.host = number
                return connection
        raise AssertionError("there is no host")

    async def _connect_to(
        self, target: Target, number: int, seconds: float, tls: ssl.SSLContext | None
    ) -> Connection:
        host, port = target.hosts[number]
        raw: RawConnection = _asyncmy.Connection(
            host=host,
            port=port,
            user=target.user,
            password=target.password.encode(),
            database=target.database,
            unix_socket=target.socket,
            charset="utf8mb4",
            connect_timeout=max(1, round(seconds)),
            ssl=tls,
            # A password never crosses a network in clear text.
            auth_plugin_map={} if target.requires_tls or target.socket else _PLUGINS,
        )
        # asyncmy's own timeout only covers the TCP connection, not the handshake.
        try:
            async with asyncio.timeout(seconds):
                await raw.connect()
                connection = await self._set_up(raw)
        except asyncmy.errors.OperationalError:
            has_tls = getattr(raw, "server_capabilities", SSL) & SSL
            if tls is None or target.requires_tls or has_tls:
                raise
            return await self._connect_to(target, number, seconds, None)
        except TimeoutError:
            raise OSError(f"{host} did not answer within {seconds:g} s") from None
        if connection.is_read_only and len(target.hosts) > 1:  # not the primary
            raw.close()
            raise asyncmy.errors.OperationalError(_READ_ONLY, f"{host} is read-only")
        return connection

    async def _set_up(self, raw: RawConnection) -> Connection:
        connection = Connection(raw)
        try:
            await connection.set_up(max(1, round(self._timeout)))
        except BaseException:
            raw.close()
            raise
        return connection


async def _end(connection: Connection) -> None:
    with contextlib.suppress(*DRIVER_ERRORS):  # the server may be gone
        async with asyncio.timeout(_CLOSING):
            await connection.raw.ensure_closed()


def error_code(error: Exception) -> int:
    """Return the server's error number; that of a lost connection if there is none."""
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) and code > 0 else _CONNECTION_LOST
