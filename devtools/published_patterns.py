"""Stores in the manner of those that people publish, to show what the rendered suite says of them.

Written by ourselves for this purpose, after four patterns that recur in tutorials, quickstarts and
repositories. They are not straw men: each does what its model does, and passes a happy path. Each
comes with the adapter by which the suite tests it; `scripts/patterns.py` does so and makes a table.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from chatkit.store import NotFoundError, Store
from chatkit.types import Attachment, Page, ThreadItem, ThreadMetadata
from pydantic import TypeAdapter

ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)
ATTACHMENT: TypeAdapter[Attachment] = TypeAdapter(Attachment)


@dataclass
class Context:
    """The context of a request, as the SDK's guide has it."""

    user_id: str


class MemoryStore(Store[Context]):
    """Dictionaries, as in the quickstart, without owners: everybody sees all threads."""

    def __init__(self) -> None:
        self.threads: dict[str, ThreadMetadata] = {}
        self.items: dict[str, list[ThreadItem]] = {}
        self.attachments: dict[str, Attachment] = {}

    async def load_thread(self, thread_id: str, context: Context) -> ThreadMetadata:
        """Load a thread."""
        if thread_id not in self.threads:
            raise NotFoundError(f"Thread {thread_id} not found")
        return self.threads[thread_id]

    async def save_thread(self, thread: ThreadMetadata, context: Context) -> None:
        """Save a thread."""
        self.threads[thread.id] = thread

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Context
    ) -> Page[ThreadItem]:
        """Load a page of items."""
        return _page(self.items.get(thread_id, []), after, limit, order)

    async def save_attachment(self, attachment: Attachment, context: Context) -> None:
        """Save an attachment."""
        self.attachments[attachment.id] = attachment

    async def load_attachment(self, attachment_id: str, context: Context) -> Attachment:
        """Load an attachment."""
        if attachment_id not in self.attachments:
            raise NotFoundError(f"Attachment {attachment_id} not found")
        return self.attachments[attachment_id]

    async def delete_attachment(self, attachment_id: str, context: Context) -> None:
        """Delete an attachment."""
        self.attachments.pop(attachment_id, None)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: Context
    ) -> Page[ThreadMetadata]:
        """Load a page of threads."""
        return _page(list(self.threads.values()), after, limit, order)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Append an item."""
        self.items.setdefault(thread_id, []).append(item)

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Replace an item, or append it."""
        items = self.items.setdefault(thread_id, [])
        for number, other in enumerate(items):
            if other.id == item.id:
                items[number] = item
                return
        items.append(item)

    async def load_item(self, thread_id: str, item_id: str, context: Context) -> ThreadItem:
        """Load an item."""
        for item in self.items.get(thread_id, []):
            if item.id == item_id:
                return item
        raise NotFoundError(f"Item {item_id} not found")

    async def delete_thread(self, thread_id: str, context: Context) -> None:
        """Delete a thread and its items."""
        self.threads.pop(thread_id, None)
        self.items.pop(thread_id, None)

    async def delete_thread_item(self, thread_id: str, item_id: str, context: Context) -> None:
        """Delete an item."""
        items = self.items.get(thread_id, [])
        self.items[thread_id] = [item for item in items if item.id != item_id]


