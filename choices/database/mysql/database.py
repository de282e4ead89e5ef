"""Talks to MySQL and MariaDB: retries, time-outs, transactions and migrations.

URLs: `mysql://user:password@host:3306/chat`. Several hosts are the nodes of a cluster
(`mysql://user:password@a,b,c/chat`): the first that answers is used, and the next one
when it is gone. On a Galera cluster each call sees what was acknowledged at any node.
Options of the URL:

- `?tls=verify`: TLS, with the server's certificate checked against the authorities that
  the system trusts, or those in the file `tls_ca=…`; `?tls=unverified`: TLS without.
- `?unix_socket=/run/mysqld/mysqld.sock` instead of a host.
"""

import asyncio
import math
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict, TypeVar
from urllib.parse import parse_qsl, unquote

from . import statements
from .codec import UTC
from .connections import (
    DRIVER_ERRORS,
    Connection,
    Connections,
    Pool,
    Target,
    error_code,
)
from .errors import DatabaseError, DatabaseTimeoutError
from .migrations import Migration
from .urls import split_url, take_option

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# The server's error numbers. The connection is no good, or none could be made: too many,
# shutting down, killed, lost, a node that is not in the cluster, read-only, offline.
_UNREACHABLE = {
    *(1040, 1047, 1053, 1152, 1158, 1159, 1160, 1161, 1180, 1290, 1317, 1836, 1927),
    *(1203, 1226, 2002, 2003, 2006, 2013, 2055, 3032, 3169, 4031),
}
_CONFLICT = {1020, 1205, 1213}  # snapshot conflict, lock wait time-out, deadlock
# What a migration that was interrupted finds done: tables, columns, keys.
_DONE_BEFORE = {1050, 1060, 1061, 1091, 1826}
# Errors whose text quotes no values (R39): rights, and names that do not exist.
_TELLING = {1040, 1044, 1045, 1049, 1054, 1142, 1143, 1146, 1227, 2002, 2003, 2013}


class DatabaseOptions(TypedDict, total=False):
    """What `ChatStore(url, …)` passes on to the database.

    Attributes:
        pool_size: The most connections of this process; 10 unless given.
        pool_timeout: How long a call waits for a connection, and goes on trying to reach
            a server that is away, in seconds; 10 unless given.
        statement_timeout: How long a statement may run, in seconds; 30 unless given.
        pool: A pool of asyncmy's to use instead of a URL, which nobody else uses.
    """

    pool_size: int
    pool_timeout: float
    statement_timeout: float
    pool: Pool


