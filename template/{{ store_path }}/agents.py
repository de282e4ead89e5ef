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
    streaming: dict[str, str] = {}  # by type: what a bad id means from Added to Done
    real_ids: dict[str, str] = {}  # by usable id that came; by "" for the last bad one
    mended: dict[str, None] = {}  # in order: the items that came with a bad id

    def begin(item: ThreadItem) -> None:
        usable = _usable(item.id)
        real_ids[usable] = usable or context.generate_id(kind_of(item))
        if not usable or streaming.get(item.type) not in mended:
            streaming[item.type] = real_ids[usable]

    def find(item_id: str, item_type: str = "") -> str:
        usable, current = _usable(item_id), streaming.get(item_type)
        if current and not usable:
            mended[current] = None
        # A usable id that was not added is one more that the model gives to the item.
        if current in mended and real_ids.get(usable) != usable:
            real_ids[usable] = current
        return real_ids.get(usable, item_id)

    async for event in events:
        match event:
            case ThreadItemAddedEvent(item=item):
                begin(item)
                yield _with_item_id(event, find(item.id, item.type))
            case ThreadItemDoneEvent(item=item):
                if item.type not in streaming:
                    begin(item)
                real_id = find(item.id, item.type)
                if streaming.get(item.type) == real_id:
                    del streaming[item.type]
                yield _with_item_id(event, real_id)
            case ThreadItemReplacedEvent(item=item):
                # A model replaces nothing: a new usable id is that of an older item.
                item_type = "" if _usable(item.id) else item.type
                yield _with_item_id(event, find(item.id, item_type))
            case ThreadItemUpdatedEvent(item_id=item_id, update=update):
                real_id = find(item_id, update.type.partition(".")[0])
                yield event.model_copy(update={"item_id": real_id})
            case ThreadItemRemovedEvent(item_id=item_id):
                # A guardrail takes back all that the run has made, by every id it knows.
                for real_id in [find(item_id)] if _usable(item_id) else list(mended):
                    mended.pop(real_id, None)
                    yield ThreadItemRemovedEvent(item_id=real_id)
            case _:
                yield event


def _usable(item_id: str) -> str:
    return item_id if item_id != PLACEHOLDER_ID and is_key(item_id) else ""


def _with_item_id(event: ItemEvent, item_id: str) -> ItemEvent:
    item = event.item.model_copy(update={"id": item_id})
    return event.model_copy(update={"item": item})
