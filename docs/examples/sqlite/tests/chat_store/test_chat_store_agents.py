"""Streaming: one real id for each message, where the model has none. R06 of the contract."""

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from agents import (
    OutputGuardrailTripwireTriggered,
    RawResponsesStreamEvent,
    RunResultStreaming,
)
from agents.models.fake_id import FAKE_RESPONSES_ID
from chat_store_agents_under_test import stream_agent_response, with_real_ids
from chat_store_tools import a_message, a_thread, a_tool_call, async_test
from chat_store_under_test import ChatStore, RequestContext, keys
from chatkit.agents import AgentContext
from chatkit.types import (
    AssistantMessageContentPartTextDelta,
    NoticeEvent,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)
from openai.types.responses import (
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

FAKE = keys.PLACEHOLDER_ID


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


def id_of(event: ThreadStreamEvent) -> str:
    """Give the id that an event on an item carries."""
    if isinstance(event, (ThreadItemUpdatedEvent, ThreadItemRemovedEvent)):
        return event.item_id
    assert isinstance(
        event, (ThreadItemAddedEvent, ThreadItemDoneEvent, ThreadItemReplacedEvent)
    )
    return event.item.id


async def collect(
    events: Sequence[ThreadStreamEvent], turn: AgentContext[RequestContext]
) -> list[ThreadStreamEvent]:
    """Pass events through `with_real_ids`; see that it leaves its own ones alone."""

    async def stream() -> AsyncIterator[ThreadStreamEvent]:
        for event in events:
            yield event

    before = [event.model_copy(deep=True) for event in events]
    after = [event async for event in with_real_ids(stream(), turn)]
    assert list(events) == before
    return after


def test_R06_the_placeholder_is_the_one_of_the_agents_sdk() -> None:
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


@async_test
async def test_R06_each_message_of_a_turn_has_an_id_of_its_own(
    turn: AgentContext[RequestContext],
) -> None:
    after = await collect(
        [*message_events(FAKE, "first"), *message_events(FAKE, "second")], turn
    )
    first, second = id_of(after[0]), id_of(after[-1])
    assert first != second
    assert after == [*message_events(first, "first"), *message_events(second, "second")]


@async_test
async def test_R06_messages_that_come_whole_have_ids_of_their_own(
    turn: AgentContext[RequestContext],
) -> None:
    items: list[ThreadItem] = [
        a_message(FAKE, text="first"),
        a_message(FAKE, text="second"),
        a_tool_call(FAKE),
    ]
    streamed = message_events(FAKE, "streamed")
    whole = [ThreadItemDoneEvent(item=item) for item in items]
    after = await collect([*streamed, *whole], turn)
    ids = [id_of(event) for event in after]
    assert len(set(ids[:4])) == 1
    assert len({*ids}) == 4
    assert FAKE not in ids


@async_test
async def test_R06_the_ids_are_minted_by_the_store_for_their_kind(
    turn: AgentContext[RequestContext],
    store: ChatStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mint(kind: str, *_: object) -> str:
        return f"minted_{kind}"

    monkeypatch.setattr(store, "generate_item_id", mint)
    tool_call = ThreadItemDoneEvent(item=a_tool_call(FAKE))
    after = await collect([*message_events(FAKE, "first"), tool_call], turn)
    assert [id_of(event) for event in after] == ["minted_message"] * 4 + [
        "minted_tool_call"
    ]


@async_test
async def test_R06_removing_the_placeholder_removes_every_message_of_the_run(
    turn: AgentContext[RequestContext],
) -> None:
    events = [
        *message_events(FAKE, "first"),
        *message_events("msg_real", "kept"),
        *message_events(FAKE, "second")[:2],
        ThreadItemRemovedEvent(item_id=FAKE),
    ]
    after = await collect(events, turn)
    first, second = id_of(after[0]), id_of(after[8])
    assert after[10:] == [
        ThreadItemRemovedEvent(item_id=first),
        ThreadItemRemovedEvent(item_id=second),
    ]


@async_test
async def test_R06_events_with_real_ids_and_others_pass_unchanged(
    turn: AgentContext[RequestContext],
) -> None:
    events = [
        *message_events("msg_1", "first"),
        ThreadItemReplacedEvent(item=a_message("msg_1", text="better")),
        NoticeEvent(level="info", message="a notice"),
        ThreadItemDoneEvent(item=a_tool_call("tc_1")),
        ThreadItemRemovedEvent(item_id="msg_1"),
    ]
    assert await collect(events, turn) == events
    # Also between the events of a message that has none.
    first, second, third, last = message_events(FAKE, "second")
    mixed = [first, *events[:2], second, *events[2:4], third, last]
    after = await collect(mixed, turn)
    assert [after[1], after[2], after[4], after[5]] == events[:4]
    assert len({id_of(after[index]) for index in (0, 3, 6, 7)}) == 1


class Run:
    """Stands in for a streamed run of a chat-completions model."""

    def __init__(self, texts: list[str], is_blocked: bool = False) -> None:
        self._texts = texts
        self._is_blocked = is_blocked

    async def stream_events(self) -> AsyncIterator[RawResponsesStreamEvent]:
        """Stream the messages, then let a guardrail speak."""
        for text in self._texts:
            message = ResponseOutputMessage(
                id=FAKE_RESPONSES_ID,
                type="message",
                role="assistant",
                status="completed",
                content=[
                    ResponseOutputText(type="output_text", text=text, annotations=[])
                ],
            )
            place: dict[str, Any] = {"output_index": 0, "sequence_number": 0}
            yield RawResponsesStreamEvent(
                ResponseOutputItemAddedEvent(
                    type="response.output_item.added", item=message, **place
                )
            )
            yield RawResponsesStreamEvent(
                ResponseTextDeltaEvent(
                    type="response.output_text.delta",
                    item_id=FAKE_RESPONSES_ID,
                    content_index=0,
                    delta=text,
                    logprobs=[],
                    **place,
                )
            )
            yield RawResponsesStreamEvent(
                ResponseOutputItemDoneEvent(
                    type="response.output_item.done", item=message, **place
                )
            )
        if self._is_blocked:
            guardrail = SimpleNamespace(guardrail=None)
            raise OutputGuardrailTripwireTriggered(cast(Any, guardrail))


@async_test
async def test_R06_stream_agent_response_streams_messages_under_ids_of_their_own(
    turn: AgentContext[RequestContext], store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    run = cast(RunResultStreaming, Run(["first", "second"]))
    events = [event async for event in stream_agent_response(turn, run)]
    kinds = ["thread.item.added", "thread.item.updated", "thread.item.done"]
    assert [event.type for event in events] == kinds * 2
    ids = [id_of(event) for event in events]
    assert FAKE_RESPONSES_ID not in ids
    assert ids == [ids[0]] * 3 + [ids[-1]] * 3
    assert ids[0] != ids[-1]


@async_test
async def test_R06_a_guardrail_takes_back_every_message_of_the_run(
    turn: AgentContext[RequestContext], store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    run = cast(RunResultStreaming, Run(["first", "second"], is_blocked=True))
    events: list[ThreadStreamEvent] = []
    with pytest.raises(OutputGuardrailTripwireTriggered):
        async for event in stream_agent_response(turn, run):
            events.append(event)
    assert [id_of(event) for event in events[6:]] == [
        id_of(events[0]),
        id_of(events[3]),
    ]
    assert [event.type for event in events[6:]] == ["thread.item.removed"] * 2
