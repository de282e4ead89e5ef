"""Who is measured beside the Store.

- By hand: the Store's own statements on the driver's pool, with the SDK's models written and read by
  pydantic, and nothing around that: no checks, deadlines, retries, or shield against cancellation.
- The guide's pattern: what the SDK's guide shows for PostgreSQL. Each call connects, blocks, and
  disconnects. It is given the indexes that the guide recommends.
- `SQLAlchemySession` of the Agents SDK and LangGraph's saver for PostgreSQL, which append one message.
  They know nothing of owners, threads in a list, or the place of an item.
"""

import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from agents.extensions.memory import SQLAlchemySession
from chatkit.types import Page, ThreadItem, ThreadMetadata
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import create_async_engine

from .drivers import POOL, Driver
from .measuring import Call
from .workload import PAGE, SIZE, TASKS, a_new_message, own_thread, text_of

ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)


class ByHand:
    """The Store's statements on a driver.

    Args:
        driver: The driver.
        statements: The rendered module.
    """

    def __init__(self, driver: Driver, statements: Any) -> None:
        self._driver = driver
        self._statements = statements

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, owner: str
    ) -> Page[ThreadItem]:
        rows = await self._driver.fetch(
            self._statements.FIRST_ITEMS[order], (2**20, owner, thread_id, limit + 1)
        )
        items = [ITEM.validate_json(data) for _, data in rows[:limit]]
        has_more = len(rows) > limit
        return Page(data=items, has_more=has_more, after=items[-1].id if has_more else None)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, owner: str) -> None:
        created_at = self._driver.instant(item.created_at)
        payload = ITEM.dump_json(item).decode()
        params = (item.id, created_at, payload, owner, thread_id)
        await self._driver.execute(self._statements.SAVE_ITEM, params)


class Guide:
    """A Store as in the SDK's guide, which shows the first two methods.

    Args:
        url: Where the database is.
    """

    TABLES = """
CREATE TABLE threads (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL,
    data JSONB NOT NULL
);
CREATE TABLE items (
    id TEXT PRIMARY KEY, thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, data JSONB NOT NULL
);
CREATE INDEX ON threads (user_id, created_at);
CREATE INDEX ON items (thread_id, created_at)
"""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url) as connection:
            connection.execute(self.TABLES)

    async def load_thread(self, thread_id: str, owner: str) -> ThreadMetadata:
        with psycopg.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT data FROM threads WHERE id = %s AND user_id = %s", (thread_id, owner)
            )
            [(data,)] = cursor.fetchall()
            return ThreadMetadata.model_validate(data)

    async def save_thread(self, thread: ThreadMetadata, owner: str) -> None:
        payload = Jsonb(thread.model_dump(mode="json"))
        with psycopg.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO threads (id, user_id, created_at, data) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (id) DO UPDATE SET data = excluded.data",
                (thread.id, owner, thread.created_at, payload),
            )

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, owner: str
    ) -> Page[ThreadItem]:
        with psycopg.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT data FROM items WHERE thread_id = %s AND user_id = %s "
                "ORDER BY created_at DESC LIMIT %s",
                (thread_id, owner, limit + 1),
            )
            rows = cursor.fetchall()
        items = [ITEM.validate_python(data) for (data,) in rows[:limit]]
        return Page(data=items, has_more=len(rows) > limit)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, owner: str) -> None:
        payload = Jsonb(item.model_dump(mode="json"))
        with psycopg.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO items (id, thread_id, user_id, created_at, data) "
                "VALUES (%s, %s, %s, %s, %s)",
                (item.id, thread_id, owner, item.created_at, payload),
            )


@asynccontextmanager
async def session(flavor: str, url: str) -> AsyncIterator[Call]:
    """Give what adds an item to the Agents SDK's session, by the flavor's driver."""
    driver = flavor.partition("-")[2]
    engine = create_async_engine(
        url.replace("postgresql://", f"postgresql+{driver}://"), pool_size=POOL, max_overflow=0
    )
    sessions = [
        SQLAlchemySession(own_thread(task), engine=engine, create_tables=True)
        for task in range(TASKS)
    ]
    content = [{"type": "output_text", "text": text_of(SIZE), "annotations": []}]

    async def add(task: int) -> None:
        item: Any = {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
        await sessions[task].add_items([item])

    try:
        await add(0)  # creates the tables
        yield add
    finally:
        await engine.dispose()


@asynccontextmanager
async def saver(url: str) -> AsyncIterator[Call]:
    """Give what adds an item to LangGraph's saver, which uses psycopg.

    It writes the whole list of messages with each step. Ours holds as many as a page.
    """
    messages = {task: [_a_reply(task) for _ in range(PAGE)] for task in range(TASKS)}
    versions = {task: itertools.count(1) for task in range(TASKS)}
    async with AsyncConnectionPool[Any](
        url,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=POOL,
        max_size=POOL,
        open=False,
    ) as pool:
        saver: Any = AsyncPostgresSaver(pool)
        await saver.setup()

        async def add(task: int) -> None:
            messages[task] = [*messages[task][1:], _a_reply(task)]
            step = next(versions[task])
            version = {"messages": f"{step:032}.0"}
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"messages": messages[task]}
            checkpoint["channel_versions"] = {**version}
            config: Any = {"configurable": {"thread_id": own_thread(task), "checkpoint_ns": ""}}
            metadata: Any = {"source": "loop", "step": step, "parents": {}}
            await saver.aput(config, checkpoint, metadata, {**version})

        yield add


def _a_reply(task: int) -> AIMessage:
    return AIMessage(text_of(SIZE), id=a_new_message(task).id)
