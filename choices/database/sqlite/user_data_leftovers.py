# Extra "user_data", rendered for the answer store_user_data. Changing the answer to false
# deletes this directory, with your edits.
"""What is left of deleted rows outside the tables.

The Store has SQLite overwrite what is deleted from the database file. Older versions of
its pages stand in the write-ahead log, until that is emptied.
"""

import asyncio
import sqlite3
import time
from contextlib import closing

from ..database import Database
from ..errors import DatabaseTimeoutError

_PATIENCE = 30.0  # seconds


async def remove_leftovers(database: Database) -> None:
    """Write the log into the database file, and empty it.

    Raises:
        DatabaseTimeoutError: Somebody kept reading an older version.
    """
    for _, name, path in await database.read("PRAGMA database_list"):
        if name == "main" and path:  # or it is in memory
            await asyncio.to_thread(_empty_log, path)


def _empty_log(path: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    with closing(sqlite3.connect(path, timeout=_PATIENCE)) as connection:
        while True:
            [(is_busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if not is_busy:
                return
            if time.monotonic() > deadline:
                raise DatabaseTimeoutError(
                    f"The rows are deleted, but for {_PATIENCE:g} s another process kept "
                    "the write-ahead log in use. Run this again, or stop the processes "
                    "that use the database: the last one empties the log."
                )
            time.sleep(0.05)
