"""PostgreSQL's URLs and errors, and how a migration is applied.

URLs are libpq's: `postgresql://user:password@host:5432/chat`, with TLS
(`?sslmode=verify-full&sslrootcert=…`), several hosts
(`postgresql://a,b/chat?target_session_attrs=read-write`) and a schema
(`?options=-csearch_path%3Dchat`).
"""

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from . import statements
from .connections import DRIVER, Connection, message, sqlstate
from .errors import DatabaseError, DatabaseTimeoutError, SchemaError
from .migrate import Migration, split

_EXAMPLE = "postgresql://localhost/chat"

# Prefixes of SQLSTATE codes. The connection was lost, or none could be made: the server
# is shutting down, crashed, starting, full or read-only, or the session was idle for
# too long. (PgBouncer reports a lost server as 08P01.)
_UNREACHABLE = ("08", "57P0", "53300", "25006")
_CONFLICT = ("40001", "40P01")  # serialization failure, deadlock
_TIMEOUT = ("57014", "55P03")  # the server's own statement_timeout, lock_timeout
_MAY_QUOTE_VALUES = ("22", "P0")  # invalid data, errors raised by triggers


def parse_url(url: str) -> str:
    """Reject a URL if the driver's own error could show its password.

    Returns:
        The URL, without surrounding white space and SQLAlchemy's driver name.

    Raises:
        ValueError: It is missing, of another database or driver, or has an unescaped @.
    """
    schemes = ("postgres", "postgresql", f"postgresql+{DRIVER}")
    parts = _split_url(url, schemes, _EXAMPLE)
    if (
        parts.netloc.count("@") > 1
        or ("@" in parts.path and not parts.username)
        or parts.fragment
    ):
        raise ValueError(
            "The URL cannot be read: in the name and the password, write %40 for @, "
            "%2F for /, %3A for :, %3F for ?, %23 for # and %25 for %"
        )
    return f"postgresql://{url.strip().partition('://')[2]}"


def is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed on another connection, or later."""
    return sqlstate(error).startswith((*_UNREACHABLE, *_CONFLICT))


def describe(error: Exception) -> DatabaseError:
    """Convert a driver's error, without values and passwords."""
    state = sqlstate(error)
    if state in _TIMEOUT:
        return DatabaseTimeoutError(f"PostgreSQL timed out: {message(error)}")
    if state.startswith(_UNREACHABLE):
        return DatabaseError(f"PostgreSQL cannot be reached: {message(error)}")
    if state.startswith(_MAY_QUOTE_VALUES):
        return DatabaseError(f"PostgreSQL refused the data (SQLSTATE {state})")
    code = f" (SQLSTATE {state})" if state else ""
    return DatabaseError(f"PostgreSQL refused: {message(error)}{code}")


async def is_exposed(connection: Connection) -> bool:
    """Return whether data crosses a network without TLS."""
    # NULL for a Unix socket.
    return await connection.fetch(statements.IS_EXPOSED) == [(True,)]


async def apply(migration: Migration, connection: Connection) -> bool | None:
    """Apply and record a migration, unless that has been done.

    Both happen in one transaction, unless the migration has a line
    `-- outside a transaction`, for example, for CREATE INDEX CONCURRENTLY; it must then
    be safe to repeat.

    Returns:
        Whether this call applied it; None if another process is migrating.

    Raises:
        SchemaError: The database is not encoded in UTF-8.
    """
    [(encoding,)] = await connection.fetch(statements.SERVER_ENCODING)
    if encoding != "UTF8":
        raise SchemaError(
            f"The database is encoded in {encoding}, which cannot hold every text. "
            "Create it again: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    if not migration.is_outside:
        async with connection.transaction():
            [(is_locked,)] = await connection.fetch(statements.LOCK_FOR_TRANSACTION)
            if not is_locked:
                return None
            return await _apply_locked(migration, [migration.sql], connection)
    [(is_locked,)] = await connection.fetch(statements.LOCK)
    if not is_locked:
        return None
    try:
        # One by one: statements that are sent together form one transaction.
        return await _apply_locked(migration, split(migration.sql), connection)
    finally:
        await connection.fetch(statements.UNLOCK)


async def _apply_locked(
    migration: Migration, scripts: list[str], connection: Connection
) -> bool:
    await connection.run(statements.CREATE_MIGRATIONS)
    if migration.version in dict(await connection.fetch(statements.LIST_MIGRATIONS)):
        return False
    for script in scripts:
        await connection.run(script)
    record = (migration.version, migration.name, migration.runs_with)
    await connection.execute(statements.RECORD_MIGRATION, record)
    return True


def _split_url(url: str, schemes: Sequence[str], example: str) -> SplitResult:
    # Errors never show the URL, which may contain a password.
    if not url:
        raise ValueError(
            "No database: pass a URL to ChatStore(url) or with --url, or set CHAT_STORE_URL, "
            f"for example {example}"
        )
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ValueError(f"The URL cannot be read; write {example}") from None
    if parts.scheme not in schemes:
        given = f"a {parts.scheme!r} URL" if parts.scheme else "a URL without a scheme"
        raise ValueError(
            f"This ChatStore was rendered for {schemes[-1]} and cannot use {given}; "
            f"write {example}"
        )
    if not url.strip()[len(parts.scheme) :].startswith("://"):
        raise ValueError(f"The URL cannot be read; write {example}")
    return parts
