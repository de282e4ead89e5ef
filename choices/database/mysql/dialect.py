"""URLs and errors of MySQL and MariaDB, and how a migration is applied.

URLs: `mysql://user:password@host:3306/chat`. Several hosts are a primary and its
replicas, or the nodes of a cluster (`mysql://user:password@a,b,c/chat`): the first that
responds and is not read-only is used, and the next one when it is lost. On a Galera
cluster, each call sees the writes acknowledged by any node.
Options of the URL:

- `?tls=verify`: TLS, with the server's certificate checked against the authorities of
  the system, or of the file `tls_ca=…`; `unverified`: TLS without that check;
  `preferred`: the same, or no TLS if the server has none; `off`: no TLS. The default is
  `off` for a server on this machine, and `preferred` for others.
- `?unix_socket=/run/mysqld/mysqld.sock` instead of a host.
"""

import re
import ssl
from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from . import statements
from .connections import DRIVER, DRIVER_ERRORS, Connection, Target, error_code
from .errors import DatabaseError, DatabaseTimeoutError
from .keys import show
from .migrate import Migration, split

_EXAMPLE = "mysql://chat@localhost/chat"
_OPTIONS = ("tls", "tls_ca", "unix_socket")
_TLS = ("verify", "unverified", "preferred", "off")

# The server's error numbers. The connection was lost, or none could be made: too many
# connections, shutdown, killed, node not in the cluster, read-only, offline.
_UNREACHABLE = {
    *(1040, 1047, 1053, 1152, 1158, 1159, 1160, 1161, 1180, 1290, 1317, 1792, 1836),
    *(1203, 1226, 1927, 2002, 2003, 2006, 2013, 2055, 3032, 3169, 4031),
}
# Snapshot conflict, lock wait timeout, deadlock, conflict with another node of a group.
_CONFLICT = {1020, 1205, 1213, 3101}
# Tables, columns and keys that an interrupted migration has created.
_DONE_BEFORE = {1050, 1060, 1061, 1091, 1826}
# Errors whose text quotes no values: missing privileges, unknown names.
_QUOTES_NO_VALUES = {
    *(1040, 1044, 1045, 1049, 1054, 1142, 1143, 1146, 1227, 2002, 2003, 2013)
}


def parse_url(url: str) -> Target:
    """Read a URL, or raise a ValueError."""
    schemes = ("mysql", "mariadb", f"mariadb+{DRIVER}", f"mysql+{DRIVER}")
    parts = _split_url(url, schemes, _EXAMPLE)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not all(options.values()):
        raise ValueError("An option of the URL has no value, or is given twice")
    socket = options.get("unix_socket")
    database = unquote(parts.path.removeprefix("/"))
    account, _, named = parts.netloc.rpartition("@")
    if socket and named not in ("", "localhost"):
        raise ValueError("The URL has both a host and unix_socket: leave one out")
    if socket:
        named = "localhost"
    user, _, password = account.partition(":")
    hosts = [re.fullmatch(r"(\[.+\]|[^:]+)(?::(\d+))?", it) for it in named.split(",")]
    if parts.fragment or not database or not all(hosts):
        raise ValueError(
            f"The URL cannot be read; write {_EXAMPLE}, and percent-encode special "
            "characters in its parts"
        )
    if unknown := sorted(options.keys() - _OPTIONS):
        raise ValueError(
            f"The URL has the option {unknown[0]!r}; known are {', '.join(_OPTIONS)}"
        )
    places = tuple((it[1].strip("[]"), int(it[2] or 3306)) for it in hosts if it)
    if not all(0 < port < 65536 for _, port in places):
        raise ValueError("A port of the URL is not from 1 to 65535")
    is_here = socket is not None or all(_is_this_machine(host) for host, _ in places)
    tls = options.get("tls", "off" if is_here else "preferred")
    return Target(
        places,
        unquote(user),
        unquote(password),
        database,
        socket,
        _tls(tls, options.get("tls_ca")),
        requires_tls=tls in ("verify", "unverified"),
    )


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _tls(mode: str, authorities: str | None) -> ssl.SSLContext | None:
    if mode not in _TLS:
        raise ValueError(f"tls must be one of {', '.join(_TLS)}, not {show(mode)}")
    if authorities and mode != "verify":
        raise ValueError("tls_ca is for ?tls=verify, which checks the certificate")
    if mode == "off":
        return None
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"tls_ca={authorities} cannot be read: {reason}") from None
    if mode != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed on another connection, or later."""
    # A rejected certificate has the error number of an unreachable host.
    is_refused = any(reason in str(error) for reason in ("certificate", "clear text"))
    return error_code(error) in _UNREACHABLE | _CONFLICT and not is_refused


def describe(error: Exception) -> DatabaseError:
    """Convert a driver's error, without values and passwords."""
    code = error_code(error)
    message = f": {error.args[-1]}" if code in _QUOTES_NO_VALUES else ""
    if code in _CONFLICT:
        return DatabaseTimeoutError(f"Others held a lock for too long (error {code})")
    if code in _UNREACHABLE:
        return DatabaseError(f"The server cannot be reached (error {code}){message}")
    return DatabaseError(f"The server refused (error {code}){message}")


async def is_exposed(connection: Connection) -> bool:
    """Return whether data crosses a network without TLS."""
    [(_, cipher)] = await connection.fetch(statements.TLS_CIPHER)
    [(client,)] = await connection.fetch(statements.CLIENT_HOST)
    return not cipher and not _is_this_machine(client)


async def apply(migration: Migration, connection: Connection) -> bool | None:
    """Apply and record a migration, unless that has been done.

    These servers commit each change of a table separately. An interrupted migration is
    run again from its beginning, and skips the changes that were made.

    Returns:
        Whether this call applied it; None if another process is migrating.
    """
    if await connection.fetch(statements.LOCK) != [(1,)]:
        return None
    applied = await _apply_locked(migration, connection)
    # If that fails, the connection is closed, which releases the lock.
    await connection.fetch(statements.UNLOCK)
    return applied


async def _apply_locked(migration: Migration, connection: Connection) -> bool:
    await connection.run(statements.CREATE_MIGRATIONS)
    if migration.version in dict(await connection.fetch(statements.LIST_MIGRATIONS)):
        return False
    for statement in split(migration.sql):
        try:
            await connection.run(statement)
        except DRIVER_ERRORS as error:
            if error_code(error) not in _DONE_BEFORE:
                raise
    record = (migration.version, migration.name, migration.runs_with)
    return await connection.execute(statements.RECORD_MIGRATION, record) == 1


{% include "choices/database/split_url.py" %}
