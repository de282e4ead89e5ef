# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Deletes old threads, and attachments that no message shows."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .. import statements as core
from ..database import Database
from ..store import TOMBSTONE_LIFETIME, ChatStore
from ..unshown import DeleteFile, delete_unshown
from . import statements
from .rows import connected


@dataclass
class Expired:
    """The result of an expiry so far.

    Attributes:
        seen: Threads that were examined.
        threads: Threads that were deleted, or would be with `dry_run`.
        attachments: Attachments that were deleted, or would be.
        emptied: Emptied rows of deleted threads that were deleted.
    """

    seen: int = 0
    threads: int = 0
    attachments: int = 0
    emptied: int = 0


async def expire(
    store: ChatStore,
    *,
    threads_after: timedelta | None = None,
    uploads_after: timedelta = timedelta(days=1),
    delete_file: DeleteFile | None = None,
    dry_run: bool = False,
    on_progress: Callable[[Expired], None] | None = None,
) -> Expired:
    """Delete old threads, attachments that no message shows, and emptied rows.

    Servers can keep running: rows are deleted in small batches, and a thread that is
    used again is kept. After an interruption, call this again.

    Args:
        store: The Store.
        threads_after: A thread is deleted if its newest item is older than this, or the
            thread itself if it is empty. At least a day; None keeps all threads.
        uploads_after: An attachment is deleted if it is older than this and no item of
            its owner refers to it, in any thread. At least an hour.
        delete_file: Called for each attachment before its row is deleted.
        dry_run: Whether to only count. Attachments in threads that would be deleted are
            then not counted.
        on_progress: Called after each batch with the result so far.

    Returns:
        The result.

    Raises:
        ValueError: An age is too small.
    """
    if threads_after is not None and threads_after < timedelta(days=1):
        raise ValueError(f"threads_after must be at least a day, not {threads_after}")
    if uploads_after < timedelta(hours=1):
        raise ValueError(f"uploads_after must be at least an hour, not {uploads_after}")
    now = datetime.now(UTC)
    uploads_before = _ago(now, uploads_after)
    threads_before = now if threads_after is None else _ago(now, threads_after)
    done = Expired()

    def report() -> None:
        if on_progress is not None:
            on_progress(done)

    async with connected(store) as database:
        if threads_after is not None:
            await _threads(database, threads_before, done, dry_run, report)
        unshown = delete_unshown(database, uploads_before, delete_file, dry_run=dry_run)
        async for _ in unshown:
            done.attachments += 1
            report()
        purge = (core.PURGE_THREADS, (now - TOMBSTONE_LIFETIME,))
        while not dry_run and (deleted := await database.write(purge)):
            done.emptied += deleted
            report()
    return done


def _ago(now: datetime, age: timedelta) -> datetime:
    try:
        return now - age
    except OverflowError:
        raise ValueError(f"{age} ago is before the year 1") from None


async def _threads(
    database: Database,
    limit: datetime,
    done: Expired,
    dry_run: bool,
    report: Callable[[], None],
) -> None:
    place = ("", "")
    while rows := await database.read(*statements.next_threads(*place, limit)):
        expired = [(owner, thread_id) for owner, thread_id, is_old in rows if is_old]
        if expired and not dry_run:
            began = time.monotonic()
            await database.write(*statements.delete_expired(expired, limit))
            # Leaves half of the time to other writers.
            await asyncio.sleep(time.monotonic() - began)
        place = (rows[-1][0], rows[-1][1])
        done.seen += len(rows)
        done.threads += len(expired)
        report()
