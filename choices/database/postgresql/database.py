"""Talks to PostgreSQL: retries, time-outs, transactions and migrations.

URLs are libpq's: `postgresql://user:password@host:5432/chat`, with TLS
(`?sslmode=verify-full&sslrootcert=…`), several hosts
(`postgresql://a,b/chat?target_session_attrs=read-write`) and a schema of one's own
(`?options=-csearch_path%3Dchat`). One option is ours:

- `?prepared_statements=on` behind a pooler that keeps a client's prepared statements for
  that client, such as PgBouncer from 1.21 with `max_prepared_statements`. Without it,
  none are kept where there is a pooler: it could run one client's for another.
  `?prepared_statements=off` keeps none anywhere.

Nothing here relies on the session: not on its settings, nor on locks that outlive a
transaction (but for migrations that cannot run in one).
"""

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypedDict, TypeVar

import anyio

from . import statements
from .connections import DRIVER_ERRORS, Connection, Connections, Pool, message, sqlstate
from .errors import DatabaseError, DatabaseTimeoutError, SchemaError
from .migrations import Migration
from .settle import ended
from .urls import split_url, take_option
from .waiting import PATIENCE

T = TypeVar("T")

# Classes and codes of SQLSTATE. The connection is no good, or none could be made: lost,
# server shutting down, crashed, starting, full, or a standby since a failover.
_UNREACHABLE = ("08", "57P01", "57P02", "57P03", "53300", "25006")
_CONFLICT = ("40001", "40P01")  # serialization failure, deadlock
_TIMEOUT = ("57014", "55P03")  # the server's own statement_timeout, lock_timeout
_MAY_QUOTE_VALUES = ("22", "P0")  # bad data, and what triggers raise

_OUTSIDE_TRANSACTION = "-- outside a transaction"


class DatabaseOptions(TypedDict, total=False):
    """What `ChatStore(url, …)` passes on to the database.

    Attributes:
        pool_size: The most connections of this process; 10 unless given.
        pool_timeout: How long a call waits for a connection, and goes on trying to reach
            a server that is away, in seconds; 10 unless given.
        statement_timeout: How long a statement may run, in seconds; 30 unless given.
        pool: A pool of yours to use instead of a URL; it is neither opened nor closed.
    """

    pool_size: int
    pool_timeout: float
    statement_timeout: float
    pool: Pool


