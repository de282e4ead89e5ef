"""Streaming: one real id for each message, where the model has none. R06 of the contract."""

from collections.abc import AsyncIterator, Sequence

import pytest
from agents.models.fake_id import FAKE_RESPONSES_ID
from chat_store_agents_under_test import with_real_ids
from chat_store_tools import a_message, a_thread, async_test
from chat_store_under_test import ChatStore, RequestContext, keys
from chatkit.agents import AgentContext
from chatkit.types import (
    AssistantMessageContentPartTextDelta,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)

FAKE = keys.PLACEHOLDER_ID
LONG, LONGER, NUL = "i" * 300, "i" * 1_760, "msg\0"


@pytest.fixture
def turn(store: ChatStore, alice: RequestContext) -> AgentContext[RequestContext]:
    """The AgentContext of a turn."""
    return AgentContext(thread=a_thread(), store=store, request_context=alice)


def updated(item_id: str) -> ThreadItemUpdatedEvent:
    """Make the event of some more text."""
    delta = AssistantMessageContentPartTextDelta(content_index=0, delta="more")
    return ThreadItemUpdatedEvent(item_id=item_id, update=delta)


def message_events(item_id: str, text: str) -> list[ThreadStreamEvent]:
    """Make the events of a message that is streamed."""
    return [
        ThreadItemAddedEvent(item=a_message(item_id, text="")),
        updated(item_id),
        updated(item_id),
        ThreadItemDoneEvent(item=a_message(item_id, text=text)),
    ]


def changing_events(added: str, updated_as: str, done: str) -> list[ThreadStreamEvent]:
    """Make the events of a message whose id may change from event to event."""
    return [
        ThreadItemAddedEvent(item=a_message(added, text="")),
        updated(updated_as),
        ThreadItemDoneEvent(item=a_message(done)),
        ThreadItemReplacedEvent(item=a_message(done, text="better")),
        updated(done),
        ThreadItemRemovedEvent(item_id=done),
    ]


def id_of(event: ThreadStreamEvent) -> str:
    """Return the id that an event on an item carries."""
    if isinstance(event, (ThreadItemUpdatedEvent, ThreadItemRemovedEvent)):
        return event.item_id
    assert isinstance(
        event, (ThreadItemAddedEvent, ThreadItemDoneEvent, ThreadItemReplacedEvent)
    )
    return event.item.id


async def collect(
    events: Sequence[ThreadStreamEvent], turn: AgentContext[RequestContext]
) -> list[ThreadStreamEvent]:
    """Pass events through `with_real_ids`; check that its input is unchanged."""

    async def stream() -> AsyncIterator[ThreadStreamEvent]:
        for event in events:
            yield event

    before = [event.model_copy(deep=True) for event in events]
    after = [event async for event in with_real_ids(stream(), turn)]
    assert list(events) == before
    return after


def test_R06_the_placeholder_id_is_that_of_the_agents_sdk() -> None:
    assert keys.PLACEHOLDER_ID == FAKE_RESPONSES_ID


@async_test
async def test_R06_a_message_has_one_id_in_all_its_events(
    turn: AgentContext[RequestContext],
) -> None:
    events = [
        *message_events(FAKE, "first"),
        ThreadItemReplacedEvent(item=a_message(FAKE, text="better")),
        updated(FAKE),
        ThreadItemRemovedEvent(item_id=FAKE),
    ]
    after = await collect(events, turn)
    [item_id] = {id_of(event) for event in after}
    assert item_id != FAKE
    assert after == [
        *message_events(item_id, "first"),
        ThreadItemReplacedEvent(item=a_message(item_id, text="better")),
        updated(item_id),
        ThreadItemRemovedEvent(item_id=item_id),
    ]


@pytest.mark.parametrize(
    ("added", "updated_as", "done"),
    [(LONG, "", LONGER), (NUL, NUL, FAKE), (LONG, LONGER, "msg_2"), ("", "msg_2", "")],
)
@async_test
async def test_R06_a_message_that_starts_with_a_bad_id_keeps_its_new_id(
    turn: AgentContext[RequestContext], added: str, updated_as: str, done: str
) -> None:
    after = await collect(changing_events(added, updated_as, done), turn)
    item_id = id_of(after[0])
    assert keys.is_key(item_id)
    assert item_id not in {added, updated_as, done}
    assert after == changing_events(item_id, item_id, item_id)


@pytest.mark.parametrize("bad", [FAKE, LONG, NUL, ""])
@async_test
async def test_R06_a_message_that_starts_with_a_good_id_keeps_it(
    turn: AgentContext[RequestContext], bad: str
) -> None:
    expected = changing_events("msg_1", "msg_1", "msg_1")
    for updated_as in ("msg_1", bad):
        events = changing_events("msg_1", updated_as, bad)
        assert await collect(events, turn) == expected


@async_test
async def test_R06_each_message_of_a_turn_has_a_different_id(
    turn: AgentContext[RequestContext],
) -> None:
    after = await collect(
        [*message_events(FAKE, "first"), *message_events(FAKE, "second")], turn
    )
    first, second = id_of(after[0]), id_of(after[-1])
    assert first != second
    assert after == [*message_events(first, "first"), *message_events(second, "second")]


@pytest.mark.parametrize("bad", [FAKE, LONG])
@async_test
async def test_R06_removing_a_bad_id_removes_every_message_that_had_one(
    turn: AgentContext[RequestContext], bad: str
) -> None:
    events = [
        *message_events(bad, "first"),
        *message_events("msg_real", "kept"),
        *message_events(bad, "second")[:2],
        ThreadItemRemovedEvent(item_id=bad),
    ]
    after = await collect(events, turn)
    first, second = id_of(after[0]), id_of(after[8])
    assert after[10:] == [
        ThreadItemRemovedEvent(item_id=first),
        ThreadItemRemovedEvent(item_id=second),
    ]
