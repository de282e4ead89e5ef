"""ChatStore: what a ChatKit server asks of its Store, one call a method.

Each method checks its arguments, asks `context.py` for the owner, takes a statement,
hands it to `database.py` and gives the row to `codec.py`. The methods stand in the
SDK's order, with its names and positions: the server mixes positional and keyword
arguments (R38). The rules R01 to R40 are the promises that the test suite lists, in
`chat_store_rules.py`. Subclass ChatStore to add to it; this file is updated by `copier
update`.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import IO, TypeVar

import typing_extensions
from chatkit.store import NotFoundError, Store, StoreItemType
from chatkit.types import Attachment, Page, ThreadItem, ThreadMetadata
from pydantic import TypeAdapter

from . import codec, statements
from .context import RequestContext, owner_id
from .database import Database, DatabaseOptions
from .errors import StoreClosedError
from .ids import is_repeatable, new_id
from .keys import MAX_KEY_LENGTH, PLACEHOLDER_ID, is_key, kind_of
from .migrate import SchemaStatus, apply_pending, require_current, status
from .settle import settle

logger = logging.getLogger(__name__)

T = TypeVar("T")

TOMBSTONE_LIFETIME = timedelta(days=7)
"""How long a deleted thread's id refuses late writes, such as a running stream's (R10)."""


class ChatStore(Store[RequestContext]):
    """A ChatKit Store that keeps the rules R01 to R40 of its contract.

    One object serves a whole process and every request in it, from any number of tasks.

    Args:
        url: Where the database is; without it, the environment variable CHAT_STORE_URL.
            The module `database.py` says which forms and options it takes.
        auto_migrate: Whether `open` brings the tables up to date. Meant for tests and
            for the embedded database; elsewhere run `python -m chat_store migrate` at
            deployment.
        max_page_size: The most rows of one page, whatever a client asks for (R21).
        write_timeout: The longest wait for a write to end, in seconds, also while the
            caller is being cancelled (R31).
        options: What `DatabaseOptions` in `database.py` lists.

    Raises:
        ValueError: No URL, or one or an option that this Store cannot use.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        auto_migrate: bool = False,
        max_page_size: int = 1000,
        write_timeout: float = 30.0,
        **options: typing_extensions.Unpack[DatabaseOptions],
    ) -> None:
        if max_page_size < 1:
            raise ValueError(f"max_page_size must be at least 1, not {max_page_size}")
        url = url or os.environ.get("CHAT_STORE_URL", "")
        self._database = Database(url, **options)
        self._auto_migrate = auto_migrate
        self._max_page_size = max_page_size
        self._write_timeout = write_timeout
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lifecycle = asyncio.Lock()

    async def open(self) -> None:
        """Connect, and check that the tables suit this code (R37), unless it is open.

        Raises:
            SchemaError: The tables are outdated or too new; the message says what to
                run.
            DatabaseError: The database cannot be reached.
        """
        async with self._lifecycle:
            if self._is_open:
                self._require_its_loop()
                return
            codec.prepare()
            try:
                await self._database.open()
                if self._auto_migrate:
                    await apply_pending(self._database)
                await require_current(self._database)
            except BaseException:
                await self._database.close()
                raise
            self._is_open = True
            self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Wait for the writes in flight, then disconnect; safe to call twice (R40)."""
        async with self._lifecycle:
            if self._is_open:
                self._require_its_loop()
            self._is_open = False
            await self._database.close()

    async def __aenter__(self) -> typing_extensions.Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def migrate(self, begin: Callable[[str], None] | None = None) -> list[str]:
        """Bring the tables up to date; safe while others do the same (R37).

        Args:
            begin: Is told the name of each migration before it is applied.

        Returns:
            The names of the migrations that this call applied.

        Raises:
            DatabaseError: The database cannot be reached, or refused.
        """
        return await self._while_connected(partial(apply_pending, begin=begin))

    async def schema_status(self) -> SchemaStatus:
        """Compare the tables with this code, without changing them.

        Returns:
            Both versions, and the migrations that are missing.

        Raises:
            DatabaseError: The database cannot be reached.
        """
        return await self._while_connected(status)

    async def export_rows(
        self, file: IO[bytes], report: Callable[[int, int], None] | None = None
    ) -> Counter[str]:
        """Write all rows to a file, or those that an interrupted export has not written.

        Args:
            file: Empty, or what an interrupted export has left; or a pipe.
            report: Is told now and then how many rows the file holds, and how many it
                will hold.

        Returns:
            How many rows of each kind ("thread", "item", "attachment") the file holds.

        Raises:
            SchemaError: The tables do not suit this code (R37).
            TransferError: The file is a complete export, or none of ours; or a row is
                damaged.
        """
        # Here, since it takes time to import, and a server needs none of it.
        from .transfer import export_rows

        return await self._while_connected(
            partial(export_rows, file=file, report=report)
        )

    async def import_rows(
        self, file: IO[bytes], report: Callable[[int, int], None] | None = None
    ) -> Counter[str]:
        """Store the rows of an exported file that are not there yet; overwrite nothing.

        Args:
            file: The export, from its beginning.
            report: Is told now and then how many rows were dealt with, of how many; 0
                where that is unknown.

        Returns:
            How many rows of each kind the file holds, and how many were "there".

        Raises:
            SchemaError: The tables do not suit this code (R37).
            TransferError: The file is no complete export, or a row cannot be stored.
        """
        from .transfer import import_rows

        return await self._while_connected(
            partial(import_rows, file=file, report=report)
        )

    # --- ids

    def generate_thread_id(self, context: RequestContext) -> str:
        """Return a new thread id, in the format of `ids.py`; it can be a key (R11).

        Raises:
            IdError: It could not be made.
        """
        return new_id("thread", None, context)

    def generate_item_id(
        self, item_type: StoreItemType, thread: ThreadMetadata, context: RequestContext
    ) -> str:
        """Return a new item id, in the format of `ids.py`; it can be a key (R11).

        Args:
            item_type: What it is for, such as "message" or "tool_call".
            thread: The thread of the item.
            context: The request that asks.

        Raises:
            IdError: It could not be made.
        """
        return new_id(item_type, thread, context)

    def generate_attachment_id(self, mime_type: str, context: RequestContext) -> str:
        """Return a new attachment id, for your AttachmentStore's method of this name.

        Raises:
            IdError: It could not be made.
        """
        return new_id("attachment", None, context)

    # --- chatkit.store.Store, in its order

    async def load_thread(
        self, thread_id: str, context: RequestContext
    ) -> ThreadMetadata:
        """Load a thread's metadata (R01).

        Args:
            thread_id: The thread.
            context: Who asks.

        Returns:
            Exactly a `ThreadMetadata`, equal to what was saved.

        Raises:
            NotFoundError: The thread is absent, deleted or another owner's (R02).
            UnreadableError: The row does not validate (R29).
        """
        owner = owner_id(context)
        name = f"Thread {thread_id}"
        rows = await self._read_by_id(statements.LOAD_THREAD, (owner, thread_id))
        return codec.load(codec.THREAD, _one(rows, name), name)

    async def save_thread(
        self, thread: ThreadMetadata, context: RequestContext
    ) -> None:
        """Insert or update a thread's metadata (R03), leaving it in its place (R04).

        Args:
            thread: The metadata; the items of a `Thread` are not stored, and it is not
                changed.
            context: Who saves, and owns the thread if it is new.

        Raises:
            NotFoundError: The thread was deleted, and this is not a later one (R10).
            ValueError: The id cannot be a key (R11), or the thread is not JSON (R28).
        """
        owner = owner_id(context)
        name = f"Thread {_key(thread.id)}"
        created_at = codec.sort_key(thread.created_at, name)
        payload = codec.dump(codec.THREAD, thread, name)
        # A request that is tried again mints the same thread again where ids can
        # repeat. It must not wipe what the first try has stored in it since.
        keep = is_repeatable(thread.id, context) and _is_bare(thread)
        params = (owner, thread.id, created_at, payload, keep)
        if not await self._write((statements.SAVE_THREAD, params)):
            raise NotFoundError(f"{name} not found")

    async def load_thread_items(
        self,
        thread_id: str,
        after: str | None,
        limit: int,
        order: str,
        context: RequestContext,
    ) -> Page[ThreadItem]:
        """Load a page of a thread's items, in the order of creation (R17 to R22).

        Args:
            thread_id: The thread; absent or another owner's, the page is empty (R14).
            after: The id of the item to continue behind, or None for the first page.
            limit: The most items, from 1; more than `max_page_size` is cut to it.
            order: "asc" for oldest first, "desc" for newest first.
            context: Who asks.

        Returns:
            The page; rows that do not validate are logged and left out (R29).

        Raises:
            NotFoundError: The thread has no item `after` (R20).
            ValueError: `limit` or `order` is none of the above (R21).
        """
        limit = self._page_size(limit, order)
        owner = owner_id(context)
        if not is_key(thread_id):
            return Page()
        scope = (owner, thread_id)
        if after is None:
            rows = await self._read(statements.FIRST_ITEMS[order], (*scope, limit + 1))
        else:
            rows = await self._read_by_id(
                statements.NEXT_ITEMS[order], (*scope, after, limit + 2)
            )
            if not rows:
                if not await self._read(statements.LOAD_THREAD, scope):
                    return Page()
                raise NotFoundError(f"Item {after} not found")
            del rows[0]  # the item `after` itself, which proves that it exists
        return _page(codec.ITEM, rows, limit, "Item")

    async def save_attachment(
        self, attachment: Attachment, context: RequestContext
    ) -> None:
        """Insert or update an attachment, with all of its fields (R30).

        Args:
            attachment: The attachment; it is not changed.
            context: Who saves, and owns the attachment if it is new.

        Raises:
            ValueError: The id cannot be a key (R11), or the attachment is not JSON
                (R28).
        """
        owner = owner_id(context)
        name = f"Attachment {_key(attachment.id)}"
        payload = codec.dump(codec.ATTACHMENT, attachment, name)
        params = (owner, attachment.id, datetime.now(codec.UTC), payload)
        await self._write((statements.SAVE_ATTACHMENT, params))

    async def load_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> Attachment:
        """Load an attachment's metadata (R30).

        Args:
            attachment_id: The attachment.
            context: Who asks.

        Returns:
            The attachment as it was saved.

        Raises:
            NotFoundError: The attachment is absent or another owner's (R02).
            UnreadableError: The row does not validate (R29).
        """
        owner = owner_id(context)
        name = f"Attachment {attachment_id}"
        rows = await self._read_by_id(
            statements.LOAD_ATTACHMENT, (owner, attachment_id)
        )
        return codec.load(codec.ATTACHMENT, _one(rows, name), name)

    async def delete_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> None:
        """Delete an attachment's row; a missing one is ignored (R09)."""
        owner = owner_id(context)
        if is_key(attachment_id):
            await self._write((statements.DELETE_ATTACHMENT, (owner, attachment_id)))

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: RequestContext
    ) -> Page[ThreadMetadata]:
        """Load a page of the owner's threads, in the order of creation (R17 to R22).

        Args:
            limit: The most threads, from 1; more than `max_page_size` is cut to it.
            after: The id of the thread to continue behind, or None for the first page.
            order: "asc" for oldest first, "desc" for newest first.
            context: Who asks.

        Returns:
            The page; rows that do not validate are logged and left out (R29).

        Raises:
            NotFoundError: The owner has no thread `after` (R20).
            ValueError: `limit` or `order` is none of the above (R21).
        """
        limit = self._page_size(limit, order)
        owner = owner_id(context)
        if after is None:
            rows = await self._read(statements.FIRST_THREADS[order], (owner, limit + 1))
        else:
            rows = await self._read_by_id(
                statements.NEXT_THREADS[order], (owner, after, limit + 2)
            )
            if not rows:
                raise NotFoundError(f"Thread {after} not found")
            del rows[0]
        return _page(codec.THREAD, rows, limit, "Thread")

    async def add_thread_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Append an item to a thread, or update the one that has its id in place (R05).

        Args:
            thread_id: The thread.
            item: The item; it is not changed. The placeholder id of chat-completions
                models is replaced by a new one in what is stored (R06).
            context: Who adds.

        Raises:
            NotFoundError: The thread is absent, deleted or another owner's (R08).
            ValueError: An id cannot be a key (R11), or the item is not JSON (R28).
        """
        if item.id == PLACEHOLDER_ID:
            thread = ThreadMetadata(id=thread_id, created_at=item.created_at)
            real_id = self.generate_item_id(kind_of(item), thread, context)
            item = item.model_copy(update={"id": real_id})
        owner = owner_id(context)
        name = f"Item {_key(item.id)}"
        created_at = codec.sort_key(item.created_at, name)
        payload = codec.dump(codec.ITEM, item, name)
        params = (item.id, created_at, payload, owner, _key(thread_id))
        if not await self._write((statements.SAVE_ITEM, params)):
            raise NotFoundError(f"Thread {thread_id} not found")

    async def save_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Update an item by its id, or insert it, as `add_thread_item` does (R07)."""
        await self.add_thread_item(thread_id, item, context)

    async def load_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> ThreadItem:
        """Load an item of a thread.

        Args:
            thread_id: The thread.
            item_id: The item; the same id in another thread is another item (R16).
            context: Who asks.

        Returns:
            The item as it was last saved.

        Raises:
            NotFoundError: The item or its thread is absent or another owner's (R02).
            UnreadableError: The row does not validate (R29).
        """
        owner = owner_id(context)
        name = f"Item {item_id}"
        rows = await self._read_by_id(statements.LOAD_ITEM, (owner, thread_id, item_id))
        return codec.load(codec.ITEM, _one(rows, name), name)

    async def delete_thread(self, thread_id: str, context: RequestContext) -> None:
        """Delete a thread and its items in one step, or ignore a missing one (R10).

        What is left is the thread's row without its data: a stream that is still
        running meets it and cannot bring the thread back. Such rows go after
        TOMBSTONE_LIFETIME. The thread's attachments stay, to be swept together with
        their files.
        """
        owner = owner_id(context)
        if not is_key(thread_id):
            return
        now = datetime.now(codec.UTC)
        await self._write(
            (statements.DELETE_THREAD, (now, owner, thread_id)),
            (statements.DELETE_THREAD_ITEMS, (owner, thread_id)),
            (statements.PURGE_THREADS, (now - TOMBSTONE_LIFETIME,)),
        )

    async def delete_thread_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> None:
        """Delete an item; a missing one is ignored (R09)."""
        owner = owner_id(context)
        if is_key(thread_id) and is_key(item_id):
            await self._write((statements.DELETE_ITEM, (owner, thread_id, item_id)))

    # --- shared steps

    async def _while_connected(self, action: Callable[[Database], Awaitable[T]]) -> T:
        async with self._lifecycle:
            if self._is_open:
                self._require_its_loop()
                return await action(self._database)
            try:
                await self._database.open()
                return await action(self._database)
            finally:
                await self._database.close()

    async def _read(
        self, statement: str, params: Sequence[object]
    ) -> list[tuple[str, str]]:
        self._require_open()
        return await self._database.read(statement, params)

    async def _read_by_id(
        self, statement: str, params: Sequence[object]
    ) -> list[tuple[str, str]]:
        # An id that cannot be a key was never stored; the database is not asked (R11).
        if not all(is_key(param) for param in params if isinstance(param, str)):
            return []
        return await self._read(statement, params)

    async def _write(self, *steps: tuple[str, Sequence[object]]) -> int:
        self._require_open()
        return await settle(self._database.write(*steps), self._write_timeout)

    def _require_open(self) -> None:
        if not self._is_open:
            raise StoreClosedError(
                "The ChatStore is not open: use it inside `async with store:`, or call "
                "`await store.open()` first (in FastAPI: in the lifespan)."
            )
        self._require_its_loop()

    def _require_its_loop(self) -> None:
        # A driver's connections belong to a loop, and would hang in another; SQLite's
        # threads serve any.
        if Database.SERVES_ANY_LOOP:
            return
        if self._loop is not asyncio.get_running_loop():
            raise StoreClosedError(
                "The ChatStore was opened in another event loop: open, use and close it in "
                "the same `asyncio.run`, or make a ChatStore for each loop."
            )

    def _page_size(self, limit: int, order: str) -> int:
        if order not in statements.FIRST_ITEMS:
            raise ValueError(f"order must be 'asc' or 'desc', not {order!r}")
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        if limit > self._max_page_size:
            logger.warning(
                "A page of %d was asked for and cut to %d", limit, self._max_page_size
            )
        return min(limit, self._max_page_size)


def _key(text: str) -> str:
    if not is_key(text):
        raise ValueError(
            f"{text[:40]!r} cannot be an id: it has {len(text)} characters, and must have 1 to "
            f"{MAX_KEY_LENGTH}, without U+0000 or lone surrogates"
        )
    return text


def _is_bare(thread: ThreadMetadata) -> bool:
    new = ThreadMetadata(id=thread.id, created_at=thread.created_at)
    return all(
        getattr(thread, field) == getattr(new, field)
        for field in type(new).model_fields
    )


def _one(rows: list[tuple[str, str]], name: str) -> str:
    if not rows:
        raise NotFoundError(f"{name} not found")
    return rows[0][1]


def _page(
    adapter: TypeAdapter[T], rows: list[tuple[str, str]], limit: int, what: str
) -> Page[T]:
    has_more = len(rows) > limit
    del rows[limit:]
    data = codec.load_all(adapter, rows, what)
    # The cursor is the last row, readable or not, so that paging goes on past a bad one
    # (R19).
    return Page(data=data, has_more=has_more, after=rows[-1][0] if has_more else None)
