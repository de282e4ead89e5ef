"""Who is measured beside the Store.

- By hand: the Store's own statements on the driver's pool, with nothing around them. It is the
  ceiling: it does without the checks, the deadlines, the retries and the shield against
  cancellation. With pydantic it writes and reads the SDK's models, without it passes text.
- The guide's way: what the SDK's guide shows, written by ourselves: each call connects, blocks, and
  disconnects. It is given an index that the guide leaves out.
- The Agents SDK's `SQLAlchemySession`, and LangGraph's savers, for what is comparable: append one,
  load the last twenty. They know nothing of owners, threads in a list, or the place of an item.
"""

import itertools
import json
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import Any

import aiosqlite
from agents.extensions.memory import SQLAlchemySession
from chatkit.types import Page, ThreadItem, ThreadMetadata
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import create_async_engine

from .drivers import DRIVERS, POOL, AiosqliteTransactions, Driver, connect
from .workload import OWNER, PAGE, Contestant, Place, a_new_message, operations_of, text_of

ITEM: TypeAdapter[Any] = TypeAdapter(ThreadItem)
THREAD: TypeAdapter[ThreadMetadata] = TypeAdapter(ThreadMetadata)


class ByHand:
    """The Store's statements on a driver, and nothing around them.

    Args:
        driver: The driver.
        statements: The rendered module.
        parses: Whether it writes and reads models, or passes a text that was made before.
    """

    def __init__(self, driver: Driver, statements: Any, parses: bool) -> None:
        self._driver = driver
        self._statements = statements
        self._parses = parses
        self._texts: dict[object, str] = {}

    def _dump(self, adapter: TypeAdapter[Any], value: Any, kind: object) -> str:
        if self._parses:
            return adapter.dump_json(value).decode()
        if kind not in self._texts:
            self._texts[kind] = adapter.dump_json(value).decode()
        return self._texts[kind]

    async def load_thread(self, thread_id: str, context: object) -> Any:
        [row] = await self._driver.fetch(self._statements.LOAD_THREAD, (OWNER, thread_id))
        return THREAD.validate_json(row[1]) if self._parses else row[1]

    async def save_thread(self, thread: ThreadMetadata, context: object) -> None:
        payload = self._dump(THREAD, thread, "thread")
        created_at = self._driver.instant(thread.created_at)
        await self._driver.execute(
            self._statements.SAVE_THREAD, (OWNER, thread.id, created_at, payload, False)
        )

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: object
    ) -> Page[ThreadItem]:
        if after is None:
            statement, params = self._statements.FIRST_ITEMS, (OWNER, thread_id, limit + 1)
            rows = await self._driver.fetch(statement[order], params)
        else:
            statement = self._statements.NEXT_ITEMS
            some = (OWNER, thread_id, after, limit + 2)
            rows = (await self._driver.fetch(statement[order], some))[1:]
        return self._page(ITEM, rows, limit)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: object
    ) -> Page[ThreadMetadata]:
        statement = self._statements.FIRST_THREADS[order]
        return self._page(THREAD, await self._driver.fetch(statement, (OWNER, limit + 1)), limit)

    async def add_thread_item(self, thread_id: str, item: Any, context: object) -> None:
        payload = self._dump(ITEM, item, (item.type, len(item.content[0].text)))
        created_at = self._driver.instant(item.created_at)
        await self._driver.execute(
            self._statements.SAVE_ITEM, (item.id, created_at, payload, OWNER, thread_id)
        )

    async def delete_thread_item(self, thread_id: str, item_id: str, context: object) -> None:
        await self._driver.execute(self._statements.DELETE_ITEM, (OWNER, thread_id, item_id))

    def _page(self, adapter: TypeAdapter[Any], rows: Any, limit: int) -> Page[Any]:
        has_more = len(rows) > limit
        after = rows[limit - 1][0] if has_more else None
        if not self._parses:
            return Page.model_construct(data=rows, has_more=has_more, after=after)
        data = [adapter.validate_json(row[1]) for row in rows[:limit]]
        return Page(data=data, has_more=has_more, after=after)