class Database:
    """A MySQL or MariaDB database.

    Args:
        url: As the module says; not used where there is a pool.
        pool_size: As in `DatabaseOptions`.
        pool_timeout: As in `DatabaseOptions`.
        statement_timeout: As in `DatabaseOptions`.
        pool: As in `DatabaseOptions`.

    Raises:
        ValueError: The URL, or an option, cannot be used.
    """

    EXAMPLE_URL = "mysql://chat@localhost/chat"
    SERVES_ANY_LOOP = False

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = 10.0,
        statement_timeout: float = 30.0,
        pool: "Pool | None" = None,
    ) -> None:
        if pool_size < 1:
            raise ValueError(f"pool_size must be at least 1, not {pool_size}")
        self._connections = Connections(
            None if pool is not None else _parse(url, self.EXAMPLE_URL),
            pool_size,
            pool_timeout,
            statement_timeout,
            pool,
        )
        self._pool_timeout = pool_timeout
        self._statement_timeout = statement_timeout
        self._writes: set[asyncio.Task[int]] = set()

    async def open(self) -> None:
        """Connect; does nothing when open.

        Raises:
            DatabaseError: The server cannot be reached, or refuses.
        """
        try:
            await self._connections.open()
        except DRIVER_ERRORS as error:
            raise _describe(error) from None

    async def close(self) -> None:
        """Finish the writes under way, then disconnect; safe to call twice."""
        while self._writes:
            await asyncio.wait(self._writes)
        await self._connections.close()

    async def read(
        self, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement that changes nothing.

        Args:
            statement: From `statements.py`.
            params: Its parameters, in order.

        Returns:
            The rows; for what the Store loads, each an id and a payload.

        Raises:
            DatabaseTimeoutError: No connection became free in time (R33), or no answer
                came.
            DatabaseError: The server cannot be reached, or refused the statement.
        """
        bound = _bind(params)
        return await self._call(
            lambda connection: connection.fetch(statement, bound),
            self._statement_timeout,
        )

    def write(self, *steps: tuple[str, Sequence[object]]) -> asyncio.Future[int]:
        """Start a transaction; it goes on whatever becomes of the caller (R31).

        Where the connection is lost before the answer, the transaction is made once
        more, though it may have been committed: the last writer wins (R34).

        Args:
            steps: Statements from `statements.py`, each with its parameters, for one
                transaction.

        Returns:
            A future of how many rows were changed; it is done once the server has
            committed. It raises the errors of `read`.
        """
        bound = [(statement, _bind(params)) for statement, params in steps]
        call = self._call(partial(_execute, bound), self._statement_timeout)
        task = asyncio.ensure_future(call)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return task

    async def applied_migrations(self) -> dict[int, int]:
        """List the migrations that the database has seen.

        Returns:
            For each version, the oldest code that runs on it; empty for an empty
            database.
        """
        return await self._call(_list_migrations, self._statement_timeout)

    async def apply(self, migration: Migration) -> bool:
        """Apply a migration and record it, unless that has been done.

        These servers commit each change of a table by itself. A migration that was
        interrupted is made again from its beginning, and passes over what is there.

        Args:
            migration: The migration.

        Returns:
            Whether this call applied it; False where another process was faster (R37).
        """
        call = partial(_apply, migration)
        while (applied := await self._call(call, math.inf)) is None:
            await asyncio.sleep(0.05)  # another process is migrating
        return applied

    async def _call(
        self, action: Callable[[Connection], Awaitable[T]], seconds: float
    ) -> T:
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._pool_timeout
        attempts = 0
        while True:
            try:
                remaining = max(give_up - clock(), 0.001)
                async with self._connections.lend(remaining, seconds) as connection:
                    return await action(connection)
            except DatabaseError:
                raise
            except TimeoutError:
                raise DatabaseTimeoutError(
                    f"The server did not answer within {seconds:g} s."
                ) from None
            except DRIVER_ERRORS as error:
                may_pass = error_code(error) in _UNREACHABLE | _CONFLICT
                if not may_pass or clock() >= give_up:
                    raise _describe(error) from None
            # At once at first: a pool may hold more connections that have died.
            await asyncio.sleep(min(0.01 * attempts, 0.5) * random.random())
            attempts += 1


async def _execute(
    steps: Sequence[tuple[str, Sequence[object]]], connection: Connection
) -> int:
    if len(steps) == 1:
        return await connection.execute(*steps[0])
    async with connection.transaction():
        return sum([await connection.execute(*step) for step in steps])


async def _list_migrations(connection: Connection) -> dict[int, int]:
    if not await connection.fetch(statements.HAS_MIGRATIONS):
        return {}
    return dict(await connection.fetch(statements.LIST_MIGRATIONS))


async def _apply(migration: Migration, connection: Connection) -> bool | None:
    if await connection.fetch(statements.LOCK) != [(1,)]:
        return None
    applied = await _apply_locked(migration, connection)
    # Where that fails or is cancelled, the connection is closed, and the lock goes with it.
    await connection.fetch(statements.UNLOCK)
    return applied


async def _apply_locked(migration: Migration, connection: Connection) -> bool:
    await connection.run(statements.CREATE_MIGRATIONS)
    if migration.version in await _list_migrations(connection):
        return False
    for statement in _split(migration.sql):
        try:
            await connection.run(statement)
        except DRIVER_ERRORS as error:
            if error_code(error) not in _DONE_BEFORE:
                raise
    record = (migration.version, migration.name, migration.runs_with)
    return await connection.execute(statements.RECORD_MIGRATION, record) == 1


def _parse(url: str, example: str) -> Target:
    url, tls = take_option(url, "tls", ("off", "verify", "unverified"))
    parts = split_url(url, ("mysql", "mariadb"), "MySQL and MariaDB", example)
    options = dict(parse_qsl(parts.query))
    socket, authorities = options.pop("unix_socket", None), options.pop("tls_ca", None)
    database = unquote(parts.path.removeprefix("/"))
    account, _, places = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    hosts = [re.fullmatch(r"(\[.+\]|[^:]+)(?::(\d+))?", it) for it in places.split(",")]
    if options or not database or not all(hosts):
        raise ValueError(
            f"The URL cannot be read; write {example}, with the options that the module "
            "database.py lists, and percent-encode what is special in its parts"
        )
    context = None
    if tls != "off":
        try:
            context = ssl.create_default_context(cafile=authorities)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ValueError(f"tls_ca={authorities} cannot be read: {reason}") from None
        if tls == "unverified":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    return Target(
        tuple((it[1].strip("[]"), int(it[2] or 3306)) for it in hosts if it),
        unquote(user),
        unquote(password),
        database,
        socket,
        context,
    )


def _bind(params: Sequence[object]) -> list[object]:
    return [
        (param - _EPOCH) // _MICROSECOND if isinstance(param, datetime) else param
        for param in params
    ]


def _split(script: str) -> list[str]:
    return [part for part in re.split(r"(?<=;)\n", script) if part.strip()]


def _describe(error: Exception) -> DatabaseError:
    code = error_code(error)
    message = f": {error.args[-1]}" if code in _TELLING else ""
    if code in _CONFLICT:
        return DatabaseTimeoutError(f"Others held a lock for too long (error {code})")
    if code in _UNREACHABLE:
        return DatabaseError(f"The server cannot be reached (error {code}){message}")
    return DatabaseError(f"The server refused (error {code}){message}")
