"""Gives each streamed message one real id, for models that have none (R06).

Chat-completions models, and most models that are not OpenAI's, stream every message
under the same placeholder id. The client keys messages by id, so that the second answer
would overwrite the first on the screen. Other models send ids that cannot be keys, even
a new one in each event. Use `stream_agent_response` of this module in place of the SDK's.
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
    """Do what `chatkit.agents.stream_agent_response` does, with real ids.

    Args:
        context: The AgentContext of the turn; its Store mints the ids.
        result: The streamed run.
        converter: As for the SDK's function; None for the SDK's default.

    Yields:
        The SDK's events, with the ids of `with_real_ids`.
    """
    # The SDK leaves the AgentContext of this function without its type parameter.
    events = chatkit_agents.stream_agent_response(  # pyright: ignore[reportUnknownMemberType]
        context, result, converter=converter or ResponseStreamConverter()
    )
    async for event in with_real_ids(events, context):
        yield event


async def with_real_ids(
    events: AsyncIterator[ThreadStreamEvent], context: AgentContext[RequestContext]
) -> AsyncIterator[ThreadStreamEvent]:
    """Replace the ids in a turn's events that cannot be keys, and the placeholder.

    An item that comes with such an id has that of its Added event in all its events, or
    a new one where that is bad too. Other items pass through unchanged.

    Args:
        events: The events of one turn, in order. They are not changed.
        context: The AgentContext of the turn; its Store mints the ids.

    Yields:
        The events; a message has the same id in its Added, Updated, Done, Replaced and
        Removed events, and another than the next message.
    """
    real_ids: dict[str, str] = {}  # of the usable ids that came
    mended: list[str] = []  # the real ids of items that came with an unusable one
    streaming: dict[str, str] = {}  # by type: real ids, from Added to Done events

    def mint(item: ThreadItem) -> str:
        mended.append(context.generate_id(kind_of(item)))
        return mended[-1]

    def find(item_id: str, item_type: str = "") -> str:
        current = streaming.get(item_type)
        if not _is_usable(item_id):
            if current and current not in mended:
                mended.append(current)
            return current or (mended or [item_id])[-1]
        # Some providers give an item another id in each event: a new one means the item
        # that streams.
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
                # Models replace nothing: a new usable id is that of an older item.
                real_id = find(item.id, "" if _is_usable(item.id) else item.type)
                yield _with_item_id(event, real_id)
            case ThreadItemUpdatedEvent(item_id=item_id, update=update):
                item_type = update.type.partition(".")[0]
                yield event.model_copy(update={"item_id": find(item_id, item_type)})
            case ThreadItemRemovedEvent(item_id=item_id) if _is_usable(item_id):
                yield ThreadItemRemovedEvent(item_id=find(item_id))
            case ThreadItemRemovedEvent():
                # A guardrail takes back all that the run has made, by the ids it knows.
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
