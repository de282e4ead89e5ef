"""Connections to PostgreSQL, by asyncpg and its pool."""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeAlias, TypedDict, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from .errors import DatabaseError, DatabaseTimeoutError

Pool: TypeAlias = "asyncpg.Pool[Any]"

RawConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Any]"

DRIVER = "asyncpg"
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also if the server closes an idle connection
    OSError,
)

_CONNECTION_FAILURE = "08006"

# Options of libpq that asyncpg would send to the server as settings.
_LACKING = {
    *("channel_binding", "fallback_application_name", "gssdelegation", "gssencmode"),
    *("hostaddr", "keepalives", "keepalives_count", "keepalives_idle"),
    *("keepalives_interval", "load_balance_hosts", "max_protocol_version"),
    *("min_protocol_version", "oauth_client_id", "oauth_client_secret", "oauth_issuer"),
    *("oauth_scope", "replication", "require_auth", "requirepeer", "scram_client_key"),
    *("scram_server_key", "sslcertmode", "sslcompression", "sslcrldir"),
    *("sslkeylogfile", "sslsni", "tcp_user_timeout"),
}
_UNREADABLE = "asyncpg cannot read the URL: percent-encode the special characters in it"


class DriverOptions(TypedDict, total=False):
    """The driver's options of `ChatStore(url, …)`.

    Attributes:
        pool: Your pool, instead of a URL; the Store neither opens nor closes it.
        prepared_statements: Whether to use prepared statements. The default is yes, but
            not with a pooler, which may run one client's for another.
    """

    pool: "Pool | None"
    prepared_statements: bool | None


class Connection:
    """A connection, acquired for one call."""

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw

    async def fetch(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return list(map(tuple, await self.raw.fetch(statement, *params)))

    async def execute(self, statement: str, params: Sequence[object]) -> int:
        """Run a statement and return the number of rows that it changed."""
        status = await self.raw.execute(statement, *params)
        return int(status.rpartition(" ")[2])

    async def run(self, script: str) -> None:
        """Run any number of statements without parameters."""
        await self.raw.execute(script)

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Return a transaction, as a context manager."""
        return cast(AbstractAsyncContextManager[object], self.raw.transaction())

    async def close(self) -> None:
        """Close the connection immediately, even during a statement."""
        self.raw.terminate()


class Connections:
    """A bounded pool of connections.

    Args:
        url: In asyncpg's format; None if a pool is given.
        size: The maximum number of connections.
        timeout: The time limit for connecting, and for disconnecting, in seconds.
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
        base, _, query = (url or "").partition("?")
        try:
            options = dict(parse_qsl(query, True, strict_parsing=bool(query)))
            # An option in libpq, but an argument in asyncpg.
            given_timeout = int(options.pop("connect_timeout", "0"))
        except ValueError:  # its message may quote the password
            raise ValueError(_UNREADABLE) from None
        if lacking := sorted(options.keys() & _LACKING):
            raise ValueError(
                f"The URL has libpq's option {lacking[0]}, which asyncpg lacks: leave it "
                "out, or render for psycopg (store_driver=psycopg)"
            )
        self._url = f"{base}?{urlencode(options)}" if options else base
        self._size = size
        # In libpq, 0 means no limit; here, the default limit applies then.
        self._timeout = float(given_timeout) if given_timeout > 0 else timeout
        self._prepares = prepared_statements
        self._given = pool
        self._pool = pool

    async def open(self) -> None:
        """Open the pool, unless one was given; raises if no server responds."""
        if self._given is not None:
            return
        try:
            # Even if `prepared_statements` is given: the pool connects only when used.
            is_pooled = await self._is_pooled()
            if self._prepares is None:
                self._prepares = not is_pooled
            self._pool = await asyncpg.create_pool(
                self._url,
                # Load balancers drop idle connections; the pool would keep this many.
                min_size=0,
                max_size=self._size,
                timeout=self._timeout,
                max_inactive_connection_lifetime=200,
                reset=_keep_session,
                statement_cache_size=100 if self._prepares else 0,
            )
        except TimeoutError:
            raise DatabaseTimeoutError(
                f"PostgreSQL did not answer within {self._timeout:g} s."
            ) from None
        except OSError as error:  # a certificate error is a ValueError, too
            place = urlsplit(self._url).netloc.rpartition("@")[2] or "its socket"
            reason = f"{place}: {message(error)}"
            if isinstance(error, ssl.SSLError):  # a retry would not help
                raise DatabaseError(
                    f"PostgreSQL cannot be reached at {reason}"
                ) from None
            raise OSError(reason) from None
        except (ValueError, asyncpg.ClientConfigurationError) as error:
            if "root certificate" in str(error):
                raise DatabaseError(
                    "sslmode=verify-full and verify-ca need sslrootcert, the path of a file "
                    "with the authorities to trust"
                ) from None
            raise DatabaseError(_UNREADABLE) from None

    async def _is_pooled(self) -> bool:
        # A pooler reports another process id than that of the server.
        connection = await asyncpg.connect(
            self._url, timeout=self._timeout, statement_cache_size=0
        )
        try:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            return bool(pid != connection.get_server_pid())
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close the pool, unless it was given."""
        if self._given is None and self._pool is not None:
            pool, self._pool = self._pool, None
            # asyncpg waits for the server to disconnect, which a lost one never does.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    await pool.close()

    async def acquire(self) -> Connection:
        """Wait for a connection of the pool, without a time limit."""
        assert self._pool is not None
        return Connection(await self._pool.acquire())

    async def release(self, connection: Connection) -> None:
        """Return a connection to the pool."""
        assert self._pool is not None
        await self._pool.release(connection.raw)

    async def discard(self, connection: Connection) -> None:
        """Close a connection, and let the pool replace it."""
        await connection.close()

    async def expire(self) -> None:
        """Replace all connections, except those of a given pool."""
        if self._given is None and self._pool is not None:
            await self._pool.expire_connections()


async def _keep_session(connection: object) -> None:
    """Skip asyncpg's reset, a round trip: the Store leaves no session state."""


def sqlstate(error: Exception) -> str:
    """Return the SQLSTATE of a driver's error; a connection failure's if it has none."""
    return getattr(error, "sqlstate", None) or _CONNECTION_FAILURE


def message(error: Exception) -> str:
    """Return the server's message, without the detail that quotes rows."""
    if isinstance(error, OSError):  # its first argument is a number
        return error.strerror or str(error) or type(error).__name__
    return str(error.args[0] if error.args else error).partition("\n")[0]
