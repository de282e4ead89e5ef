"""A ChatKit server over HTTP, under real uvicorn: R06, R31 and R40 of the contract.

The application answers as the SDK's guide has it. Pressing Stop in a client cuts the connection;
Starlette then cancels the stream in a way that no test in-process can stand in for.

This directory exists only if the template answer store_tests is "full".
"""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from threading import Event

import pytest
from agents.models.fake_id import FAKE_RESPONSES_ID
from chat_store_adapter import make_context, open_store
from chat_store_database import Probe
from chat_store_http import Client, read_up_to, serving, user_input
from chat_store_scripted import (
    NEVER,
    Events,
    ScriptedServer,
    Turn,
    begun_message,
    says,
    whole_message,
)
from chat_store_tools import run_async, walk
from chat_store_under_test import ChatStore, RequestContext
from chatkit.server import StreamingResult
from chatkit.types import (
    AssistantMessageItem,
    SDKHiddenContextItem,
    ThreadItem,
    UserMessageItem,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

REAL_AND_PLACEHOLDER_IDS = pytest.mark.parametrize(
    "item_id", ["msg_1", FAKE_RESPONSES_ID], ids=["real_id", "placeholder_id"]
)


@contextmanager
def alice_at_a_server(
    probe: Probe, *turns: Turn, grace: int = 10
) -> Generator[Client, None, None]:
    """Serve a scripted server with a Store of its own; return a client to it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        async with open_store(probe) as store:
            app.state.server = ScriptedServer(store, *turns)
            yield

    async def chatkit(request: Request) -> Response:
        server: ScriptedServer = request.app.state.server
        headers = request.headers
        context = make_context(headers["x-user-id"], headers["idempotency-key"])
        result = await server.process(await request.body(), context)
        if isinstance(result, StreamingResult):
            return StreamingResponse(result, media_type="text/event-stream")
        return Response(result.json, media_type="application/json")

    route = Route("/chatkit", chatkit, methods=["POST"])
    with serving(Starlette(routes=[route], lifespan=lifespan), grace) as port:
        yield Client(port, "alice")


def what_is_stored(store: ChatStore, alice: RequestContext) -> list[str]:
    """Return the items of the owner's only thread in order, each in a word or its text."""
    return described(all_items(store, alice))


def described(items: list[ThreadItem]) -> list[str]:
    """Return items, each in a word or its text."""

    def describe(item: ThreadItem) -> str:
        if isinstance(item, (UserMessageItem, AssistantMessageItem)):
            return "".join(part.text for part in item.content)
        return "(cancelled)" if isinstance(item, SDKHiddenContextItem) else item.type

    return [describe(item) for item in items]


def all_items(store: ChatStore, alice: RequestContext) -> list[ThreadItem]:
    """Return the items of the owner's only thread."""
    [thread] = run_async(store.load_threads(20, None, "desc", alice)).data
    return run_async(walk(store, alice, thread_id=thread.id))


@REAL_AND_PLACEHOLDER_IDS
def test_R31_stop_keeps_the_partial_answer_and_the_hidden_item_once_each(
    store: ChatStore, probe: Probe, alice: RequestContext, item_id: str
) -> None:
    def stalls(thread_id: str) -> Events:
        return [*begun_message(item_id, thread_id, "abc"), NEVER]

    with alice_at_a_server(probe, stalls) as client:
        client.stop("c", "threads.create", input=user_input("Hi"))
    assert what_is_stored(store, alice) == ["Hi", "abc", "(cancelled)"]


@REAL_AND_PLACEHOLDER_IDS
def test_R31_stop_after_a_finished_item_keeps_that_item_once_too(
    store: ChatStore, probe: Probe, alice: RequestContext, item_id: str
) -> None:
    def stalls_in_its_second_message(thread_id: str) -> Events:
        second_id = item_id if item_id == FAKE_RESPONSES_ID else "msg_2"
        return [
            *whole_message(item_id, thread_id, "ab"),
            *begun_message(second_id, thread_id, "cd"),
            NEVER,
        ]

    with alice_at_a_server(probe, stalls_in_its_second_message) as client:
        client.stop("d", "threads.create", input=user_input("Hi"))
    assert what_is_stored(store, alice) == ["Hi", "ab", "cd", "(cancelled)"]


@REAL_AND_PLACEHOLDER_IDS
def test_R31_stop_during_the_write_of_an_item_stores_it_once(
    store: ChatStore, probe: Probe, alice: RequestContext, item_id: str
) -> None:
    gate = Event()

    def ends_behind_the_gate(thread_id: str) -> Events:
        *begun, done = whole_message(item_id, thread_id, "abc")
        return [*begun, gate, done, NEVER]

    with alice_at_a_server(probe, ends_behind_the_gate) as client, ExitStack() as stack:
        request = client.request("threads.create", input=user_input("Hi"))
        read_up_to("c", stack.enter_context(request))
        with probe.locked():
            gate.set()
            time.sleep(0.2)  # the server has come to the write, and waits
            stack.close()
            time.sleep(0.2)  # it has noticed the disconnection, and still waits
    assert what_is_stored(store, alice) == ["Hi", "abc", "(cancelled)"]


def test_R06_two_answers_under_the_placeholder_id_are_two_messages(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    turns = says(FAKE_RESPONSES_ID, "one"), says(FAKE_RESPONSES_ID, "two")
    with alice_at_a_server(probe, *turns) as client:
        events = client.stream("threads.create", input=user_input("First"))
        thread_id = events[0]["thread"]["id"]
        client.stream(
            "threads.add_user_message", thread_id=thread_id, input=user_input("Second")
        )
        _, page = client.ask("items.list", thread_id=thread_id, order="asc")
    assert what_is_stored(store, alice) == ["First", "one", "Second", "two"]
    ids = {item["id"] for item in page["data"]}
    assert len(ids) == 4
    assert FAKE_RESPONSES_ID not in ids
    assert ids == {item.id for item in all_items(store, alice)}


def test_R06_a_stopped_answer_under_the_placeholder_id_stays_beside_the_next(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    def stalls(thread_id: str) -> Events:
        return [*begun_message(FAKE_RESPONSES_ID, thread_id, "ab"), NEVER]

    with alice_at_a_server(probe, stalls, says(FAKE_RESPONSES_ID, "two")) as client:
        client.stop("b", "threads.create", input=user_input("First"))
        _, page = client.ask("threads.list")
        client.stream(
            "threads.add_user_message",
            thread_id=page["data"][0]["id"],
            input=user_input("Second"),
        )
    stored = what_is_stored(store, alice)
    assert sorted(stored) == ["(cancelled)", "First", "Second", "ab", "two"]


def test_R40_a_server_that_stops_keeps_the_partial_answers_of_all_streams(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    def stalls(thread_id: str) -> Events:
        return [*begun_message(f"msg_{thread_id}", thread_id, "abc"), NEVER]

    turns = [stalls] * 10
    with ExitStack() as streams, alice_at_a_server(probe, *turns, grace=1) as client:
        for _ in turns:
            request = client.request("threads.create", input=user_input("Hi"))
            read_up_to("c", streams.enter_context(request))
    threads = run_async(store.load_threads(20, None, "desc", alice)).data
    assert len(threads) == 10
    for thread in threads:
        items = run_async(walk(store, alice, thread_id=thread.id))
        assert described(items) == ["Hi", "abc", "(cancelled)"]
