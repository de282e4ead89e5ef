"""Gives each streamed message a unique id if the model does not (R06).

Chat-completions models, and most models other than OpenAI's, stream every message under
the same placeholder id. The client keys messages by id, so the second answer would
overwrite the first on the screen. Other models send ids that cannot be keys, or a new
id in each event. Use this module's `stream_agent_response` instead of the SDK's.
"""

from collections.abc import AsyncIterator
from typing import TypeVar

from agents import RunResultStreaming
from chatkit import agents as chatkit_agents
from chatkit.agents import AgentContext, ResponseStreamConverter
from chatkit.types import (
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)

from .context import RequestContext
from .keys import PLACEHOLDER_ID, is_key, kind_of

ItemEvent = TypeVar(
    "ItemEvent", ThreadItemAddedEvent, ThreadItemDoneEvent, ThreadItemReplacedEvent
)


async def stream_agent_response(
    context: AgentContext[RequestContext],
    result: RunResultStreaming,
    *,
    converter: ResponseStreamConverter | None = None,
) -> AsyncIterator[ThreadStreamEvent]:
    """Stream like `chatkit.agents.stream_agent_response`, with real ids.

    Args:
        context: The AgentContext of the turn; its Store generates the ids.
        result: The streamed run.
        converter: Passed to the SDK's function; None for the SDK's default.
    """
    # In the SDK, this function's AgentContext lacks its type parameter.
    events = chatkit_agents.stream_agent_response(  # pyright: ignore[reportUnknownMemberType]
        context, result, converter=converter or ResponseStreamConverter()
    )
    async for event in with_real_ids(events, context):
        yield event


async def with_real_ids(
    events: AsyncIterator[ThreadStreamEvent], context: AgentContext[RequestContext]
) -> AsyncIterator[ThreadStreamEvent]:
    """Replace placeholders, and other ids that cannot be keys, in a turn's events.

    All events of such an item get the id of its Added event, or a new id if that one
    is unusable, too. Other items pass through unchanged.

    Args:
        events: The events of one turn, in order. They are not changed.
        context: The AgentContext of the turn; its Store generates the ids.
    """
    real_ids: dict[str, str] = {}  # by the model's ids
    mended: list[str] = []  # real ids of items that had an unusable id
    streaming: dict[str, str] = {}  # real ids by item type, until the Done event

    def mint(item: ThreadItem) -> str:
        mended.append(context.generate_id(kind_of(item)))
        return mended[-1]

    def find(item_id: str, item_type: str = "") -> str:
        current = streaming.get(item_type)
        if not _is_usable(item_id):
            if current and current not in mended:
                mended.append(current)
            return current or (mended or [item_id])[-1]
        # Some providers send another id in each event: an unknown id belongs to the
        # item that is streaming.
        if current in mended:
            real_ids.setdefault(item_id, current)
        return real_ids.get(item_id, item_id)

    async for event in events:
        match event:
            case ThreadItemAddedEvent(item=item):
                real_id = item.id if _is_usable(item.id) else mint(item)
                real_ids[item.id] = real_id
                if real_id in mended or streaming.get(item.type) not in mended:
                    streaming[item.type] = real_id
                yield _with_item_id(event, real_id)
            case ThreadItemDoneEvent(item=item):
                if _is_usable(item.id) or item.type in streaming:
                    real_id = find(item.id, item.type)
                else:
                    real_id = mint(item)
                if streaming.get(item.type) == real_id:
                    del streaming[item.type]
                yield _with_item_id(event, real_id)
            case ThreadItemReplacedEvent(item=item):
                # Models do not replace items: an unknown usable id is an older item's.
                real_id = find(item.id, "" if _is_usable(item.id) else item.type)
                yield _with_item_id(event, real_id)
            case ThreadItemUpdatedEvent(item_id=item_id, update=update):
                item_type = update.type.partition(".")[0]
                yield event.model_copy(update={"item_id": find(item_id, item_type)})
            case ThreadItemRemovedEvent(item_id=item_id) if _is_usable(item_id):
                yield ThreadItemRemovedEvent(item_id=find(item_id))
            case ThreadItemRemovedEvent():
                # A guardrail removes all items of the run, by the ids that it knows.
                for real_id in mended:
                    yield ThreadItemRemovedEvent(item_id=real_id)
                mended.clear()
            case _:
                yield event


def _is_usable(item_id: str) -> bool:
    return item_id != PLACEHOLDER_ID and is_key(item_id)


def _with_item_id(event: ItemEvent, item_id: str) -> ItemEvent:
    item = event.item.model_copy(update={"id": item_id})
    return event.model_copy(update={"item": item})
