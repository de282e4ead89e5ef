# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Remains of deleted rows outside the tables: see `docs/user-data.md`."""

from ..database import Database


async def remove_leftovers(database: Database) -> None:
    """Do nothing: the server reuses the space of deleted rows."""
