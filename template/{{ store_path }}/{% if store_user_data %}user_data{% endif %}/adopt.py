# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Gives everything that one owner has to another, as when a visitor signs up."""

from datetime import UTC, datetime

from ..errors import ChatStoreError
from ..keys import show
from ..store import ChatStore
from . import statements
from .rows import Counts, connected, count_in


class AdoptError(ChatStoreError):
    """Both owners have a row of the same id; nothing was changed."""


async def adopt(store: ChatStore, old: str, new: str) -> Counts:
    """Give an owner's threads, items and attachments to another one, in one step.

    The new owner may have rows already. What is written under the old one meanwhile is
    refused with `NotFoundError`: emptied rows stay behind for some days, and hold the
    old owner and the threads' ids; to have them removed, erase the old owner afterwards.

    Args:
        store: The Store.
        old: The owner of the rows until now.
        new: Their owner from now on.

    Returns:
        How many rows the old owner had.

    Raises:
        AdoptError: The owners have a thread or an attachment of the same id.
        ValueError: An owner cannot be one, or both are the same.
    """
    if old == new:
        raise ValueError("The old owner and the new one are the same.")
    async with connected(store, old, new) as database:
        for kind, row_id in await database.read(*statements.clashes(old, new)):
            raise AdoptError(
                f"Both owners have the {kind} {show(row_id)}; nothing was changed. Delete or "
                "rename one of the two."
            )
        counts = await count_in(database, old)
        await database.write(*statements.adopt(old, new, datetime.now(UTC)))
        return counts
