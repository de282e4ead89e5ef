# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Removes the remains of deleted rows outside the tables.

The Store makes SQLite overwrite deleted rows, but copies can remain in pages whose rows
were moved. VACUUM rewrites the file. Older versions of pages also remain in the
write-ahead log, until it is truncated.
"""

import asyncio
import sqlite3
import time
from contextlib import closing

from ..connections import code
from ..database import Database
from ..errors import DatabaseError, DatabaseTimeoutError

_PATIENCE = 30.0  # seconds


async def remove_leftovers(database: Database) -> None:
    """Rewrite the database file, and truncate the log.

    This blocks writers, for about six seconds per gigabyte on two cores.

    Raises:
        DatabaseError: The file could not be rewritten. The rows are deleted.
    """
    for _, name, path in await database.read("PRAGMA database_list"):
        if name == "main" and path:  # else it is in memory
            await asyncio.to_thread(_rewrite, path)


def _rewrite(path: str) -> None:
    with closing(sqlite3.connect(path, _PATIENCE, isolation_level=None)) as connection:
        try:
            connection.execute("VACUUM")
            give_up = time.monotonic() + _PATIENCE
            while True:
                [(is_busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if not is_busy or time.monotonic() > give_up:
                    break
        except sqlite3.Error as error:
            if code(error) != sqlite3.SQLITE_BUSY:
                raise DatabaseError(
                    "The rows are deleted, but the file could not be rewritten: "
                    f"{error}. This needs free space of twice its size."
                ) from None
            is_busy = True
    if is_busy:
        raise DatabaseTimeoutError(
            f"The rows are deleted, but the database was in use for {_PATIENCE:g} s: "
            "copies may remain in the file and its write-ahead log. Run this again "
            "when the database is idle."
        )
