"""A ChatKit server for trying the Store: FastAPI, no model, no API key.

    python -m chat_store.example_server

Its answers are scripted; send "widget" or "tool" to get one. Copy what you need to your
server, except `context_from`, which trusts unauthenticated requests.

This file is an extra: `copier update -d store_example_server=false` deletes it,
including your edits.
"""

import argparse
import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import uvicorn
from chatkit.actions import Action
from chatkit.server import ChatKitServer
from chatkit.store import AttachmentStore, StoreItemType
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    Attachment,
    AttachmentCreateParams,
    AudioInput,
    ClientToolCallItem,
    FeedbackKind,
    SyncCustomActionResponse,
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
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import ValidationError

from . import ChatStore, RequestContext
from .web import read_body, respond

WORD_DELAY = 0.05  # seconds, to leave time for pressing Stop


class NoAttachments(AttachmentStore[RequestContext]):
    """Rejects files."""

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        raise ValueError("This server does not accept attachments")

    async def delete_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> None:
        raise ValueError("This server has no attachments")


class ExampleServer(ChatKitServer[RequestContext]):
    """Gives scripted answers instead of calling a model."""

    def __init__(self, store: ChatStore) -> None:
        super().__init__(store, NoAttachments())

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        if input_user_message is None:  # the client has run the tool
            items = await self.store.load_thread_items(
                thread.id, None, 1, "desc", context
            )
            output = getattr(items.data[0], "output", None)
            answer = f"Your side says: {str(output)[:80]}."
        else:
            text = " ".join(part.text for part in input_user_message.content)
            # The SDK saves a changed thread.
            thread.title = thread.title or text[:40]
            if "widget" in text.lower():
                fields = self.new_item("message", thread, context)
                widget = WidgetItem(**fields, widget=card("Do you like this card?"))
                yield ThreadItemDoneEvent(item=widget)
                return
            if "tool" in text.lower():
                fields = self.new_item("tool_call", thread, context)
                call = ClientToolCallItem(
                    **fields, call_id=fields["id"], name="local_time", arguments={}
                )
                yield ThreadItemDoneEvent(item=call)
                return
            answer = (
                f'You said "{text[:80]}". I am a script, not a model, and I speak slowly, so '
                "that you can press Stop: what I have said by then stays in the thread."
            )
        async for event in self.say(answer, thread, context):
            yield event

    async def say(
        self, text: str, thread: ThreadMetadata, context: RequestContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Stream a message word by word, like a model."""
        empty = [AssistantMessageContent(text="")]
        fields = self.new_item("message", thread, context)
        message = AssistantMessageItem(**fields, content=empty)
        yield ThreadItemAddedEvent(item=message)
        for word in re.findall(r"\s*\S+", text):
            await asyncio.sleep(WORD_DELAY)
            delta = AssistantMessageContentPartTextDelta(content_index=0, delta=word)
            yield ThreadItemUpdatedEvent(item_id=message.id, update=delta)
        content = [AssistantMessageContent(text=text)]
        yield ThreadItemDoneEvent(item=message.model_copy(update={"content": content}))

    async def action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Answer the button "Tell me more" with a message."""
        answer = "The card above is an item of this thread, like any message."
        async for event in self.say(answer, thread, context):
            yield event

    async def sync_action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> SyncCustomActionResponse:
        """Answer the button "I like it" by changing the card."""
        if sender is not None:
            sender = sender.model_copy(update={"widget": card("You like this card.")})
            await self.store.save_item(thread.id, sender, context)
        return SyncCustomActionResponse(updated_item=sender)

    async def add_feedback(
        self,
        thread_id: str,
        item_ids: list[str],
        feedback: FeedbackKind,
        context: RequestContext,
    ) -> None:
        """Store feedback in the thread's metadata, which clients cannot read.

        Each item has its own key, since concurrent changes are merged by key.
        """
        thread = await self.store.load_thread(thread_id, context)
        for item_id in item_ids:
            thread.metadata[f"feedback:{item_id}"] = feedback
        await self.store.save_thread(thread, context)

    async def transcribe(
        self, audio_input: AudioInput, context: RequestContext
    ) -> TranscriptionResult:
        """Reject speech."""
        raise ValueError("This server does not support speech")

    def new_item(
        self, kind: StoreItemType, thread: ThreadMetadata, context: RequestContext
    ) -> dict[str, Any]:
        item_id = self.store.generate_item_id(kind, thread, context)
        return {"id": item_id, "thread_id": thread.id, "created_at": datetime.now()}


def card(line: str) -> DynamicWidgetRoot:
    more = {"type": "more"}
    like = {"type": "like", "streaming": False}  # goes to `sync_action`
    children = [
        {"type": "Text", "value": line},
        {"type": "Button", "label": "Tell me more", "onClickAction": more},
        {"type": "Button", "label": "I like it", "onClickAction": like},
    ]
    return DynamicWidgetRoot.model_validate({"type": "Card", "children": children})


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    url = os.environ.get("CHAT_STORE_URL", "postgresql://localhost/chat")
    # auto_migrate suits an example. In production, run
    # `python -m chat_store migrate` at deployment instead.
    async with ChatStore(url, auto_migrate=True) as store:
        app.state.server = ExampleServer(store)
        yield


app = FastAPI(lifespan=lifespan)


def context_from(request: Request, body: bytes) -> RequestContext:
    """NOT FOR PRODUCTION: clients can impersonate any user with a header.

    In production, take the user from a verified session or token.
    """
    return RequestContext(
        user_id=request.headers.get("x-user-id", ""),
    )


@app.post("/chatkit")
async def chatkit(request: Request) -> Response:
    body = await read_body(request)
    try:
        context = context_from(request, body)
    except ValidationError:  # the context may validate itself
        raise HTTPException(401) from None
    return await respond(request.app.state.server, body, context)


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.example_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    # Without this limit, uvicorn waits for open streams indefinitely.
    uvicorn.run(
        app, host=arguments.host, port=arguments.port, timeout_graceful_shutdown=5
    )


if __name__ == "__main__":
    main()
