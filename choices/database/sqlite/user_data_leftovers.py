# Extra "user_data": store_user_data=false deletes it, including your edits.
"""What is left of deleted rows outside the tables.

The Store has SQLite overwrite deleted rows, but not the copies that stay behind in a page
when its rows have moved to another one. VACUUM rewrites the file. Older versions of
pages also stand in the write-ahead log, until that is emptied.
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
    """Rewrite the database file, and empty the log.

    Writers wait meanwhile: some six seconds for a gigabyte, on two cores.

    Raises:
        DatabaseError: The file could not be written; the rows are deleted.
    """
    for _, name, path in await database.read("PRAGMA database_list"):
        if name == "main" and path:  # or it is in memory
            await asyncio.to_thread(_rewrite, path)


def _rewrite(path: str) -> None:
    give_up = time.monotonic() + _PATIENCE
    with closing(sqlite3.connect(path, _PATIENCE, isolation_level=None)) as connection:
        try:
            connection.execute("VACUUM")
            is_busy = True
            while is_busy and time.monotonic() < give_up:
                [(is_busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            if code(error) != sqlite3.SQLITE_BUSY:
                raise DatabaseError(
                    f"The rows are deleted, but the file could not be rewritten: {error}. "
                    "This takes free space of twice its size."
                ) from None
            is_busy = True
    if is_busy:
        raise DatabaseTimeoutError(
            f"The rows are deleted, but others kept using the database for {_PATIENCE:g} s, "
            "so copies of them may be left in the file and its write-ahead log. Run this "
            "again when it is quiet."
        )
