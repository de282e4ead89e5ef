# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Moves all rows of one owner to another, for example when a visitor signs up."""

from datetime import UTC, datetime

from ..errors import ChatStoreError
from ..keys import show
from ..store import ChatStore
from . import statements
from .rows import Counts, connected, count_in


class AdoptError(ChatStoreError):
    """Both owners have a row with the same id; nothing was changed."""


async def adopt(store: ChatStore, old: str, new: str) -> Counts:
    """Move an owner's threads, items and attachments to another, in one transaction.

    The new owner may already have rows. Concurrent writes of the old owner fail with
    `NotFoundError`, because emptied rows remain for at least seven days. They hold the
    old owner and the threads' ids; to remove them, erase the old owner afterwards.

    Args:
        store: The Store.
        old: The current owner of the rows.
        new: The new owner.

    Returns:
        The number of rows that the old owner had.

    Raises:
        AdoptError: Both owners have a thread or an attachment with the same id.
        ValueError: An owner is invalid, or both are the same.
    """
    if old == new:
        raise ValueError("The old and the new owner are the same.")
    async with connected(store, old, new) as database:
        for kind, row_id in await database.read(*statements.clashes(old, new)):
            raise AdoptError(
                f"Both owners have the {kind} {show(row_id)}; nothing was changed. "
                "Delete or rename one of them."
            )
        counts = await count_in(database, old)
        await database.write(*statements.adopt(old, new, datetime.now(UTC)))
        return counts
