# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""Deletes files that nobody needs: what was never sent, and what has lost its row."""

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
    """What a sweep has deleted, or with `dry_run` would delete.

    Attributes:
        attachments: Attachments that no message shows, with their files.
        orphans: Attachments whose row was gone, of which there were files.
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

    Run it each day; the servers may go on. An interruption does no harm. Files without
    a row are looked for among those of the last 30 days.

    Args:
        store: The Store.
        files: The files.
        older_than: How old they must be, at least an hour.
        dry_run: Whether to delete nothing.
        force: Whether to delete files also where most have no row.

    Raises:
        ValueError: The time is too short; or most files have no row in this database,
            as when it is another one than theirs.
        DatabaseError: The database cannot be used.
        FileStorageError: The files cannot be used.
    """
    if older_than < timedelta(hours=1):
        raise ValueError(f"older_than must be at least an hour, not {older_than}")
    before = datetime.now(UTC) - older_than
    done = Swept()

    async def delete_files(
        owner: str, attachment_id: str, metadata: dict[str, Any]
    ) -> None:
        await files.delete_of(metadata)

    async with store.connected() as database:
        await require_current(database)
        found = await files.places(before - _WINDOW, before)
        orphans = set(found)
        async for _, _, data in old_attachments(database, _ANY_TIME):
            orphans.discard(str(metadata_of(data).get("place")))
        if len(orphans) > len(found) / 2 and not (dry_run or force):
            raise ValueError(
                f"{len(orphans)} of {len(found)} uploads have no row in this database. If it "
                "is the right one, say so: --force"
            )
        async for _ in delete_unshown(database, before, delete_files, dry_run=dry_run):
            done.attachments += 1
        for place in orphans:
            if not dry_run:
                await files.delete_all(place)
            done.orphans += 1
        # Of an attachment that is kept, this was sent after its file had been taken.
        for place, has_unchecked in found.items():
            if has_unchecked and not dry_run:
                await files.delete(place, INCOMING)
    return done
