"""web.py: requests are answered over HTTP, and errors in the way that clients understand."""

import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chat_store_adapter import make_context
from chat_store_database import Probe
from chat_store_http import Client, serving
from chat_store_tools import a_message, user_input
from chat_store_under_test import ChatStore, RequestContext, web
from chatkit.server import ChatKitServer
from chatkit.types import (
    FeedbackKind,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MAX_BODY = 10_000


class Greeter(ChatKitServer[RequestContext]):
    """Greets, and has a fault."""

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        message = a_message(thread_id=thread.id, text="Hello")
        yield ThreadItemDoneEvent(item=message)

    async def add_feedback(
        self,
        thread_id: str,
        item_ids: list[str],
        feedback: FeedbackKind,
        context: RequestContext,
    ) -> None:
        int("SECRET")


class Strict(ChatStore):
    """Takes no long messages."""

    async def add_thread_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        if isinstance(item, UserMessageItem) and len(str(item.content)) > 1000:
            raise HTTPException(413, "That is too much")
        await super().add_thread_item(thread_id, item, context)


@pytest.fixture
def port(probe: Probe) -> Generator[int, None, None]:
    """The port of a server, which runs for the time of a test."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        async with Strict(probe.url, auto_migrate=True) as store:
            app.state.server = Greeter(store)
            yield

    async def chatkit(request: Request) -> Response:
        headers = request.headers
        body = await web.read_body(request, MAX_BODY)
        context = make_context(headers["x-user-id"], headers["idempotency-key"])
        return await web.respond(request.app.state.server, body, context)

    route = Route("/chatkit", chatkit, methods=["POST"])
    with serving(Starlette(routes=[route], lifespan=lifespan)) as port:
        yield port


def refused(client: Client, request_type: str, **params: Any) -> tuple[int, str]:
    """Send a request; give the status and the text of the answer."""
    with client.request(request_type, **params) as response:
        return response.status, response.read().decode()


def test_an_answer_is_streamed_and_can_be_loaded(port: int) -> None:
    client = Client(port, "alice")
    events = client.stream("threads.create", input=user_input("Hi"))
    assert "Hello" in json.dumps(events)
    status, threads = client.ask("threads.list")
    assert (status, len(threads["data"])) == (200, 1)


def test_a_refusal_in_a_stream_is_an_event(port: int) -> None:
    client = Client(port, "alice")
    *_, last = client.stream("threads.create", input=user_input("x" * 1000))
    assert (last["type"], last["message"]) == ("error", "That is too much")
    *_, last = client.stream("threads.create", input=user_input("Hi", "atc_0"))
    message = "Attachment atc_0 not found"
    assert (last["type"], last["message"]) == ("error", message)


def test_what_is_absent_is_a_404_also_for_a_stream(port: int) -> None:
    client = Client(port, "alice")
    answer = (404, "Thread thr_0 not found")
    assert refused(client, "threads.get_by_id", thread_id="thr_0") == answer
    message = {"thread_id": "thr_0", "input": user_input("Hi")}
    assert refused(client, "threads.add_user_message", **message) == answer


def test_a_request_of_nobody_is_a_401_although_it_does_not_ask_the_store(
    port: int,
) -> None:
    feedback = {"thread_id": "thr_1", "item_ids": ["msg_1"], "kind": "positive"}
    assert refused(Client(port, ""), "items.feedback", **feedback)[0] == 401
    hello = {"input": user_input("Hi")}
    assert refused(Client(port, ""), "threads.create", **hello)[0] == 401


def test_a_body_that_is_too_large_is_a_413(port: int) -> None:
    large = user_input("x" * MAX_BODY)
    answer = refused(Client(port, "alice"), "threads.create", input=large)
    assert answer == (413, "The request body exceeds 10,000 bytes")


def test_a_request_that_is_not_valid_is_a_422_that_says_where(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, web.__name__)
    answer = refused(Client(port, "alice"), "threads.list", limit="SECRET")
    assert answer == (422, "Not valid: int_parsing at threads.list.params.limit")
    assert re.search(r"ValidationError at \S+chatkit\S+:\d+", caplog.text)
    assert "SECRET" not in caplog.text


def test_another_mistake_is_a_422_and_the_log_says_where(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, web.__name__)
    client = Client(port, "alice")
    answer = (422, "The request cannot be served")
    assert refused(client, "threads.list", limit=-1) == answer
    assert "store.py" in caplog.text
    feedback = {"thread_id": "thr_1", "item_ids": ["msg_1"], "kind": "positive"}
    assert refused(client, "items.feedback", **feedback) == answer
    assert "ValueError at" in caplog.text
    assert "test_chat_store_web.py" in caplog.text
    assert "SECRET" not in caplog.text