class Guide:
    """A Store in the manner of the SDK guide's example: it connects for each call, and blocks.

    Args:
        url: Where the database is.
    """

    TABLES = """
CREATE TABLE guide_threads (
    id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255), created_at {time}, data {json}
);
CREATE TABLE guide_items (
    id VARCHAR(255) PRIMARY KEY, thread_id VARCHAR(255), user_id VARCHAR(255),
    created_at {time}, data {json}
);
CREATE INDEX guide_items_page ON guide_items (thread_id, created_at);
CREATE INDEX guide_threads_page ON guide_threads (user_id, created_at)
"""

    def __init__(self, url: str) -> None:
        self._url = url
        is_postgresql = url.startswith("postgresql")
        self._mark = "?" if url.startswith("sqlite") else "%s"
        self._json: Any = Jsonb if is_postgresql else json.dumps
        self._read: Any = (lambda data: data) if is_postgresql else json.loads
        self._upsert = (
            "ON DUPLICATE KEY UPDATE data = VALUES(data)"
            if url.startswith("mysql")
            else "ON CONFLICT (id) DO UPDATE SET data = excluded.data"
        )
        time, data = ("TIMESTAMP", "JSONB") if is_postgresql else ("VARCHAR(40)", "LONGTEXT")
        for statement in self.TABLES.format(time=time, json=data).split(";"):
            self._run(statement)

    def _run(self, statement: str, *params: object) -> Any:
        connection = connect(self._url)
        try:
            cursor = connection.cursor()
            cursor.execute(statement.replace("?", self._mark), params)
            return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    async def load_thread(self, thread_id: str, context: object) -> ThreadMetadata:
        statement = "SELECT data FROM guide_threads WHERE id = ? AND user_id = ?"
        [(data,)] = self._run(statement, thread_id, OWNER)
        return ThreadMetadata.model_validate(self._read(data))

    async def save_thread(self, thread: ThreadMetadata, context: object) -> None:
        self._run(
            f"INSERT INTO guide_threads (id, user_id, created_at, data) VALUES (?, ?, ?, ?) "
            f"{self._upsert}",
            *(thread.id, OWNER, self._time(thread)),
            self._json(thread.model_dump(mode="json")),
        )

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: object
    ) -> Page[ThreadItem]:
        condition, params = "", [thread_id, OWNER]
        if after is not None:
            [(created_at,)] = self._run("SELECT created_at FROM guide_items WHERE id = ?", after)
            condition = f"AND created_at {'<' if order == 'desc' else '>'} ?"
            params.append(created_at)
        rows = self._run(
            f"SELECT data FROM guide_items WHERE thread_id = ? AND user_id = ? {condition} "
            f"ORDER BY created_at {order} LIMIT {limit + 1}",
            *params,
        )
        items = [ITEM.validate_python(self._read(data)) for (data,) in rows[:limit]]
        has_more = len(rows) > limit
        return Page(data=items, has_more=has_more, after=items[-1].id if has_more else None)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: object
    ) -> Page[ThreadMetadata]:
        rows = self._run(
            f"SELECT data FROM guide_threads WHERE user_id = ? "
            f"ORDER BY created_at {order} LIMIT {limit + 1}",
            OWNER,
        )
        threads = [ThreadMetadata.model_validate(self._read(data)) for (data,) in rows[:limit]]
        return Page(data=threads, has_more=len(rows) > limit, after=threads[-1].id)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: object) -> None:
        self._run(
            f"INSERT INTO guide_items (id, thread_id, user_id, created_at, data) "
            f"VALUES (?, ?, ?, ?, ?) {self._upsert}",
            *(item.id, thread_id, OWNER, self._time(item)),
            self._json(item.model_dump(mode="json")),
        )

    async def delete_thread_item(self, thread_id: str, item_id: str, context: object) -> None:
        self._run("DELETE FROM guide_items WHERE id = ? AND user_id = ?", item_id, OWNER)

    def _time(self, model: Any) -> object:
        is_postgresql = self._url.startswith("postgresql")
        return model.created_at if is_postgresql else model.created_at.isoformat(" ")


@asynccontextmanager
async def agents_sdk(flavor: str, url: str) -> AsyncIterator[Contestant]:
    """Give the Agents SDK's session, with tables of its own; the driver is the flavor's."""
    if flavor == "sqlite":
        engine = create_async_engine(
            url.replace("sqlite://", "sqlite+aiosqlite://"), pool_size=POOL, max_overflow=0
        )
    else:
        driver = flavor.partition("-")[2]
        engine = create_async_engine(
            url.replace("postgresql://", f"postgresql+{driver}://"), pool_size=POOL, max_overflow=0
        )
    sessions: dict[str, SQLAlchemySession] = {}

    async def session(place: Place) -> SQLAlchemySession:
        key = f"{place.own}_{place.size}"
        if key not in sessions:
            sessions[key] = SQLAlchemySession(key, engine=engine, create_tables=True)
            await sessions[key].add_items([_agents_item(place.size) for _ in range(PAGE)])
        return sessions[key]

    async def add(place: Place) -> None:
        await (await session(place)).add_items([_agents_item(place.size)])

    async def last_page(place: Place) -> object:
        return await (await session(place)).get_items(limit=PAGE)

    try:
        yield {"add an item": add, "last page": last_page}
    finally:
        await engine.dispose()


