# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Finds the owners, and counts and loads their rows."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..database import Database
from ..keys import is_key, show
from ..migrate import require_current
from ..store import ChatStore
from . import statements

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Counts:
    """The number of rows that an owner has in each table.

    Attributes:
        threads: Threads.
        emptied: Rows of deleted threads: the id, times and owner, without text. They
            prevent late writes, and are kept for at least seven days.
        items: Items of threads.
        attachments: Attachments.
    """

    threads: int
    emptied: int
    items: int
    attachments: int

    @property
    def total(self) -> int:
        """The total number of rows."""
        return self.threads + self.emptied + self.items + self.attachments

    def __str__(self) -> str:
        """Return each table's name and number of rows."""
        return (
            f"chatkit_threads: {self.threads} and {self.emptied} emptied; "
            f"chatkit_items: {self.items}; chatkit_attachments: {self.attachments}"
        )


@dataclass(frozen=True)
class Thread:
    """A thread's row; `data` is its payload, `last_at` the time of its last item."""

    id: str
    created_at: datetime
    items: int
    last_at: datetime
    data: str


@dataclass(frozen=True)
class Row:
    """An item's or attachment's row; `data` is its payload."""

    id: str
    created_at: datetime
    data: str


async def count(store: ChatStore, owner: str) -> Counts:
    """Count the rows of an owner.

    Raises:
        ValueError: The owner is invalid.
    """
    async with connected(store, owner) as database:
        return await count_in(database, owner)


async def owners(store: ChatStore, prefix: str = "") -> AsyncGenerator[str, None]:
    """Yield the owners that have rows, in order.

    Args:
        store: The Store.
        prefix: Yield only owners that begin with this, such as all users of `tenant:`.
    """
    async with connected(store) as database:
        if prefix and (await count_in(database, prefix)).total:
            yield prefix
        last = prefix
        while True:
            [(found,)] = await database.read(*statements.next_owner(last))
            if found is None or not found.startswith(prefix):
                return
            yield found
            last = found


@asynccontextmanager
async def connected(store: ChatStore, *owners: str) -> AsyncGenerator[Database, None]:
    """Validate the owners, connect, and check the version of the tables."""
    for owner in owners:
        if not is_key(owner):
            raise ValueError(
                f"{show(owner)} cannot be an owner. It must have 1 to 255 characters, "
                "without U+0000"
            )
    async with store.connected() as database:
        await require_current(database)
        yield database


async def count_in(database: Database, owner: str) -> Counts:
    """Count the rows of an owner."""
    [counts] = await database.read(*statements.count(owner))
    return Counts(*counts)


async def threads_of(database: Database, owner: str) -> AsyncIterator[Thread]:
    """Load an owner's threads, oldest first, in batches."""
    place = (_START, -1)
    while rows := await database.read(*statements.threads(owner, *place)):
        for thread_id, created_at, position, items, last_at, data in rows:
            place = (_to_time(created_at), position)
            last = _to_time(created_at if last_at is None else last_at)
            yield Thread(thread_id, place[0], items, last, data)


async def items_of(
    database: Database, owner: str, thread_id: str
) -> AsyncIterator[Row]:
    """Load a thread's items, oldest first, in batches."""
    place = (_START, -1)
    while rows := await database.read(*statements.items(owner, thread_id, *place)):
        for item_id, created_at, position, data in rows:
            place = (_to_time(created_at), position)
            yield Row(item_id, place[0], data)


async def attachments_of(database: Database, owner: str) -> AsyncIterator[Row]:
    """Load an owner's attachments, by id, in batches."""
    last = ""
    while rows := await database.read(*statements.attachments(owner, last)):
        for last, created_at, data in rows:
            yield Row(last, _to_time(created_at), data)


def _to_time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
