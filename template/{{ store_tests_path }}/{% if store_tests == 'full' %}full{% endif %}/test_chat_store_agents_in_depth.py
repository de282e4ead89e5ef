"""Streaming: one real id for each message, where the model has none. R06 of the contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

from collections.abc import AsyncIterator
from itertools import count, repeat
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
from agents import (
    OutputGuardrailTripwireTriggered,
    RawResponsesStreamEvent,
    RunResultStreaming,
)
from agents.models.fake_id import FAKE_RESPONSES_ID
from chat_store_agents_under_test import stream_agent_response
from chat_store_samples import ITEM_TYPES
from chat_store_tools import NOON, a_message, a_thread, a_tool_call, async_test
from chat_store_under_test import ChatStore, RequestContext, keys
from chatkit.agents import AgentContext
from chatkit.types import (
    NoticeEvent,
    ThoughtTask,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdate,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
)
from openai.types.responses import (
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)
from test_chat_store_agents import (
    FAKE,
    LONG,
    LONGER,
    collect,
    id_of,
    message_events,
    turn,
    updated,
)

__all__ = ["turn"]

each_kind_of_model = pytest.mark.parametrize("has_ids", [False, True])


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


@async_test
async def test_R06_items_of_two_types_may_stream_at_the_same_time(
    turn: AgentContext[RequestContext],
) -> None:
    item = WorkflowItem(
        id=LONG,
        thread_id="thr_1",
        created_at=NOON,
        workflow=Workflow(type="reasoning", tasks=[]),
    )
    thought = WorkflowTaskAdded(task=ThoughtTask(content="well"), task_index=0)
    added, first, second, done = message_events(LONGER, "answer")
    events = [
        ThreadItemAddedEvent(item=item),
        added,
        ThreadItemUpdatedEvent(item_id="", update=thought),
        first,
        ThreadItemDoneEvent(item=item),
        second,
        done,
    ]
    ids = [id_of(event) for event in await collect(events, turn)]
    workflow_id, message_id = ids[:2]
    assert workflow_id != message_id
    assert [ids[2], ids[4]] == [workflow_id] * 2
    assert [ids[3], ids[5], ids[6]] == [message_id] * 3


def test_R06_the_type_of_an_update_begins_with_that_of_its_item() -> None:
    item_types = {item.model_fields["type"].default for item in ITEM_TYPES}
    for update in get_args(ThreadItemUpdate):
        assert update.model_fields["type"].default.partition(".")[0] in item_types


@async_test
async def test_R06_an_older_item_can_be_changed_while_a_message_gets_its_id(
    turn: AgentContext[RequestContext],
) -> None:
    thought = WorkflowTaskAdded(task=ThoughtTask(content="well"), task_index=0)
    older: list[ThreadStreamEvent] = [
        ThreadItemReplacedEvent(item=a_message("msg_old", text="better")),
        ThreadItemRemovedEvent(item_id="msg_old"),
        ThreadItemUpdatedEvent(item_id="wf_old", update=thought),
    ]
    added, first, _, done = message_events(LONG, "answer")
    after = await collect([added, first, *older, done], turn)
    assert after[2:5] == older
    assert len({id_of(event) for event in (*after[:2], after[5])}) == 1


@async_test
async def test_R06_an_id_that_came_before_changes_the_message_that_it_was_sent_for(
    turn: AgentContext[RequestContext],
) -> None:
    events = [
        *message_events(LONG, "first")[:2],
        ThreadItemDoneEvent(item=a_message("msg_1")),
        *message_events(LONG, "second")[:2],
        ThreadItemDoneEvent(item=a_message("msg_2")),
        ThreadItemReplacedEvent(item=a_message("msg_1", text="better")),
        updated("msg_1"),
        *(ThreadItemRemovedEvent(item_id=item_id) for item_id in (LONG, LONGER)),
    ]
    ids = [id_of(event) for event in await collect(events, turn)]
    first, second = ids[0], ids[3]
    assert first != second
    assert ids == [*[first] * 3, *[second] * 3, first, first, first, second]


class Run:
    """Stands in for a streamed run of a model without ids, or with bad ones."""

    def __init__(
        self, texts: list[str], has_ids: bool, is_blocked: bool = False
    ) -> None:
        self._texts = texts
        self._ids = (
            (str(number) * 300 for number in count(1))
            if has_ids
            else repeat(FAKE_RESPONSES_ID)
        )
        self._is_blocked = is_blocked

    async def stream_events(self) -> AsyncIterator[RawResponsesStreamEvent]:
        """Stream the messages, then let a guardrail speak."""
        for text in self._texts:
            message = ResponseOutputMessage(
                id=next(self._ids),
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
                    item_id=next(self._ids),
                    content_index=0,
                    delta=text,
                    logprobs=[],
                    **place,
                )
            )
            message = message.model_copy(update={"id": next(self._ids)})
            yield RawResponsesStreamEvent(
                ResponseOutputItemDoneEvent(
                    type="response.output_item.done", item=message, **place
                )
            )
        if self._is_blocked:
            guardrail = SimpleNamespace(guardrail=None)
            raise OutputGuardrailTripwireTriggered(cast(Any, guardrail))


@each_kind_of_model
@async_test
async def test_R06_stream_agent_response_streams_messages_under_ids_of_their_own(
    turn: AgentContext[RequestContext],
    store: ChatStore,
    alice: RequestContext,
    has_ids: bool,
) -> None:
    await store.save_thread(a_thread(), alice)
    run = cast(RunResultStreaming, Run(["first", "second"], has_ids))
    events = [event async for event in stream_agent_response(turn, run)]
    kinds = ["thread.item.added", "thread.item.updated", "thread.item.done"]
    assert [event.type for event in events] == kinds * 2
    ids = [id_of(event) for event in events]
    assert all(keys.is_key(item_id) and item_id != FAKE for item_id in ids)
    assert ids == [ids[0]] * 3 + [ids[-1]] * 3
    assert ids[0] != ids[-1]


@each_kind_of_model
@async_test
async def test_R06_a_guardrail_takes_back_every_message_of_the_run(
    turn: AgentContext[RequestContext],
    store: ChatStore,
    alice: RequestContext,
    has_ids: bool,
) -> None:
    await store.save_thread(a_thread(), alice)
    run = cast(RunResultStreaming, Run(["first", "second"], has_ids, is_blocked=True))
    events: list[ThreadStreamEvent] = []
    with pytest.raises(OutputGuardrailTripwireTriggered):
        async for event in stream_agent_response(turn, run):
            events.append(event)
    assert [id_of(event) for event in events[6:]] == [
        id_of(events[0]),
        id_of(events[3]),
    ]
    assert [event.type for event in events[6:]] == ["thread.item.removed"] * 2
