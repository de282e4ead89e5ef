"""Cancellation at every await: R31 and R33 of the Store's contract.

The SDK's real server plays a turn that is cancelled where it waits for the first time, then one
that is cancelled where it waits for the second time, and so on to the end. Wherever that is, the
thread must then hold what the server has handed to the Store, each item once and in order.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, cast

import anyio
import pytest
from chat_store_database import Probe
from chat_store_http import user_input
from chat_store_scripted import Events, ScriptedServer, a_card, ask, says, whole_message
from chat_store_tools import (
    THOROUGH,
    a_message,
    a_note,
    a_tool_call,
    async_test,
    finish,
    walk,
)
from chat_store_under_test import ChatStore, RequestContext
from chatkit.server import StreamingResult
from chatkit.types import (
    AssistantMessageItem,
    CustomTask,
    SDKHiddenContextItem,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
    WidgetItem,
    WidgetRootUpdated,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
)


class CountedAwaits:
    """Awaits a coroutine, and tells a function each time that it waits for something.

    Args:
        coroutine: The coroutine.
        waits: Is given how often it has come to wait by now.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], waits: Callable[[int], None]
    ) -> None:
        self._coroutine = coroutine
        self._waits = waits

    def __await__(self) -> Generator[Any, Any, None]:
        go_on = partial(self._coroutine.send, None)
        for count in itertools.count(1):
            try:
                awaited = go_on()
            except StopIteration:
                return
            self._waits(count)
            try:
                go_on = partial(self._coroutine.send, (yield awaited))
            except BaseException as error:  # noqa: BLE001 - it is passed on
                go_on = partial(self._coroutine.throw, error)


class Recorder:
    """Passes the server's calls on to a Store, and keeps what they are to leave there.

    The items are kept as JSON: the SDK reads a widget as another class than it was made as.
    """

    def __init__(self, store: ChatStore) -> None:
        self._store = store
        self.thread_id = ""
        self.items: dict[str, Any] = {}
        self.deleted: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save_thread(
        self, thread: ThreadMetadata, context: RequestContext
    ) -> None:
        """Save a thread."""
        self.thread_id = thread.id
        await self._store.save_thread(thread, context)

    async def add_thread_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Add an item."""
        self.items[item.id] = item.model_dump(mode="json")
        await self._store.add_thread_item(thread_id, item, context)

    async def save_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Save an item."""
        self.items[item.id] = item.model_dump(mode="json")
        await self._store.save_item(thread_id, item, context)

    async def delete_thread_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> None:
        """Delete an item."""
        self.items.pop(item_id, None)
        self.deleted.add(item_id)
        await self._store.delete_thread_item(thread_id, item_id, context)


