"""What is stored and asked for, and the operations: what a ChatKit server calls of its Store.

All contestants are given the same. Each task is a user of its own, with a thread of its own.
"""

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    InferenceOptions,
    ThreadMetadata,
    UserMessageItem,
    UserMessageTextContent,
    WidgetItem,
)
from chatkit.widgets import Badge, Caption, Col, Image, ListView, ListViewItem, Text

from .measuring import Call

TASKS = 64
"""The most tasks that work at the same time."""

PAGE = 20
"""How many items a page has: what ChatKit's own client asks for."""

SIZE, SMALL = 1_000, 200
"""How many bytes an item has, as its JSON; small ones fill the long threads."""

_WORDS = "the quick brown fox said: “hello, wörld”, and then\n- **went** on to the next point; "

_numbers = itertools.count()


def text_of(size: int) -> str:
    """Give the text of an item, whose JSON then has about that many bytes."""
    return (_WORDS * (size // len(_WORDS) + 1))[: size - 160]


def a_message(item_id: str, thread_id: str, size: int) -> AssistantMessageItem:
    """Make a message of the assistant."""
    content = [AssistantMessageContent(text=text_of(size))]
    now = datetime.now()  # naive, as the SDK's are
    return AssistantMessageItem(id=item_id, thread_id=thread_id, created_at=now, content=content)


_MESSAGE = a_message("msg", "thr", SIZE)
_QUESTION = UserMessageItem(
    id="msg",
    thread_id="thr",
    created_at=datetime.now(),
    content=[UserMessageTextContent(text="What does the fox say?")],
    inference_options=InferenceOptions(),
)


def owner_of(task: int) -> str:
    """Name the user that a task is."""
    return f"user_{task}"


def own_thread(task: int) -> str:
    """Name the thread that only one task uses."""
    return f"thr_own_{task}"


def a_new_message(task: int) -> AssistantMessageItem:
    """Make a message with a new id in a task's own thread, at little cost."""
    return _MESSAGE.model_copy(update=_new(task))


def _new(task: int) -> dict[str, object]:
    return {
        "id": f"msg_{next(_numbers):032}",
        "thread_id": own_thread(task),
        "created_at": datetime.now(),
    }


def a_thread(thread_id: str) -> ThreadMetadata:
    """Make a thread's metadata."""
    now = datetime.now(UTC)
    return ThreadMetadata(id=thread_id, created_at=now, title="About a fox", metadata={"a": 1})


def a_widget() -> WidgetItem:
    """Make a widget of 20 KB: a list of orders."""
    children = [
        ListViewItem(
            key=f"row_{row}",
            gap=3,
            align="center",
            children=[
                Image(src=f"https://example.com/{row}.png", alt="", size=48),
                Col(
                    flex=1,
                    children=[
                        Text(value=f"Order {row}", weight="semibold", size="sm"),
                        Caption(value="Arrives “tomorrow”, at noon", color="secondary"),
                    ],
                ),
                Badge(label="paid", color="success"),
            ],
        )
        for row in range(53)
    ]
    now = datetime.now()
    return WidgetItem(id="msg", thread_id="thr", created_at=now, widget=ListView(children=children))


class Operations:
    """The operations, on a Store.

    Args:
        store: Has the SDK's methods that are called.
        context_of: Makes the request of a user.
    """

    def __init__(self, store: Any, context_of: Callable[[str], object]) -> None:
        self._store = store
        self._contexts = [context_of(owner_of(task)) for task in range(TASKS)]

    async def prepare(self) -> None:
        """Save each task's own thread."""
        for task in range(TASKS):
            await self._store.save_thread(a_thread(own_thread(task)), self._contexts[task])

    async def fill(self) -> None:
        """Add as many items as a page has to each task's own thread."""
        for _ in range(PAGE):
            await asyncio.gather(*map(self.add, range(TASKS)))

    async def add(self, task: int) -> None:
        """Add an item."""
        context = self._contexts[task]
        await self._store.add_thread_item(own_thread(task), a_new_message(task), context)

    async def load_last(self, task: int) -> None:
        """Load the last twenty items of a task's own thread."""
        await self._load(task, own_thread(task), None, "desc")

    def page(self, thread_id: str, order: str, after: str | None) -> Call:
        """Load a page of a thread of the first user's."""

        async def load(task: int) -> None:
            await self._load(0, thread_id, after, order)

        return load

    async def mix(self, task: int) -> None:
        """Add an item and load the last page, then let others run, as a server does."""
        await self.add(task)
        await self.load_last(task)
        await asyncio.sleep(0)

    async def turn(self, task: int) -> None:
        """Do what the SDK does when a user asks something and the assistant answers."""
        thread_id, context = own_thread(task), self._contexts[task]
        question = _QUESTION.model_copy(update=_new(task))
        await self._store.load_thread(thread_id, context)
        await self._store.add_thread_item(thread_id, question, context)
        await self._store.load_thread_items(thread_id, None, PAGE, "desc", context)
        await self.add(task)
        await self.add(task)
        await self._store.save_thread(a_thread(thread_id), context)

    async def _load(self, task: int, thread_id: str, after: str | None, order: str) -> None:
        context = self._contexts[task]
        page = await self._store.load_thread_items(thread_id, after, PAGE, order, context)
        assert len(page.data) == PAGE