class Database:
    """A PostgreSQL database.

    Args:
        url: As the module says; not used where there is a pool.
        pool_size: As in `DatabaseOptions`.
        pool_timeout: As in `DatabaseOptions`.
        statement_timeout: As in `DatabaseOptions`.
        pool: As in `DatabaseOptions`.

    Raises:
        ValueError: The URL, or an option, cannot be used.
    """

    EXAMPLE_URL = "postgresql://localhost/chat"
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
        url, prepares = take_option(url, "prepared_statements", ("auto", "on", "off"))
        if pool is None:
            schemes = ("postgresql", "postgres")
            parts = split_url(url, schemes, "PostgreSQL", self.EXAMPLE_URL)
            # The drivers would take the end of a password for the host, and show it.
            if parts.netloc.count("@") > 1 or (
                "@" in parts.path and not parts.username
            ):
                raise ValueError(
                    "The URL cannot be read: in the name and the password, write %40 for @, "
                    "%2F for /, %3A for :, %3F for ? and %25 for %"
                )
        self._connections = Connections(url, pool_size, pool_timeout, prepares, pool)
        self._pool_timeout = pool_timeout
        self._statement_timeout = statement_timeout
        self._writes: set[asyncio.Task[int]] = set()

    async def open(self) -> None:
        """Connect; does nothing when open.

        Raises:
            DatabaseError: The server cannot be reached, or refuses.
            SchemaError: The database is not encoded in UTF-8.
        """
        try:
            await self._connections.open()
        except DatabaseError:  # some of which are OSErrors, too
            raise
        except DRIVER_ERRORS as error:
            raise _describe(error) from None
        [(encoding,)] = await self._call(
            lambda connection: connection.fetch(statements.SERVER_ENCODING),
            self._statement_timeout,
        )
        if encoding != "UTF8":
            raise SchemaError(
                f"The database is encoded in {encoding}, which cannot hold every text. "
                "Create it anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
            )

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
        return await self._call(
            lambda connection: connection.fetch(statement, params),
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
        call = self._with_retries(partial(_execute, steps), self._statement_timeout)
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

        Both happen in one transaction, but for a migration with a line
        `-- outside a transaction`, which must be safe to run again.

        Args:
            migration: The migration.

        Returns:
            Whether this call applied it; False where another process was faster (R37).
        """
        apply = _apply_outside if _OUTSIDE_TRANSACTION in migration.sql else _apply
        call = partial(apply, migration)
        while (applied := await self._call(call, math.inf)) is None:
            await asyncio.sleep(0.05)  # another process is migrating
        return applied

    async def _call(
        self, action: Callable[[Connection], Awaitable[T]], seconds: float
    ) -> T:
        return await _attend(self._with_retries(action, seconds))

    async def _with_retries(
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
                    f"PostgreSQL did not answer within {seconds:g} s."
                ) from None
            except DRIVER_ERRORS as error:
                may_pass = sqlstate(error).startswith((*_UNREACHABLE, *_CONFLICT))
                if not may_pass or clock() >= give_up:
                    raise _describe(error) from None
            # At once at first: a pool may hold more connections that have died.
            await asyncio.sleep(min(0.01 * attempts, 0.5) * random.random())
            attempts += 1


async def _attend(call: Coroutine[Any, Any, T]) -> T:
    # A driver that is cancelled has the server cancel the statement, and awaits the
    # answer. So it is cancelled once, in a task of its own: anyio's scopes cancel each
    # further `await` again, and would cut that short. Where the network has lost the
    # server, no answer comes: then it is cancelled again, and gives up the connection.
    task = asyncio.ensure_future(call)
    try:
        await ended(task)
    finally:
        if not task.done():
            with anyio.CancelScope(shield=True):
                while not task.done():
                    task.cancel()
                    await asyncio.wait({task}, timeout=PATIENCE)
    return task.result()


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
    async with connection.transaction():
        [(is_locked,)] = await connection.fetch(statements.LOCK_FOR_TRANSACTION)
        if not is_locked:
            return None
        return await _apply_locked(migration, [migration.sql], connection)


async def _apply_outside(migration: Migration, connection: Connection) -> bool | None:
    [(is_locked,)] = await connection.fetch(statements.LOCK)
    if not is_locked:
        return None
    try:
        # Several statements that are sent together would be one transaction.
        return await _apply_locked(migration, _split(migration.sql), connection)
    finally:
        await connection.fetch(statements.UNLOCK)


async def _apply_locked(
    migration: Migration, scripts: list[str], connection: Connection
) -> bool:
    await connection.run(statements.CREATE_MIGRATIONS)
    if migration.version in await _list_migrations(connection):
        return False
    for script in scripts:
        await connection.run(script)
    record = (migration.version, migration.name, migration.runs_with)
    await connection.execute(statements.RECORD_MIGRATION, record)
    return True


def _split(script: str) -> list[str]:
    return [part for part in re.split(r"(?<=;)\n", script) if part.strip()]


def _describe(error: Exception) -> DatabaseError:
    state = sqlstate(error)
    if state in _TIMEOUT:
        return DatabaseTimeoutError(f"PostgreSQL gave up: {message(error)}")
    if state.startswith(_UNREACHABLE):
        return DatabaseError(f"PostgreSQL cannot be reached: {message(error)}")
    if state.startswith(_MAY_QUOTE_VALUES):
        return DatabaseError(f"PostgreSQL refused what it was sent (SQLSTATE {state})")
    return DatabaseError(f"PostgreSQL refused: {message(error)} (SQLSTATE {state})")
