# Extra "attachments": store_attachments=false deletes it, including your edits.
"""Deletes unused files: those that no message shows, and those without a row."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..migrate import require_current
from ..store import ChatStore
from ..unshown import delete_unshown, metadata_of, old_attachments
from .files import INCOMING, Files

_WINDOW = timedelta(days=30)
_ANY_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass
class Swept:
    """What a sweep deleted, or would delete with `dry_run`.

    Attributes:
        attachments: Attachments that no message shows, with their files.
        orphans: Attachments without a row, of which there were files.
    """

    attachments: int = 0
    orphans: int = 0


async def sweep(
    store: ChatStore,
    files: Files,
    *,
    older_than: timedelta = timedelta(days=1),
    dry_run: bool = False,
    force: bool = False,
) -> Swept:
    """Delete attachments that no message shows, and files that have no row.

    Run it once a day; servers can keep running, and an interruption does no harm. Only
    the files of the last 30 days are searched for files without a row.

    Args:
        store: The Store.
        files: The files.
        older_than: The minimum age, at least an hour.
        dry_run: Whether to only count.
        force: Whether to delete files even if most of them have no row.

    Raises:
        ValueError: The age is too small; or most files have no row, so that this may be
            the wrong database.
        DatabaseError: The database cannot be used.
        FileStorageError: The files cannot be used.
    """
    if older_than < timedelta(hours=1):
        raise ValueError(f"older_than must be at least an hour, not {older_than}")
    try:
        before = datetime.now(UTC) - older_than
        after = before - _WINDOW
    except OverflowError:
        raise ValueError(f"{older_than} ago is before the year 1") from None
    done = Swept()

    async def delete_files(
        owner: str, attachment_id: str, metadata: dict[str, Any]
    ) -> None:
        await files.delete_of(metadata)

    async with store.connected() as database:
        await require_current(database)
        found = await files.places(after, before)
        orphans = set(found)
        async for _, _, data in old_attachments(database, _ANY_TIME):
            orphans.discard(str(metadata_of(data).get("place")))
        if len(orphans) > len(found) / 2 and not (dry_run or force):
            raise ValueError(
                f"{len(orphans)} of {len(found)} uploads have no row in this database. "
                "If it is the right one, use --force."
            )
        async for _ in delete_unshown(database, before, delete_files, dry_run=dry_run):
            done.attachments += 1
        for place in orphans:
            if not dry_run:
                await files.delete_all(place)
            done.orphans += 1
        # An upload to the bucket after the attachment's file was already checked.
        for place, has_unchecked in found.items():
            if has_unchecked and not dry_run:
                await files.delete(place, INCOMING)
    return done