class HesitantServer(ScriptedServer):
    """Reads the thread first, and waits after each event, as a model does between its words."""

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Play the next turn."""
        await self.store.load_thread_items(thread.id, None, 20, "desc", context)
        async for event in super().respond(thread, input_user_message, context):
            yield event
            await asyncio.sleep(0)
        # A cancelled scope may let one sleep(0) pass, but nothing that takes time: here, at
        # the latest, a turn that was cancelled ends.
        await asyncio.sleep(0.001)


class Turn:
    """A new thread with a user's message and the answer to it, and what the client reads.

    Args:
        store: Where the server stores it.
        context: Whose it is.
        answer: Gives the events of the answer.
    """

    def __init__(
        self,
        store: ChatStore,
        context: RequestContext,
        answer: Callable[[str], Events],
    ) -> None:
        self._store = store
        self._context = context
        self._recorder = Recorder(store)
        self._server = HesitantServer(cast(ChatStore, self._recorder), answer)
        self._read: list[dict[str, Any]] = []
        self._cancellations: list[str] = []

    async def play(self, cancellations: Mapping[int, str]) -> bool:
        """Play the turn, and cancel it.

        Args:
            cancellations: By the number of the wait at which to cancel it, what to cancel:
                its "task", or the anyio "scope" that it is in.

        Returns:
            Whether it came to any of these places before its end.
        """
        with suppress(asyncio.CancelledError):
            await finish(self._play(cancellations))
        return bool(self._cancellations)

    async def _play(self, cancellations: Mapping[int, str]) -> None:
        task = asyncio.current_task()
        assert task is not None
        with anyio.CancelScope() as scope:

            def waits(count: int) -> None:
                if count in cancellations:
                    self._cancellations.append(cancellations[count])
                    if cancellations[count] == "task":
                        task.cancel()
                    else:
                        scope.cancel()

            await CountedAwaits(self._listen(), waits)

    async def _listen(self) -> None:
        params = {"input": user_input("Hi")}
        request = json.dumps({"type": "threads.create", "params": params})
        result = await self._server.process(request, self._context)
        assert isinstance(result, StreamingResult)
        async for event in result:
            self._read.append(json.loads(event.removeprefix(b"data: ")))

    async def assert_intact(self) -> None:
        """Check that the thread holds what it must."""
        items = await self._items()
        stored = [item.model_dump(mode="json") for item in items]
        assert stored == list(self._recorder.items.values())
        by_id = {item.id: item for item in items}
        types = [event["type"] for event in self._read]
        assert "error" not in types
        done = {
            event["item"]["id"]
            for event in self._read
            if event["type"] == "thread.item.done"
        }
        assert done - self._recorder.deleted <= by_id.keys()

        # From this event on, and not before, the SDK stores a hidden item and the answer up
        # to there when it is cancelled; unless it is cancelled again while it does so.
        is_streaming = "stream_options" in types
        hidden = [item for item in items if isinstance(item, SDKHiddenContextItem)]
        if len(self._cancellations) > 1:
            assert len(hidden) <= 1
            return
        assert len(hidden) == (1 if is_streaming and self._cancellations else 0)
        for item_id, text in self._texts_read().items():
            message = by_id[item_id]
            assert isinstance(message, AssistantMessageItem)
            assert message.content[0].text == text

    async def assert_goes_on(self) -> None:
        """Check that the thread takes another turn, behind what it holds."""
        before = await self._items()
        server = ScriptedServer(self._store, says("msg_next", "Once more"))
        await ask(
            server,
            self._context,
            "threads.add_user_message",
            thread_id=self._recorder.thread_id,
            input=user_input("Go on"),
        )
        after = await self._items()
        assert after[: len(before)] == before
        new = after[len(before) :]
        assert [item.type for item in new] == ["user_message", "assistant_message"]

    async def _items(self) -> list[ThreadItem]:
        thread_id = self._recorder.thread_id
        return await walk(self._store, self._context, thread_id=thread_id, limit=20)

    def _texts_read(self) -> dict[str, str]:
        texts: dict[str, str] = {}
        for event in self._read:
            if event["type"] == "thread.item.updated" and "delta" in event["update"]:
                item_id = event["item_id"]
                texts[item_id] = texts.get(item_id, "") + event["update"]["delta"]
        return texts


def a_short_answer(thread_id: str) -> Events:
    """Make an answer of two items."""
    message = whole_message("msg_1", thread_id, "abc")
    call = a_tool_call("tc_1", thread_id, created_at=datetime.now())
    return [*message, ThreadItemDoneEvent(item=call)]


def a_long_answer(thread_id: str) -> Events:
    """Make an answer with everything that the server passes on to the Store."""

    def now() -> dict[str, Any]:
        return {"thread_id": thread_id, "created_at": datetime.now()}

    workflow = Workflow(type="reasoning", tasks=[])
    thought = WorkflowTaskAdded(task_index=0, task=CustomTask(title="Think"))
    thought_out = Workflow(type="reasoning", tasks=[thought.task])
    return [
        ThreadItemAddedEvent(item=WorkflowItem(id="wf_1", workflow=workflow, **now())),
        ThreadItemUpdatedEvent(item_id="wf_1", update=thought),
        ThreadItemDoneEvent(
            item=WorkflowItem(id="wf_1", workflow=thought_out, **now())
        ),
        ThreadItemDoneEvent(item=a_note("a hint", "hid_1", **now())),
        *whole_message("msg_1", thread_id, "Look at this:"),
        ThreadItemAddedEvent(item=WidgetItem(id="wdg_1", widget=a_card(""), **now())),
        ThreadItemUpdatedEvent(
            item_id="wdg_1", update=WidgetRootUpdated(widget=a_card("a"))
        ),
        ThreadItemDoneEvent(item=WidgetItem(id="wdg_1", widget=a_card("ab"), **now())),
        ThreadItemReplacedEvent(
            item=WidgetItem(id="wdg_1", widget=a_card("abc"), **now())
        ),
        ThreadItemDoneEvent(item=a_message("msg_2", text="Wrong", **now())),
        ThreadItemRemovedEvent(item_id="msg_2"),
        *whole_message("msg_3", thread_id, "And at that."),
        ThreadItemDoneEvent(item=a_tool_call("tc_1", **now())),
    ]


ANSWER = a_long_answer if THOROUGH else a_short_answer


async def cancel_everywhere(
    store: ChatStore, context: RequestContext, ways: list[str], distance: int = 0
) -> None:
    """Play turns, each cancelled one wait later than the one before; look at each thread.

    Args:
        store: The Store.
        context: Whose the threads are.
        ways: What to cancel in each turn, one after the other: "task" or "scope".
        distance: How many waits there are between the cancellations of a turn.
    """
    for first in itertools.count(1):
        turn = Turn(store, context, ANSWER)
        places = {first + index * distance: way for index, way in enumerate(ways)}
        was_cancelled = await turn.play(places)
        print(f"Cancelled where it waits: {places}.")  # seen if what follows fails
        await turn.assert_intact()
        await turn.assert_goes_on()
        if not was_cancelled:
            assert first > 5, "The turns wait for hardly anything."
            return


@pytest.mark.parametrize("way", ["task", "scope"])
@async_test
async def test_R31_a_turn_that_is_cancelled_at_any_await_keeps_every_item_once(
    store: ChatStore, alice: RequestContext, way: str
) -> None:
    await cancel_everywhere(store, alice, [way])


@pytest.mark.parametrize("distance", [1, 2, 3, 5, 8] if THOROUGH else [1])
@pytest.mark.parametrize("ways", [["task", "task"], ["scope", "task"]])
@async_test
async def test_R31_a_turn_that_is_cancelled_twice_keeps_every_item_once(
    store: ChatStore, alice: RequestContext, ways: list[str], distance: int
) -> None:
    await cancel_everywhere(store, alice, ways, distance)


@pytest.mark.parametrize("way", ["task", "scope"])
@async_test
async def test_R33_a_turn_that_is_cancelled_at_any_await_gives_its_connections_back(
    probe: Probe, alice: RequestContext, way: str
) -> None:
    async with ChatStore(probe.url, auto_migrate=True, pool_size=1) as store:
        await cancel_everywhere(store, alice, [way])