def _page(rows: list[Any], after: str | None, limit: int, order: str) -> Page[Any]:
    rows = sorted(rows, key=lambda row: row.created_at, reverse=order == "desc")
    ids = [row.id for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    data = rows[start : start + limit]
    has_more = start + limit < len(rows)
    return Page(data=data, has_more=has_more, after=data[-1].id if has_more else None)


class ConnectionPerCallStore(Store[Context]):
    """A blocking connection for each call, as in the SDK's guide, and pages by `created_at >`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as connection:
            connection.executescript(
                """
                CREATE TABLE IF NOT EXISTS threads (
                    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at TEXT NOT NULL,
                    data TEXT NOT NULL
                );
                CREATE TABLE IF NOT EXISTS items (
                    id TEXT PRIMARY KEY,
                    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
                    user_id TEXT NOT NULL, created_at TEXT NOT NULL, data TEXT NOT NULL
                );
                CREATE TABLE IF NOT EXISTS attachments (
                    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, data TEXT NOT NULL
                );
                """
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection
            connection.commit()

    async def _run(self, sql: str, *params: object) -> list[Any]:
        with self._connection() as connection:
            return connection.execute(sql, params).fetchall()

    async def _load(self, name: str, sql: str, *params: object) -> str:
        rows = await self._run(sql, *params)
        if not rows:
            raise NotFoundError(f"{name} not found")
        payload: str = rows[0][0]
        return payload

    async def load_thread(self, thread_id: str, context: Context) -> ThreadMetadata:
        """Load a thread."""
        payload = await self._load(
            f"Thread {thread_id}",
            "SELECT data FROM threads WHERE id = ? AND user_id = ?",
            thread_id,
            context.user_id,
        )
        return ThreadMetadata.model_validate_json(payload)

    async def save_thread(self, thread: ThreadMetadata, context: Context) -> None:
        """Insert a thread, as the guide does."""
        await self._run(
            "INSERT INTO threads (id, user_id, created_at, data) VALUES (?, ?, ?, ?)",
            thread.id,
            context.user_id,
            thread.created_at.isoformat(),
            thread.model_dump_json(),
        )

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Context
    ) -> Page[ThreadItem]:
        """Load a page of items."""
        return await self._page(
            "items", "thread_id = ? AND user_id = ?", (thread_id, context.user_id),
            after, limit, order, ITEM.validate_json,
        )  # fmt: skip

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: Context
    ) -> Page[ThreadMetadata]:
        """Load a page of threads."""
        return await self._page(
            "threads", "user_id = ?", (context.user_id,),
            after, limit, order, ThreadMetadata.model_validate_json,
        )  # fmt: skip

    async def _page(
        self,
        table: str,
        condition: str,
        params: tuple[object, ...],
        after: str | None,
        limit: int,
        order: str,
        parse: Callable[[str], Any],
    ) -> Page[Any]:
        if after is not None:
            cursor = await self._run(f"SELECT created_at FROM {table} WHERE id = ?", after)
            if cursor:
                condition += f" AND created_at {'>' if order == 'asc' else '<'} ?"
                params += (cursor[0][0],)
        rows = await self._run(
            f"SELECT id, data FROM {table} WHERE {condition} ORDER BY created_at {order} LIMIT ?",
            *params,
            limit + 1,
        )
        data = [parse(payload) for _, payload in rows[:limit]]
        has_more = len(rows) > limit
        return Page(data=data, has_more=has_more, after=data[-1].id if has_more else None)

    async def save_attachment(self, attachment: Attachment, context: Context) -> None:
        """Insert an attachment."""
        await self._run(
            "INSERT INTO attachments (id, user_id, data) VALUES (?, ?, ?)",
            attachment.id,
            context.user_id,
            attachment.model_dump_json(),
        )

    async def load_attachment(self, attachment_id: str, context: Context) -> Attachment:
        """Load an attachment."""
        payload = await self._load(
            f"Attachment {attachment_id}",
            "SELECT data FROM attachments WHERE id = ? AND user_id = ?",
            attachment_id,
            context.user_id,
        )
        return ATTACHMENT.validate_json(payload)

    async def delete_attachment(self, attachment_id: str, context: Context) -> None:
        """Delete an attachment."""
        await self._run(
            "DELETE FROM attachments WHERE id = ? AND user_id = ?", attachment_id, context.user_id
        )

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Insert an item."""
        await self._run(
            "INSERT INTO items (id, thread_id, user_id, created_at, data) VALUES (?, ?, ?, ?, ?)",
            item.id,
            thread_id,
            context.user_id,
            item.created_at.isoformat(),
            item.model_dump_json(),
        )

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Update an item."""
        await self._run(
            "UPDATE items SET data = ? WHERE id = ? AND thread_id = ? AND user_id = ?",
            item.model_dump_json(),
            item.id,
            thread_id,
            context.user_id,
        )

    async def load_item(self, thread_id: str, item_id: str, context: Context) -> ThreadItem:
        """Load an item."""
        payload = await self._load(
            f"Item {item_id}",
            "SELECT data FROM items WHERE id = ? AND thread_id = ? AND user_id = ?",
            item_id,
            thread_id,
            context.user_id,
        )
        return ITEM.validate_json(payload)

    async def delete_thread(self, thread_id: str, context: Context) -> None:
        """Delete a thread, and its items by the cascade."""
        await self._run(
            "DELETE FROM threads WHERE id = ? AND user_id = ?", thread_id, context.user_id
        )

    async def delete_thread_item(self, thread_id: str, item_id: str, context: Context) -> None:
        """Delete an item."""
        await self._run(
            "DELETE FROM items WHERE id = ? AND thread_id = ? AND user_id = ?",
            item_id,
            thread_id,
            context.user_id,
        )


class InsertOrReplaceStore(ConnectionPerCallStore):
    """Saves by INSERT OR REPLACE, which deletes the old row and, by the cascade, its items."""

    async def _run(self, sql: str, *params: object) -> list[Any]:
        return await super()._run(sql.replace("INSERT INTO", "INSERT OR REPLACE INTO"), *params)

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Replace an item."""
        await self.add_thread_item(thread_id, item, context)


class CheckThenInsertStore(ConnectionPerCallStore):
    """Looks whether a row is there, then updates or inserts it, in threads."""

    async def _run(self, sql: str, *params: object) -> list[Any]:
        return await asyncio.to_thread(asyncio.run, super()._run(sql, *params))

    async def save_thread(self, thread: ThreadMetadata, context: Context) -> None:
        """Update a thread, or insert it."""
        if await self._run("SELECT 1 FROM threads WHERE id = ?", thread.id):
            await self._run(
                "UPDATE threads SET data = ? WHERE id = ?", thread.model_dump_json(), thread.id
            )
        else:
            await super().save_thread(thread, context)

    async def save_attachment(self, attachment: Attachment, context: Context) -> None:
        """Update an attachment, or insert it."""
        if await self._run("SELECT 1 FROM attachments WHERE id = ?", attachment.id):
            await self._run(
                "UPDATE attachments SET data = ? WHERE id = ?",
                attachment.model_dump_json(),
                attachment.id,
            )
        else:
            await super().save_attachment(attachment, context)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Insert an item, if its thread is there."""
        await self.load_thread(thread_id, context)
        await self.save_item(thread_id, item, context)

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        """Update an item, or insert it."""
        if await self._run("SELECT 1 FROM items WHERE id = ?", item.id):
            await super().save_item(thread_id, item, context)
        else:
            await super().add_thread_item(thread_id, item, context)


class Adapter:
    """What the suite has to know of these Stores.

    Args:
        directory: For files.
    """

    STORE: ClassVar[type[Store[Context]]]

    def __init__(self, directory: Path) -> None:
        self._path = directory / "chat.db"

    @staticmethod
    def make_context(owner: str | None, request_id: str | None) -> Context:
        """Make the context of a request by an owner, or by nobody."""
        return Context(user_id=owner or "default")

    async def close_store(self, store: Store[Any]) -> None:
        """Close nothing: these Stores hold nothing open."""


class Memory(Adapter):
    """Makes a MemoryStore."""

    STORE = MemoryStore

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._store = MemoryStore()

    async def open_store(self) -> Store[Any]:
        """Give the Store, since another one would have rows of its own."""
        return self._store

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read rows, by the names that the suite has for them."""
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(
                "CREATE TABLE chatkit_threads (owner_id, id, data);"
                "CREATE TABLE chatkit_items (owner_id, thread_id, id, data);"
                "CREATE TABLE chatkit_attachments (owner_id, id, data);"
            )
            items = self._store.items
            rows: list[tuple[str, Any]] = [("threads", row) for row in self._store.threads.values()]
            rows += [("attachments", row) for row in self._store.attachments.values()]
            for table, row in rows:
                connection.execute(
                    f"INSERT INTO chatkit_{table} VALUES (NULL, ?, ?)",
                    (row.id, row.model_dump_json()),
                )
            connection.executemany(
                "INSERT INTO chatkit_items VALUES (NULL, ?, ?, ?)",
                [
                    (thread_id, item.id, item.model_dump_json())
                    for thread_id, in_thread in items.items()
                    for item in in_thread
                ],
            )
            return connection.execute(sql).fetchall()


class SqlAdapter(Adapter):
    """Makes a Store on a file."""

    STORE: ClassVar[type[ConnectionPerCallStore]]
    BLOCKING_MODULES = ("sqlite3", "_sqlite3")

    async def open_store(self) -> Store[Any]:
        """Make a Store."""
        return self.STORE(self._path)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read rows, by the names that the suite has for them."""
        with closing(sqlite3.connect(self._path)) as connection:
            for table, column in (("threads", ""), ("items", "thread_id, "), ("attachments", "")):
                connection.execute(
                    f"CREATE TEMP VIEW chatkit_{table} AS "
                    f"SELECT user_id AS owner_id, {column}id, data FROM {table}"
                )
            return connection.execute(sql).fetchall()


class ConnectionPerCall(SqlAdapter):
    """Makes a ConnectionPerCallStore."""

    STORE = ConnectionPerCallStore


class InsertOrReplace(SqlAdapter):
    """Makes an InsertOrReplaceStore."""

    STORE = InsertOrReplaceStore


class CheckThenInsert(SqlAdapter):
    """Makes a CheckThenInsertStore."""

    STORE = CheckThenInsertStore
