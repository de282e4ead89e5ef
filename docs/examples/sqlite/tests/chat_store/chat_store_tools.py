"""What the tests of the chat store share: running coroutines, and making samples.

The tests are plain functions for pytest, whatever asyncio plugin and mode the project uses: the
decorator `async_test` runs their coroutine on a loop of this suite's own.
"""

import asyncio
import functools
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar, cast, get_args

from chat_store_database import TABLES, Probe
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import StoreItemType, default_generate_id
from chatkit.types import (
    AssistantMessageItem,
    ClientToolCallItem,
    FileAttachment,
    HiddenContextItem,
    ThreadItem,
    ThreadMetadata,
    UserMessageItem,
    WidgetItem,
)

P = ParamSpec("P")
T = TypeVar("T")

_loop = asyncio.new_event_loop()

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456)

SECRET = "what nobody else may read"

THOROUGH = os.environ.get("CHAT_STORE_THOROUGH") == "1"
"""Whether randomized tests run longer, with a new seed each time."""


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the suite's loop."""
    return _loop.run_until_complete(coroutine)


def close_loop() -> None:
    """Close the suite's loop, at the end of the session."""
    _loop.close()


def async_test(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a plain test function of a coroutine function; fixtures work as usual."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_async(test(*args, **kwargs))

    return run


async def finish(call: Awaitable[T], seconds: float = 10) -> T:
    """Await a call; fail if it hangs."""
    task = asyncio.ensure_future(call)
    await asyncio.wait({task}, timeout=seconds)
    assert task.done(), f"The call hangs: it has not ended within {seconds} s."
    return task.result()


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until something holds; fail if it never does."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("What was waited for did not happen.")


def a_chance() -> random.Random:
    """Make a test's random number generator, and print its seed."""
    seed = random.randrange(2**32) if THOROUGH else 1
    print(f"Random seed: {seed}")
    return random.Random(seed)


def a_thread(thread_id: str = "thr_1", **fields: Any) -> ThreadMetadata:
    """Make a thread's metadata."""
    return ThreadMetadata.model_validate(
        {"id": thread_id, "created_at": NOON, **fields}
    )


def a_message(
    item_id: str = "msg_1", thread_id: str = "thr_1", text: str = "hello", **fields: Any
) -> AssistantMessageItem:
    """Make an assistant's message."""
    fields = {"content": [{"text": text}], **fields}
    return AssistantMessageItem.model_validate(_item(item_id, thread_id, fields))


def a_question(
    item_id: str = "msg_0", thread_id: str = "thr_1", text: str = "hi", **fields: Any
) -> UserMessageItem:
    """Make a user's message."""
    content = [{"type": "input_text", "text": text}]
    fields = {"content": content, "inference_options": {}, **fields}
    return UserMessageItem.model_validate(_item(item_id, thread_id, fields))


def a_note(
    content: Any, item_id: str = "hid_1", thread_id: str = "thr_1", **fields: Any
) -> HiddenContextItem:
    """Make a hidden item, whose content may be any JSON, or not JSON at all."""
    fields = {"content": content, **fields}
    return HiddenContextItem.model_validate(_item(item_id, thread_id, fields))


def a_tool_call(
    item_id: str = "tc_1", thread_id: str = "thr_1", **fields: Any
) -> ClientToolCallItem:
    """Make a call of a tool in the client."""
    fields = {"call_id": "call_1", "name": "tool", "arguments": {}, **fields}
    return ClientToolCallItem.model_validate(_item(item_id, thread_id, fields))


def a_widget(component: dict[str, Any]) -> WidgetItem:
    """Make a widget, a card with one component."""
    fields = {"widget": {"type": "Card", "children": [component]}}
    return WidgetItem.model_validate(_item("wdg_1", "thr_1", fields))


def an_attachment(attachment_id: str = "atc_1", **fields: Any) -> FileAttachment:
    """Make a file attachment."""
    fields = {"name": "a.txt", "mime_type": "text/plain", **fields}
    return FileAttachment.model_validate({"id": attachment_id, **fields})


def _item(item_id: str, thread_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"id": item_id, "thread_id": thread_id, "created_at": NOON, **fields}


def later(seconds: float) -> datetime:
    """Return the time some seconds after NOON."""
    return NOON + timedelta(seconds=seconds)


WRITES: dict[str, Callable[[ChatStore, RequestContext], Awaitable[None]]] = {
    "save_thread": lambda store, context: store.save_thread(
        a_thread(title="saved"), context
    ),
    "save_attachment": lambda store, context: store.save_attachment(
        an_attachment(), context
    ),
    "add_thread_item": lambda store, context: store.add_thread_item(
        "thr_1", a_message(), context
    ),
    "save_item": lambda store, context: store.save_item("thr_1", a_message(), context),
    "delete_thread_item": lambda store, context: store.delete_thread_item(
        "thr_1", "msg_1", context
    ),
    "delete_thread": lambda store, context: store.delete_thread("thr_1", context),
    "delete_attachment": lambda store, context: store.delete_attachment(
        "atc_1", context
    ),
}
"""A call of each method that writes, all of them on the same thread, item and attachment."""

READS: dict[str, Callable[[ChatStore, RequestContext], Awaitable[object]]] = {
    "load_thread": lambda store, context: store.load_thread("thr_1", context),
    "load_thread_items": lambda store, context: store.load_thread_items(
        "thr_1", None, 20, "asc", context
    ),
    "load_item": lambda store, context: store.load_item("thr_1", "msg_1", context),
    "load_attachment": lambda store, context: store.load_attachment("atc_1", context),
    "load_threads": lambda store, context: store.load_threads(20, None, "asc", context),
}
"""A call of each method that reads, on the rows that WRITES makes."""

CALLS = {**READS, **WRITES}


async def save_one_of_each(
    store: ChatStore, context: RequestContext, text: str = "hello"
) -> None:
    """Save a thread, an item in it and an attachment, under the ids of WRITES and READS."""
    await store.save_thread(a_thread(title=text), context)
    await store.add_thread_item("thr_1", a_message(text=text), context)
    await store.save_attachment(an_attachment(name=text), context)


def stored_rows(probe: Probe) -> list[list[tuple[Any, ...]]]:
    """Read the rows of every table, bypassing the Store."""
    return [
        probe.query(f"SELECT owner_id, id, data FROM {table} ORDER BY owner_id, id")
        for table in TABLES
    ]


def count_rows(probe: Probe, table: str) -> int:
    """Count the rows of a table, of all owners, bypassing the Store."""
    return len(probe.query(f"SELECT 1 FROM {table}"))


async def fill(
    store: ChatStore,
    context: RequestContext,
    count: int,
    *,
    thread_id: str = "thr_1",
    created_at: Callable[[int], datetime] = later,
) -> list[str]:
    """Save a thread with `count` messages; return their ids in the order of insertion."""
    await store.save_thread(a_thread(thread_id), context)
    ids = [f"msg_{number:04}" for number in range(count)]
    for number, item_id in enumerate(ids):
        item = a_message(item_id, thread_id, created_at=created_at(number))
        await store.add_thread_item(thread_id, item, context)
    return ids


async def walk(
    store: ChatStore,
    context: RequestContext,
    *,
    thread_id: str = "thr_1",
    limit: int = 3,
    order: str = "asc",
) -> list[ThreadItem]:
    """Follow `after` through all pages of a thread."""
    items: list[ThreadItem] = []
    after: str | None = None
    while True:
        page = await store.load_thread_items(thread_id, after, limit, order, context)
        items += page.data
        if not page.has_more:
            assert page.after is None
            return items
        assert page.after not in (None, after)  # or the walk would never end
        after = page.after


KINDS: tuple[str, ...] = (*get_args(StoreItemType), "from_the_future")
"""The kinds of ids that the installed SDK asks for, and one that a later SDK may add."""


def an_id(store: ChatStore, kind: str, context: RequestContext) -> str:
    """Make an id of a kind, by the method that the SDK calls for it."""
    if kind == "thread":
        return store.generate_thread_id(context)
    if kind == "attachment":
        return store.generate_attachment_id("text/plain", context)
    return store.generate_item_id(cast(StoreItemType, kind), a_thread(), context)


def id_bodies(store: ChatStore, context: RequestContext) -> list[str]:
    """Make an id of each kind, check its prefix, and return the rest."""
    bodies: list[str] = []
    for kind in KINDS:
        prefix = f"{kind}_"
        if kind in get_args(StoreItemType):
            example = default_generate_id(cast(StoreItemType, kind))
            prefix = example[: example.rindex("_") + 1]
        made = an_id(store, kind, context)
        assert made.startswith(prefix)
        bodies.append(made.removeprefix(prefix))
    return bodies


def start_python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start another Python process that can import what this suite imports."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
