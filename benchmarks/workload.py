"""What is stored and asked for: items of a size, threads of a length, and the operations.

An operation is one of the calls that a ChatKit server makes of its Store, or the calls of a whole
turn. All contestants are given the same, and each task has a thread of its own to write to, as each
user has.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    InferenceOptions,
    Page,
    ThreadItem,
    ThreadMetadata,
    UserMessageItem,
    UserMessageTextContent,
)

OWNER = "bench"
PAGE = 20
"""How many items a page has: what ChatKit's own client asks for."""

LONG_TURN = 40
"""How many items the turn has that is retried."""

SIZES = {"200 B": 200, "1 KB": 1_000, "100 KB": 100_000}
"""How large items are, as their JSON."""

FIRST_SECOND = 1_767_225_600
"""When the first item of a filled thread was made, in seconds since 1970; one a second follows."""

WORDS = "the quick brown fox said: “hello, wörld”, and then\n- **went** on to the next point; "

_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """Where a task works.

    Attributes:
        task: The task's number.
        size: How large its items are, as in SIZES.
        length: How many items the thread has that it reads.
    """

    task: int
    size: str
    length: int

    @property
    def own(self) -> str:
        """The thread that only this task writes to."""
        return f"thr_own_{self.task}"

    @property
    def shared(self) -> str:
        """The filled thread that all tasks read."""
        return filled_thread(self.size, self.length)


Call = Callable[[Place], Awaitable[object]]
Contestant = Mapping[str, Call]
"""What a contestant can do, by the name of the operation."""


class StoreLike(Protocol):
    """What the operations need of a Store."""

    async def load_thread(self, thread_id: str, context: Any) -> Any: ...
    async def save_thread(self, thread: ThreadMetadata, context: Any) -> None: ...
    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Any
    ) -> Page[ThreadItem]: ...
    async def load_threads(
        self, limit: int, after: str | None, order: str, context: Any
    ) -> Page[ThreadMetadata]: ...
    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Any) -> None: ...
    async def delete_thread_item(self, thread_id: str, item_id: str, context: Any) -> None: ...


def filled_thread(size: str, length: int) -> str:
    """Name the thread that was filled with items."""
    return f"thr_{size.replace(' ', '')}_{length}"


def text_of(size: str) -> str:
    """Give the text of an item, whose JSON then has about that size."""
    wanted = SIZES[size] - 160
    return (WORDS * (wanted // len(WORDS) + 1))[: max(wanted, 1)]


def a_message(item_id: str, thread_id: str, size: str) -> AssistantMessageItem:
    """Make a message of the assistant."""
    content = [AssistantMessageContent(text=text_of(size))]
    now = datetime.now()  # naive, as the SDK's are
    return AssistantMessageItem(id=item_id, thread_id=thread_id, created_at=now, content=content)


_TEMPLATES = {size: a_message("msg", "thr", size) for size in SIZES}
_QUESTION = UserMessageItem(
    id="msg",
    thread_id="thr",
    created_at=datetime.now(),
    content=[UserMessageTextContent(text="What does the fox say?")],
    inference_options=InferenceOptions(),
)


def a_new_message(place: Place) -> AssistantMessageItem:
    """Make a message with a new id in a task's own thread, at little cost."""
    return _TEMPLATES[place.size].model_copy(update=_new(place))


def _a_new_question(place: Place) -> UserMessageItem:
    return _QUESTION.model_copy(update=_new(place))


def _new(place: Place) -> dict[str, object]:
    return {
        "id": f"msg_{next(_numbers):032}",
        "thread_id": place.own,
        "created_at": datetime.now(),
    }


def a_thread(thread_id: str) -> ThreadMetadata:
    """Make a thread's metadata."""
    now = datetime.now(UTC)
    return ThreadMetadata(id=thread_id, created_at=now, title="About a fox", metadata={"a": 1})


def operations_of(store: StoreLike, context: object) -> Contestant:
    """Give all operations, on a Store."""

    async def add(place: Place) -> None:
        await store.add_thread_item(place.own, a_new_message(place), context)

    async def save_thread(place: Place) -> None:
        await store.save_thread(a_thread(place.own), context)

    async def load_thread(place: Place) -> object:
        return await store.load_thread(place.own, context)

    async def first_page(place: Place) -> object:
        return await store.load_thread_items(place.shared, None, PAGE, "asc", context)

    async def last_page(place: Place) -> object:
        return await store.load_thread_items(place.shared, None, PAGE, "desc", context)

    async def middle_page(place: Place) -> object:
        middle = f"msg_{place.length // 2}"
        return await store.load_thread_items(place.shared, middle, PAGE, "desc", context)

    async def list_threads(place: Place) -> object:
        return await store.load_threads(PAGE, None, "desc", context)

    async def turn(place: Place) -> None:
        await store.load_thread(place.own, context)
        await store.add_thread_item(place.own, _a_new_question(place), context)
        await store.load_thread_items(place.own, None, PAGE, "desc", context)
        await store.add_thread_item(place.own, a_new_message(place), context)
        await store.add_thread_item(place.own, a_new_message(place), context)
        await store.save_thread(a_thread(place.own), context)

    async def retry(place: Place) -> None:
        items = [a_new_message(place) for _ in range(LONG_TURN)]
        for item in items:
            await store.add_thread_item(place.own, item, context)
        after = None
        for _ in range(LONG_TURN // PAGE + 1):
            page = await store.load_thread_items(place.own, after, PAGE, "desc", context)
            after = page.after
        for item in items:
            await store.delete_thread_item(place.own, item.id, context)

    return {
        "add an item": add,
        "save a thread": save_thread,
        "load a thread": load_thread,
        "first page": first_page,
        "last page": last_page,
        "middle page": middle_page,
        "list threads": list_threads,
        "text turn": turn,
        "long turn and its retry": retry,
    }
