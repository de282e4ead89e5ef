"""What a Store must do, said in plain Python: the rows of one owner.

The state machine makes the same calls to a Store and to this model, and compares what comes of
them. The methods are those of `chatkit.store.Store`, without the context: each owner has a model
of its own, so that owners cannot meet (R12).

This directory exists only if the template answer store_tests is "full".
"""

from datetime import datetime
from typing import Generic, TypeVar

from chatkit.store import NotFoundError
from chatkit.types import Attachment, Page, Thread, ThreadItem, ThreadMetadata
from pydantic import TypeAdapter

Row = TypeVar("Row", ThreadMetadata, ThreadItem)
T = TypeVar("T")

THREAD: TypeAdapter[ThreadMetadata] = TypeAdapter(ThreadMetadata)
ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)
ATTACHMENT: TypeAdapter[Attachment] = TypeAdapter(Attachment)


def read_back(adapter: TypeAdapter[T], value: T) -> T:
    """Return what the SDK reads from a value's JSON (R01, R26, R30)."""
    return adapter.validate_json(adapter.dump_json(value))


def instant(row: ThreadMetadata | ThreadItem) -> datetime:
    """Return the moment that a row's time means; a naive one is local time (R25)."""
    return row.created_at.astimezone()


class Rows(Generic[Row]):
    """Rows in the order of the instants that they were first saved with (R17)."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[datetime, int]] = {}
        self._rows: dict[str, Row] = {}

    def save(self, row: Row) -> None:
        """Insert a row, or replace it where it stands (R04, R05, R07)."""
        if row.id not in self._rows:
            newest = max((number for _, number in self._places.values()), default=0)
            self._places[row.id] = (instant(row), newest + 1)
        self._rows[row.id] = row

    def load(self, row_id: str) -> Row:
        """Return a row (R02)."""
        if row_id not in self._rows:
            raise NotFoundError
        return self._rows[row_id]

    def empty(self, row_id: str) -> None:
        """Delete a row, if it is there (R09), but not its place (R20)."""
        self._rows.pop(row_id, None)

    def delete(self, row_id: str) -> None:
        """Delete a row, if it is there (R09)."""
        self.empty(row_id)
        self._places.pop(row_id, None)

    def page(self, after: str | None, limit: int, order: str) -> Page[Row]:
        """Return the rows that follow one of them (R17 to R21)."""
        if order not in ("asc", "desc") or limit < 1:
            raise ValueError
        places = sorted((self._places[row_id], row_id) for row_id in self._rows)
        if after is not None:
            if after not in self._places:
                raise NotFoundError
            cursor = (self._places[after], after)
            places = [
                it for it in places if (it > cursor if order == "asc" else it < cursor)
            ]
        ids = [row_id for _, row_id in (places if order == "asc" else places[::-1])]
        more = len(ids) > limit
        data = [self._rows[row_id] for row_id in ids[:limit]]
        return Page(data=data, has_more=more, after=data[-1].id if more else None)


class Model:
    """What one owner has stored."""

    def __init__(self) -> None:
        self._threads = Rows[ThreadMetadata]()
        self._items: dict[str, Rows[ThreadItem]] = {}  # of the threads that are there
        self._newest: dict[str, datetime] = {}  # of all saves, deleted threads' too
        self.attachments: dict[str, Attachment] = {}

    def load_thread(self, thread_id: str) -> ThreadMetadata:
        """Return a thread (R01, R02)."""
        return self._threads.load(thread_id)

    def save_thread(self, thread: ThreadMetadata) -> None:
        """Save a thread, unless it was deleted, and this is not a later one (R10).

        An empty one leaves the thread that is there as it is; of a `Thread`, only what
        is not empty is written (R41).
        """
        newest = self._newest.get(thread.id, instant(thread))
        if thread.id in self._newest.keys() - self._items and instant(thread) <= newest:
            raise NotFoundError
        self._newest[thread.id] = max(newest, instant(thread))
        is_new = thread.id not in self._items
        self._items.setdefault(thread.id, Rows())
        bare = ThreadMetadata(id=thread.id, created_at=thread.created_at)
        changes = {
            field: getattr(thread, field)
            for field in ThreadMetadata.model_fields
            if getattr(thread, field) != getattr(bare, field)
        }
        if isinstance(thread, Thread) and changes and not is_new:
            row = self._threads.load(thread.id)
            changes["metadata"] = {**row.metadata, **thread.metadata}
            thread = row.model_copy(update=changes)
        if is_new or changes:
            self._threads.save(read_back(THREAD, thread))

    def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str
    ) -> Page[ThreadItem]:
        """Return a page of items, an empty one where there is no thread (R14)."""
        if thread_id not in self._items:
            after = None
        return self._items_of(thread_id).page(after, limit, order)

    def save_attachment(self, attachment: Attachment) -> None:
        """Save an attachment (R30)."""
        self.attachments[attachment.id] = read_back(ATTACHMENT, attachment)

    def load_attachment(self, attachment_id: str) -> Attachment:
        """Return an attachment (R02, R30)."""
        if attachment_id not in self.attachments:
            raise NotFoundError
        return self.attachments[attachment_id]

    def delete_attachment(self, attachment_id: str) -> None:
        """Delete an attachment, if it is there (R09)."""
        self.attachments.pop(attachment_id, None)

    def load_threads(
        self, limit: int, after: str | None, order: str
    ) -> Page[ThreadMetadata]:
        """Return a page of threads (R17 to R21)."""
        return self._threads.page(after, limit, order)

    def add_thread_item(self, thread_id: str, item: ThreadItem) -> None:
        """Save an item: to add it again is the same (R05)."""
        self.save_item(thread_id, item)

    def save_item(self, thread_id: str, item: ThreadItem) -> None:
        """Save an item in a thread that is there (R07, R08)."""
        if thread_id not in self._items:
            raise NotFoundError
        self._items[thread_id].save(read_back(ITEM, item))

    def load_item(self, thread_id: str, item_id: str) -> ThreadItem:
        """Return an item of this thread (R02, R16)."""
        return self._items_of(thread_id).load(item_id)

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread with its items, if it is there (R09, R10)."""
        self._threads.empty(thread_id)
        self._items.pop(thread_id, None)

    def delete_thread_item(self, thread_id: str, item_id: str) -> None:
        """Delete an item, if it is there (R09)."""
        self._items_of(thread_id).delete(item_id)

    def _items_of(self, thread_id: str) -> Rows[ThreadItem]:
        return self._items.get(thread_id, Rows())
