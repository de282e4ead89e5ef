"""ChatStore: an implementation of ChatKit's `Store`.

Each method checks its arguments, gets the owner from `context.py`, passes a statement
to `database.py` and the rows to `codec.py`. The SDK's methods are in the SDK's order.
To extend them, subclass ChatStore in your own module.
"""

import asyncio
import logging
import math
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar, Unpack
from uuid import uuid4

from chatkit.store import NotFoundError, Store, StoreItemType
from chatkit.types import Attachment, Page, ThreadItem, ThreadMetadata
from pydantic import TypeAdapter

from . import codec, merge, statements
from .context import RequestContext, owner_id
from .database import Database, DatabaseOptions
from .errors import StoreClosedError
from .ids import new_id
from .keys import PLACEHOLDER_ID, is_key, kind_of, require_key, show
from .migrate import SchemaStatus, apply_pending, require_current, status
from .shield import Writes, finish

logger = logging.getLogger(__name__)

T = TypeVar("T")

TOMBSTONE_LIFETIME = timedelta(days=7)
"""How long a deleted thread's id rejects late writes, such as a running stream's."""


class ChatStore(Store[RequestContext]):
    """A ChatKit Store. One object serves a whole process, from any number of tasks.

    Every method reads and changes only rows of `owner_id(context)`; a context without
    an owner raises `OwnerError`. Loading a row that is missing or belongs to another
    owner raises `NotFoundError`; deleting it does nothing. Loading a row that does not
    validate raises `UnreadableError`. A `ValueError` is raised for an id that is not a
    key (see `keys.py`), and for content that is not JSON or is too large. Every method
    that uses the database can raise `DatabaseError`. Arguments are not changed.

    Args:
        url: The database's URL; by default the environment variable CHAT_STORE_URL.
        auto_migrate: Whether `open` brings the tables up to date. For tests and SQLite;
            otherwise, run `python -m chat_store migrate` at deployment.
        max_page_size: The maximum number of rows of a page, whatever a client requests.
        max_page_bytes: The approximate maximum size of a page's JSON, in bytes. A page
            has at least one row.
        max_item_bytes: The maximum JSON of a thread, item or attachment, in bytes.
        write_timeout: The longest wait for a write, in seconds, also after the caller
            was cancelled.
        options: See `DatabaseOptions` in `database.py`.

    Raises:
        ValueError: The URL is missing, or the URL or an option is invalid.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        auto_migrate: bool = False,
        max_page_size: int = 1000,
        max_page_bytes: int = 32 * 2**20,
        max_item_bytes: int = 16 * 2**20,
        write_timeout: float = 30.0,
        **options: Unpack[DatabaseOptions],
    ) -> None:
        for name, value in (
            ("max_page_size", max_page_size),
            ("max_page_bytes", max_page_bytes),
            ("max_item_bytes", max_item_bytes),
            ("write_timeout", write_timeout),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and more than 0, not {value}")
        self._id = uuid4()
        self._database = Database(
            url or os.environ.get("CHAT_STORE_URL", ""), **options
        )
        self._auto_migrate = auto_migrate
        self._max_page_size = max_page_size
        self._max_page_bytes = max_page_bytes
        self._max_item_bytes = max_item_bytes
        self._writes = Writes(write_timeout)
        self._is_open = False
        self._closing: asyncio.Task[None] | None = None
        self._exit = AsyncExitStack()  # disconnects the open Store
        self._users = 0  # blocks of `connected`; the open Store is one
        self._opened_in: tuple[asyncio.AbstractEventLoop | None, int] = (None, 0)
        self._lock = asyncio.Lock()  # held while connecting and disconnecting

    # --- open and close

    async def open(self) -> None:
        """Connect, and check that the tables fit this code. May be repeated.

        Raises:
            SchemaError: The tables are outdated or too new; the message names the
                remedy.
            DatabaseError: The database cannot be reached.
        """
        while self._closing is not None:
            await asyncio.wait({self._closing})
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(self.connected())
            if self._is_open:
                return
            codec.prepare()
            if self._auto_migrate:
                await apply_pending(database)
            await require_current(database)
            if not self._is_open:  # or another task has opened it
                self._is_open = True
                self._exit = stack.pop_all()

    async def close(self) -> None:
        """Finish running writes, then disconnect; safe to call twice.

        Tasks that use the Store may write for a short time longer: when a server shuts
        down, it cancels its streams and closes the Store immediately, and then the SDK
        saves the partial answers. A cancellation of the caller interrupts none of this.
        """
        if self._is_open and self._closing is None:
            self._require_same_loop()
            closer = asyncio.current_task()
            self._closing = asyncio.create_task(self._close(closer))
        if self._closing is not None:
            await finish(self._closing)

    async def _close(self, closer: asyncio.Task[Any] | None) -> None:
        try:
            async with self._exit:  # disconnects, even if this task is cancelled
                try:
                    await self._writes.wait_for_last(closer)
                finally:
                    self._is_open = False
                await self._writes.drain()
        finally:
            self._closing = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[Database, None]:
        """Connect to the database for a block, whether the Store is open or not.

        For tasks other than the SDK's methods, such as migrations and exports.
        """
        if self._is_open or self._users:
            self._require_same_loop()
        else:
            # A lock belongs to one event loop; each `asyncio.run` creates a new loop.
            here = (asyncio.get_running_loop(), os.getpid())
            if self._opened_in != here:
                self._opened_in, self._lock = here, asyncio.Lock()
        async with self._lock:
            if not self._users:
                try:
                    await self._database.open()
                except BaseException:
                    await self._database.close()
                    raise
            self._users += 1
        try:
            yield self._database
        finally:
            await finish(asyncio.create_task(self._disconnect()))

    async def _disconnect(self) -> None:
        async with self._lock:
            self._users -= 1
            if not self._users:
                await self._database.close()

    async def migrate(
        self, on_progress: Callable[[str], None] | None = None
    ) -> list[str]:
        """Bring the tables up to date; safe to run concurrently.

        Args:
            on_progress: Called with the name of each migration before it is applied.

        Returns:
            The names of the migrations that this call applied.
        """
        async with self.connected() as database:
            return await apply_pending(database, on_progress)

    async def status(self) -> SchemaStatus:
        """Compare the tables with this code, without changing anything."""
        async with self.connected() as database:
            return await status(database)

    # --- ids, in the format of `ids.py`

    def generate_thread_id(self, context: RequestContext) -> str:
        """Return a new thread id."""
        return new_id("thread", None, context)

    def generate_item_id(
        self, item_type: StoreItemType, thread: ThreadMetadata, context: RequestContext
    ) -> str:
        """Return a new id for an item of a thread."""
        return new_id(item_type, thread, context)

    def generate_attachment_id(self, mime_type: str, context: RequestContext) -> str:
        """Return a new attachment id, for your AttachmentStore's method of this name."""
        return new_id("attachment", None, context)

    # --- chatkit.store.Store, in its order

    async def load_thread(
        self, thread_id: str, context: RequestContext
    ) -> ThreadMetadata:
        """Load a thread's metadata."""
        owner = owner_id(context)
        name = f"Thread {show(thread_id)}"
        rows = await self._read(owner, statements.LOAD_THREAD, owner, thread_id)
        row = _one(rows, name)
        thread = codec.load(codec.THREAD, row, name)
        self._remember(thread, owner, row)
        return thread

    async def save_thread(
        self, thread: ThreadMetadata, context: RequestContext
    ) -> None:
        """Insert or update a thread's metadata; updates keep its position.

        If this Store has loaded or saved the object before, only its changes since are
        written (see `merge.py`). Otherwise, a `ThreadMetadata` replaces the row, and a
        `Thread`, which the SDK creates for a new thread, changes the fields that are
        not empty. An empty object never changes an existing row, so that a request can
        be repeated. The items of a `Thread` are not stored.

        Raises:
            NotFoundError: The thread was deleted, and `created_at` is not newer.
            UnreadableError: The row was changed meanwhile and does not validate.
        """
        owner = owner_id(context)
        name = f"Thread {show(require_key(thread.id))}"
        created_at = codec.sort_key(thread.created_at, name)
        payload = self._dump(codec.THREAD, thread, name)
        key = self._key(owner, thread.id)
        snapshot = merge.recall(thread, key)
        self._begin_call()
        save = merge.save(
            self._database,
            thread,
            snapshot,
            key,
            created_at,
            payload,
            self._max_item_bytes,
        )
        if not await self._writes.run(save):
            raise NotFoundError(f"{name} not found")

    async def load_thread_items(
        self,
        thread_id: str,
        after: str | None,
        limit: int,
        order: str,
        context: RequestContext,
    ) -> Page[ThreadItem]:
        """Load a page of a thread's items, in the order of creation.

        Args:
            thread_id: The thread; if missing or another owner's, the page is empty.
            after: The id of the item before the page, or None for the first page.
            limit: The maximum number of items, from 1; `max_page_size` caps it.
            order: "asc" for oldest first, "desc" for newest first.
            context: The request.

        Returns:
            The page; rows that do not validate are logged and left out.

        Raises:
            NotFoundError: The thread has no item `after`.
            ValueError: `limit` or `order` is invalid.
        """
        limit, share = self._page_size(limit, order)
        owner = owner_id(context)
        scope = (owner, thread_id)
        if after is None:
            first = statements.FIRST_ITEMS[order]
            rows = await self._read(owner, first, share, *scope, limit + 1)
        else:
            following = statements.NEXT_ITEMS[order]
            rows = await self._read(owner, following, share, *scope, after, limit + 1)
            if (
                not rows
                and not await self._read(owner, statements.LOAD_ITEM, *scope, after)
                and await self._read(owner, statements.LOAD_THREAD, *scope)
            ):
                raise NotFoundError(f"Item {show(after)} not found")
        page, last = await self._fill(rows, limit, statements.LOAD_ITEM, *scope)
        if rows and not page:  # all of them were deleted meanwhile
            return await self.load_thread_items(thread_id, after, limit, order, context)
        items = codec.load_all(codec.ITEM, page, "Item")
        return Page(data=items, has_more=last is not None, after=last)

    async def save_attachment(
        self, attachment: Attachment, context: RequestContext
    ) -> None:
        """Insert or update an attachment's row, with all of its fields."""
        owner = owner_id(context)
        name = f"Attachment {show(require_key(attachment.id))}"
        payload = self._dump(codec.ATTACHMENT, attachment, name)
        params = (owner, attachment.id, datetime.now(UTC), payload)
        await self._write(owner, (statements.SAVE_ATTACHMENT, params))

    async def load_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> Attachment:
        """Load an attachment's row."""
        owner = owner_id(context)
        name = f"Attachment {show(attachment_id)}"
        rows = await self._read(owner, statements.LOAD_ATTACHMENT, owner, attachment_id)
        return codec.load(codec.ATTACHMENT, _one(rows, name), name)

    async def delete_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> None:
        """Delete an attachment's row."""
        owner = owner_id(context)
        if is_key(attachment_id):
            step = (statements.DELETE_ATTACHMENT, (owner, attachment_id))
            await self._write(owner, step)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: RequestContext
    ) -> Page[ThreadMetadata]:
        """Load a page of the owner's threads; see `load_thread_items`.

        `after` may be a thread that was deleted meanwhile.
        """
        limit, share = self._page_size(limit, order)
        owner = owner_id(context)
        if after is None:
            first = statements.FIRST_THREADS[order]
            rows = await self._read(owner, first, share, owner, limit + 1)
        else:
            following = statements.NEXT_THREADS[order]
            rows = await self._read(owner, following, share, owner, after, limit + 1)
            if not rows and not await self._read(
                owner, statements.FIND_THREAD, owner, after
            ):
                raise NotFoundError(f"Thread {show(after)} not found")
        page, last = await self._fill(rows, limit, statements.LOAD_THREAD, owner)
        if rows and not page:  # all of them were deleted meanwhile
            return await self.load_threads(limit, after, order, context)
        threads = codec.load_all(codec.THREAD, page, "Thread")
        payloads = dict(page)
        for thread in threads:
            if thread.id in payloads:  # or the row was edited by hand
                self._remember(thread, owner, payloads[thread.id])
        return Page(data=threads, has_more=last is not None, after=last)

    async def add_thread_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Append an item to a thread, or update the item with the same id in place.

        The placeholder id of chat-completions models is stored as a new id.

        Raises:
            NotFoundError: The thread is missing, deleted or another owner's.
        """
        if item.id == PLACEHOLDER_ID:
            thread = ThreadMetadata(id=thread_id, created_at=item.created_at)
            real_id = self.generate_item_id(kind_of(item), thread, context)
            item = item.model_copy(update={"id": real_id})
        owner = owner_id(context)
        name = f"Item {show(require_key(item.id))}"
        created_at = codec.sort_key(item.created_at, name)
        payload = self._dump(codec.ITEM, item, name)
        params = (item.id, created_at, payload, owner, require_key(thread_id))
        if not await self._write(owner, (statements.SAVE_ITEM, params)):
            raise NotFoundError(f"Thread {show(thread_id)} not found")

    async def save_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Update an item by its id, or insert it, as `add_thread_item` does."""
        await self.add_thread_item(thread_id, item, context)

    async def load_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> ThreadItem:
        """Load an item of a thread."""
        owner = owner_id(context)
        name = f"Item {show(item_id)}"
        rows = await self._read(owner, statements.LOAD_ITEM, owner, thread_id, item_id)
        return codec.load(codec.ITEM, _one(rows, name), name)

    async def delete_thread(self, thread_id: str, context: RequestContext) -> None:
        """Delete a thread and its items in one transaction.

        An empty row remains for TOMBSTONE_LIFETIME, so that a running stream cannot
        recreate the thread. The thread's attachments are kept, to be deleted together
        with their files.
        """
        owner = owner_id(context)
        if not is_key(thread_id):
            return
        now = datetime.now(UTC)
        await self._write(
            owner,
            (statements.DELETE_THREAD, (now, owner, thread_id)),
            (statements.DELETE_THREAD_ITEMS, (owner, thread_id)),
            (statements.PURGE_THREADS, (now - TOMBSTONE_LIFETIME,)),
        )

    async def delete_thread_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> None:
        """Delete an item of a thread."""
        owner = owner_id(context)
        if is_key(thread_id) and is_key(item_id):
            step = (statements.DELETE_ITEM, (owner, thread_id, item_id))
            await self._write(owner, step)

    # --- shared steps

    def _remember(self, thread: ThreadMetadata, owner: str, row: str) -> None:
        merge.remember(thread, merge.Snapshot(self._key(owner, thread.id), row, None))

    def _key(self, owner: str, thread_id: str) -> merge.Key:
        return (self._id, owner, thread_id)

    async def _read(
        self, owner: str, statement: str, *params: str | int
    ) -> list[tuple[str, Any]]:
        self._begin_call()
        # An id that cannot be a key was never stored, so no query is needed.
        if not all(is_key(param) for param in params if isinstance(param, str)):
            return []
        return await self._database.read(statement, params, owner=owner)

    async def _write(self, owner: str, *steps: tuple[str, Sequence[object]]) -> int:
        self._begin_call()
        return await self._writes.run(self._database.write(*steps, owner=owner))

    def _begin_call(self) -> None:
        if not self._is_open:
            raise StoreClosedError(
                "The ChatStore is not open: use it inside `async with store:`, or call "
                "`await store.open()` first (in FastAPI: in the lifespan)."
            )
        self._require_same_loop()
        self._writes.expect_from(asyncio.current_task())

    def _require_same_loop(self) -> None:
        if self._opened_in != (asyncio.get_running_loop(), os.getpid()):
            raise StoreClosedError(
                "The ChatStore was opened in another event loop, or before this process was "
                "forked: open one in each process and event loop."
            )

    async def _fill(
        self, rows: list[tuple[str, Any]], limit: int, load: str, *scope: str
    ) -> tuple[list[tuple[str, str]], str | None]:
        # Returns a page's rows, and the last one's id if more follow, readable or not.
        # A row that is larger than its share comes without its payload (R42).
        page: list[tuple[str, str]] = []
        size, has_more = 0, len(rows) > limit
        for row_id, payload in rows[:limit]:
            if payload is None:
                found = await self._read(scope[0], load, *scope, row_id)
                if not found:  # deleted meanwhile
                    continue
                payload = found[0][1]
            # A damaged row may contain characters that cannot be encoded.
            size += len(payload.encode(errors="replace"))
            if page and size > self._max_page_bytes:
                logger.warning(
                    "A page was cut to max_page_bytes=%d", self._max_page_bytes
                )
                has_more = True
                break
            page.append((row_id, payload))
        return page, page[-1][0] if has_more and page else None

    def _dump(self, adapter: TypeAdapter[list[T]], value: T, name: str) -> str:
        payload = codec.dump(adapter, value, name)
        codec.require_size(payload, self._max_item_bytes, name)
        return payload

    def _page_size(self, limit: int, order: str) -> tuple[int, int]:
        # Returns the maximum number of rows, and the bytes of payload for each.
        if order not in statements.FIRST_ITEMS:
            raise ValueError(f"order must be 'asc' or 'desc', not {show(order)}")
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {show(str(limit))}")
        if limit > self._max_page_size:
            logger.warning("A page was cut to max_page_size=%d", self._max_page_size)
        limit = min(limit, self._max_page_size)
        return limit, self._max_page_bytes // (limit + 1)


def _one(rows: list[tuple[str, str]], name: str) -> str:
    if not rows:
        raise NotFoundError(f"{name} not found")
    return rows[0][1]
