"""A ChatKit server whose answers a test writes in advance.

It is the SDK's own `ChatKitServer`, the same in every respect but that a script stands in for the
model, so the tests see the Store called as it is called in production.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from threading import Event
from typing import Any, TypeAlias

from chat_store_tools import a_message
from chat_store_under_test import ChatStore, RequestContext
from chatkit.actions import Action
from chatkit.server import ChatKitServer, NonStreamingResult
from chatkit.store import AttachmentStore
from chatkit.types import (
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    Attachment,
    AttachmentCreateParams,
    AudioInput,
    FeedbackKind,
    FileAttachment,
    SyncCustomActionResponse,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
)
from chatkit.widgets import DynamicWidgetRoot

Events: TypeAlias = Iterable[ThreadStreamEvent | Event]
"""What to stream; a `threading.Event` holds the answer up until the test sets it."""

Turn: TypeAlias = Callable[[str], Events]
"""One answer: a function from the thread's id to the events."""

NEVER = Event()
"""Holds an answer up for good, as a model does that has stalled."""


class ScriptedServer(ChatKitServer[RequestContext]):
    """Plays one turn after the other, whatever it is asked."""

    def __init__(self, store: ChatStore, *turns: Turn) -> None:
        super().__init__(store, Uploads(store))
        self._turns = iter(turns)
        self.asked: list[UserMessageItem | WidgetItem | None] = []

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Play the next turn."""
        self.asked.append(input_user_message)
        async for event in _play(next(self._turns)(thread.id)):
            yield event

    async def action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Play the next turn."""
        self.asked.append(sender)
        async for event in _play(next(self._turns)(thread.id)):
            yield event

    async def sync_action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> SyncCustomActionResponse:
        """Show the action's payload on the widget that sent it."""
        assert sender is not None
        updated = sender.model_copy(update={"widget": a_card(action.payload)})
        await self.store.save_item(thread.id, updated, context)
        return SyncCustomActionResponse(updated_item=updated)

    async def add_feedback(
        self,
        thread_id: str,
        item_ids: list[str],
        feedback: FeedbackKind,
        context: RequestContext,
    ) -> None:
        """Keep the feedback in the thread's metadata."""
        thread = await self.store.load_thread(thread_id, context)
        thread.metadata["feedback"] = dict.fromkeys(item_ids, feedback)
        await self.store.save_thread(thread, context)

    async def transcribe(
        self, audio_input: AudioInput, context: RequestContext
    ) -> TranscriptionResult:
        """Take the audio for text."""
        return TranscriptionResult(text=audio_input.data.decode())


class Uploads(AttachmentStore[RequestContext]):
    """Registers attachments under the Store's ids; there are no files behind them."""

    def __init__(self, store: ChatStore) -> None:
        self._store = store

    def generate_attachment_id(self, mime_type: str, context: RequestContext) -> str:
        """Take the id from the Store, in the format of its `ids.py`."""
        if not hasattr(self._store, "generate_attachment_id"):  # another's Store
            return super().generate_attachment_id(mime_type, context)
        return self._store.generate_attachment_id(mime_type, context)

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        """Make the row of a file that is still to be uploaded."""
        return FileAttachment.model_validate(
            {
                "id": self.generate_attachment_id(input.mime_type, context),
                "name": input.name,
                "mime_type": input.mime_type,
                "upload_descriptor": {"url": "https://files/1", "method": "PUT"},
                "metadata": {"size": input.size},
            }
        )

    async def delete_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> None:
        """Ask the Store first whether the attachment is the user's own."""
        await self._store.load_attachment(attachment_id, context)


async def _play(events: Events) -> AsyncIterator[ThreadStreamEvent]:
    for event in events:
        if isinstance(event, Event):
            while not event.is_set():
                await asyncio.sleep(0.01)
        else:
            yield event


def says(item_id: str, text: str) -> Turn:
    """Make a turn that is one whole message."""
    return lambda thread_id: whole_message(item_id, thread_id, text)


def yields(make: Callable[[str], ThreadItem]) -> Turn:
    """Make a turn that is one item, which is given its thread's id."""
    return lambda thread_id: [ThreadItemDoneEvent(item=make(thread_id))]


def whole_message(item_id: str, thread_id: str, text: str) -> list[ThreadStreamEvent]:
    """Return the events of a message from its beginning to its end."""
    return [
        *begun_message(item_id, thread_id, text),
        ThreadItemDoneEvent(item=_message(item_id, thread_id, text)),
    ]


def begun_message(item_id: str, thread_id: str, text: str) -> list[ThreadStreamEvent]:
    """Return the events of a message up to its last word, without its end."""
    deltas = [
        AssistantMessageContentPartTextDelta(content_index=0, delta=letter)
        for letter in text
    ]
    return [
        ThreadItemAddedEvent(item=_message(item_id, thread_id, "")),
        *(ThreadItemUpdatedEvent(item_id=item_id, update=delta) for delta in deltas),
    ]


def _message(item_id: str, thread_id: str, text: str) -> AssistantMessageItem:
    return a_message(item_id, thread_id, text, created_at=datetime.now())


def a_card(text: str) -> DynamicWidgetRoot:
    """Make a widget."""
    children = [{"type": "Text", "value": text}]
    return DynamicWidgetRoot.model_validate({"type": "Basic", "children": children})


async def ask(
    server: ScriptedServer, context: RequestContext, request_type: str, **params: Any
) -> Any:
    """Send a request to the server; return its answer, which may be a list of events."""
    request = json.dumps({"type": request_type, "params": params})
    result = await server.process(request, context)
    if isinstance(result, NonStreamingResult):
        return json.loads(result.json)
    events = [json.loads(event.removeprefix(b"data: ")) async for event in result]
    assert "error" not in [event["type"] for event in events]
    return events