def _agents_item(size: str) -> Any:
    content = [{"type": "output_text", "text": text_of(size), "annotations": []}]
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


@asynccontextmanager
async def langgraph(flavor: str, url: str, length: int) -> AsyncIterator[Contestant]:
    """Give LangGraph's saver, with tables of its own.

    Args:
        flavor: Which database; PostgreSQL is reached by psycopg, whatever the flavor's driver.
        url: Where it is.
        length: How many messages the conversation keeps: the saver writes the whole list each time.
    """
    async with AsyncExitStack() as stack:
        saver: Any
        if flavor == "sqlite":
            path = url.removeprefix("sqlite:///")
            saver = AsyncSqliteSaver(await stack.enter_async_context(aiosqlite.connect(path)))
        else:
            pool = AsyncConnectionPool[Any](
                url,
                kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
                min_size=POOL,
                max_size=POOL,
                open=False,
            )
            saver = AsyncPostgresSaver(await stack.enter_async_context(pool))
        await saver.setup()
        yield _operations_of_saver(saver, length)


def _operations_of_saver(saver: BaseCheckpointSaver[str], length: int) -> Contestant:
    messages: dict[str, list[AIMessage]] = {}
    versions: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))

    def configuration(place: Place) -> tuple[str, Any]:
        key = f"{place.own}_{place.size}_{length}"
        return key, {"configurable": {"thread_id": key, "checkpoint_ns": ""}}

    def a_reply(place: Place) -> AIMessage:
        return AIMessage(text_of(place.size), id=a_new_message(place).id)

    async def add(place: Place) -> object:
        key, config = configuration(place)
        known = messages.setdefault(key, [a_reply(place) for _ in range(length)])
        messages[key] = [*known[1:], a_reply(place)]
        step = next(versions[key])
        version = {"messages": f"{step:032}.0"}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"messages": messages[key]}
        checkpoint["channel_versions"] = {**version}
        metadata: Any = {"source": "loop", "step": step, "parents": {}}
        return await saver.aput(config, checkpoint, metadata, {**version})

    async def last_page(place: Place) -> object:
        key, config = configuration(place)
        if key not in messages:
            await add(place)
        return await saver.aget_tuple(config)

    return {"add an item": add} if length == 1 else {"add an item": add, "last page": last_page}


@asynccontextmanager
async def all_of(
    flavor: str, url: str, store: Any, package: ModuleType, only: set[str] | None = None
) -> AsyncIterator[dict[str, Contestant]]:
    """Give who can be measured on a flavor, by name; the Store is the first.

    Args:
        flavor: The flavor.
        url: Where its database is.
        store: The opened Store.
        package: The rendered package.
        only: Names of those that are wanted, if not all.
    """
    statements: Any = package.statements
    context = package.RequestContext(user_id=OWNER)
    found: dict[str, Contestant] = {"the Store": operations_of(store, context)}
    async with AsyncExitStack() as stack:

        async def by_hand(name: str, driver: Driver, parses: bool) -> None:
            if only is None or name in only:
                await driver.open()
                stack.push_async_callback(driver.close)
                found[name] = operations_of(ByHand(driver, statements, parses), context)

        await by_hand("by hand", DRIVERS[flavor](url), False)
        await by_hand("by hand, with pydantic", DRIVERS[flavor](url), True)
        if flavor == "sqlite":
            await by_hand("by hand, in transactions", AiosqliteTransactions(url), False)
        if only is None or "the guide's way" in only:
            guide = Guide(url)
            found["the guide's way"] = operations_of(guide, context)
        if flavor != "mysql" and (only is None or "Agents SDK" in only):
            # Its tables cannot be made on MySQL: their VARCHAR columns have no length.
            found["Agents SDK"] = await stack.enter_async_context(
                agents_sdk(flavor, _beside(url, "agents"))
            )
        if flavor != "mysql" and (only is None or "LangGraph" in only):
            for name, length in (("LangGraph", PAGE), ("LangGraph, a list of one", 1)):
                opened = langgraph(flavor, _beside(url, f"langgraph{length}"), length)
                found[name] = await stack.enter_async_context(opened)
        yield found


def _beside(url: str, name: str) -> str:
    # On SQLite each has a file of its own, so that none waits for the locks of another.
    return url.replace(".db", f"-{name}.db") if url.startswith("sqlite") else url
