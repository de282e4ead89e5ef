"""Gives each streamed message one real id, for models that have none (R06).

Chat-completions models, and most models that are not OpenAI's, stream every message
under the same placeholder id. The client keys messages by id, so that the second answer
would overwrite the first on the screen. Use `stream_agent_response` of this module in
place of the SDK's.
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
from .keys import PLACEHOLDER_ID, kind_of

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
        The SDK's events, the placeholder id replaced in each.
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
    """Replace the placeholder id in a turn's events; other ids pass through unchanged.

    Args:
        events: The events of one turn, in order. They are not changed.
        context: The AgentContext of the turn; its Store mints the ids.

    Yields:
        The events; a message has the same id in its Added, Updated, Done, Replaced and
        Removed events, and another than the next message.
    """
    minted: list[str] = []
    streaming: dict[str, str] = {}  # by type: items between their Added and Done events

    def mint(item: ThreadItem) -> str:
        minted.append(context.generate_id(kind_of(item)))
        return minted[-1]

    def current() -> str:
        return list(streaming.values())[-1] if streaming else minted[-1]

    async for event in events:
        match event:
            case ThreadItemAddedEvent(item=item) if item.id == PLACEHOLDER_ID:
                streaming[item.type] = mint(item)
                yield _with_item_id(event, streaming[item.type])
            case ThreadItemDoneEvent(item=item) if item.id == PLACEHOLDER_ID:
                yield _with_item_id(event, streaming.pop(item.type, "") or mint(item))
            case ThreadItemReplacedEvent(item=item) if _stands_in(item.id, minted):
                yield _with_item_id(event, current())
            case ThreadItemUpdatedEvent(item_id=item_id) if _stands_in(item_id, minted):
                yield event.model_copy(update={"item_id": current()})
            case ThreadItemRemovedEvent(item_id=item_id) if _stands_in(item_id, minted):
                # A guardrail takes back all that the run has made, by the id it knows.
                for real_id in minted:
                    yield ThreadItemRemovedEvent(item_id=real_id)
            case _:
                yield event


def _stands_in(item_id: str, minted: list[str]) -> bool:
    return item_id == PLACEHOLDER_ID and bool(minted)


def _with_item_id(event: ItemEvent, item_id: str) -> ItemEvent:
    item = event.item.model_copy(update={"id": item_id})
    return event.model_copy(update={"item": item})
