# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Erases all rows of one owner."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .. import statements as core
from ..database import Database
from ..store import ChatStore
from ..unshown import DeleteFile, delete_attachment
from . import statements
from .leftovers import remove_leftovers
from .rows import Counts, attachments_of, connected, count_in

PAUSE = 1.0
"""How long to wait for rows of requests in progress, in seconds."""

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Erased:
    """The result of an erasure.

    Attributes:
        found: The rows that the owner had.
        attachments: The ids of the deleted attachments.
        remaining: The rows that the owner has now: none, unless requests still write.
    """

    found: Counts
    attachments: list[str]
    remaining: Counts


async def erase(
    store: ChatStore,
    owner: str,
    *,
    delete_file: DeleteFile | None = None,
    first_answer: timedelta = timedelta(minutes=10),
    on_wait: Callable[[Counts], None] | None = None,
) -> Erased:
    """Delete all threads, items and attachments of an owner, until none remain.

    Block the owner's requests first. Running streams end with `NotFoundError`, except
    that the first answer of a new thread could recreate the thread. To prevent this, an
    empty row is kept until the thread is older than `first_answer`. After an
    interruption, call this again.

    Args:
        store: The Store.
        owner: The owner.
        delete_file: Called for each attachment before its row is deleted.
        first_answer: The maximum time for the first answer in a new thread.
        on_wait: Called each second with the remaining rows.

    Returns:
        The rows that were found, and those that remain.

    Raises:
        ValueError: The owner is invalid.
    """
    async with connected(store, owner) as database:
        done = await erase_rows(database, owner, delete_file, first_answer, on_wait)
        await remove_leftovers(database)
        return done


async def erase_rows(
    database: Database,
    owner: str,
    delete_file: DeleteFile | None,
    first_answer: timedelta,
    on_wait: Callable[[Counts], None] | None,
) -> Erased:
    """Erase the rows, but not their remains on disk: call `remove_leftovers` next."""
    clock = asyncio.get_running_loop().time
    begun, wait = clock(), first_answer.total_seconds()
    attachments: list[str] = []
    found = await count_in(database, owner)
    while True:
        is_old = clock() >= begun + wait
        due = _FOR_EVER if is_old else datetime.now(UTC) - first_answer
        await _delete_threads(database, owner, due)
        attachments += await _delete_attachments(database, owner, delete_file)
        await asyncio.sleep(PAUSE)
        remaining = await count_in(database, owner)
        if not remaining.total or clock() > begun + wait + 10 * PAUSE:
            return Erased(found, attachments, remaining)
        if on_wait is not None:
            on_wait(remaining)


async def _delete_threads(database: Database, owner: str, due: datetime) -> None:
    is_full = True
    while is_full:
        page = (0, owner, statements.BATCH)
        rows = await database.read(core.FIRST_THREADS["asc"], page)
        for thread_id, _ in rows:
            now = datetime.now(UTC)
            await database.write(
                (core.DELETE_THREAD, (now, owner, thread_id)),
                (core.DELETE_THREAD_ITEMS, (owner, thread_id)),
            )
        is_full = len(rows) == statements.BATCH
    await database.write(statements.delete_emptied(owner, due))


async def _delete_attachments(
    database: Database, owner: str, delete_file: DeleteFile | None
) -> list[str]:
    deleted: list[str] = []
    async for attachment in attachments_of(database, owner):
        key = (owner, attachment.id)
        await delete_attachment(database, key, attachment.data, delete_file)
        deleted.append(attachment.id)
    return deleted
