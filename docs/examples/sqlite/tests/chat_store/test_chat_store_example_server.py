"""The example server, under real uvicorn and spoken to over HTTP."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chat_store_contexts import make_context
from chat_store_database import Probe
from chat_store_http import Client, read_up_to, serving, user_input
from chat_store_under_test import RequestContext
from fastapi import Request

from chat_store import example_server


@pytest.fixture
def port(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a running example server, on the probe's database."""
    from_headers = example_server.context_from

    def context_from(request: Request, body: bytes) -> RequestContext:
        try:
            return from_headers(request, body)
        except NotImplementedError:  # only you know how a context of yours is made
            headers = request.headers
            return make_context(headers["x-user-id"], headers["idempotency-key"])

    monkeypatch.setattr(example_server, "context_from", context_from)
    monkeypatch.setattr(example_server, "WORD_DELAY", 0.002)
    monkeypatch.setenv("CHAT_STORE_URL", probe.url)
    with serving(example_server.app) as port:
        yield port


@pytest.fixture
def client(port: int) -> Client:
    """A user."""
    return Client(port, "alice")


@pytest.fixture
def stranger(port: int) -> Client:
    """Another user."""
    return Client(port, "bob")


def begin(client: Client, text: str) -> tuple[str, list[dict[str, Any]]]:
    """Begin a thread with a message; return its id, and the events of the answer."""
    events = client.stream("threads.create", input=user_input(text))
    return events[0]["thread"]["id"], events


def items_of(client: Client, thread_id: str) -> list[dict[str, Any]]:
    """Return the items that the client sees, oldest first."""
    _, thread = client.ask("threads.get_by_id", thread_id=thread_id)
    items: list[dict[str, Any]] = thread["items"]["data"]
    return items


def types_of(client: Client, thread_id: str) -> list[str]:
    """Return the types of the items that the client sees, oldest first."""
    return [item["type"] for item in items_of(client, thread_id)]


def text_of(item: dict[str, Any]) -> str:
    """Return the text of a message."""
    text: str = item["content"][0]["text"]
    return text


def test_a_conversation_is_streamed_word_by_word_and_kept(client: Client) -> None:
    thread_id, events = begin(client, "Hello there")
    words = [event for event in events if event["type"] == "thread.item.updated"]
    assert len(words) > 20
    spoken = "".join(event["update"]["delta"] for event in words)
    client.stream(
        "threads.add_user_message", thread_id=thread_id, input=user_input("And then?")
    )
    question, answer, *second_turn = items_of(client, thread_id)
    assert text_of(question) == "Hello there"
    assert text_of(answer) == spoken
    assert [item["type"] for item in second_turn] == [
        "user_message",
        "assistant_message",
    ]
    _, threads = client.ask("threads.list")
    assert [thread["title"] for thread in threads["data"]] == ["Hello there"]


def test_a_tool_call_waits_for_the_client_and_is_answered(client: Client) -> None:
    thread_id, _ = begin(client, "Use a tool")
    assert items_of(client, thread_id)[-1]["status"] == "pending"
    client.stream(
        "threads.add_client_tool_output", thread_id=thread_id, result="half past nine"
    )
    _, call, answer = items_of(client, thread_id)
    assert (call["status"], call["output"]) == ("completed", "half past nine")
    assert "half past nine" in text_of(answer)


def test_a_widget_answers_both_of_its_buttons(client: Client) -> None:
    thread_id, _ = begin(client, "Show me a widget")
    card = items_of(client, thread_id)[-1]
    buttons = card["widget"]["children"][1:]
    more, like = [button["onClickAction"] for button in buttons]
    params = {"thread_id": thread_id, "item_id": card["id"]}
    client.stream("threads.custom_action", **params, action=more)
    status, answer = client.ask("threads.sync_custom_action", **params, action=like)
    assert status == 200
    _, changed, message = items_of(client, thread_id)
    assert changed["id"] == answer["updated_item"]["id"] == card["id"]
    before, after = card["widget"]["children"][0], changed["widget"]["children"][0]
    assert before["value"] != after["value"]
    assert after == answer["updated_item"]["widget"]["children"][0]
    assert message["type"] == "assistant_message"


def test_feedback_is_kept_in_the_thread(client: Client, probe: Probe) -> None:
    thread_id, _ = begin(client, "Hello")
    for item_id, kind in (("msg_1", "positive"), ("msg_2", "negative")):
        params: dict[str, Any] = {"item_ids": [item_id], "kind": kind}
        assert client.ask("items.feedback", thread_id=thread_id, **params) == (200, {})
    [(data,)] = probe.query("SELECT data FROM chatkit_threads")
    assert all(text in str(data) for text in ("msg_1", "msg_2", "positive", "negative"))


@pytest.mark.parametrize(
    ("request_type", "params"),
    [
        ("attachments.create", {"name": "a", "size": 1, "mime_type": "text/plain"}),
        ("attachments.delete", {"attachment_id": "atc_1"}),
        ("input.transcribe", {"audio_base64": "", "mime_type": "audio/wav"}),
        ("threads.from_the_future", {}),
    ],
)
def test_what_it_does_not_support_is_the_clients_mistake(
    client: Client, request_type: str, params: dict[str, Any]
) -> None:
    status, answer = client.ask(request_type, **params)
    assert status == 422
    assert answer["detail"]


def test_R41_feedback_that_is_given_at_once_is_all_kept(
    client: Client, probe: Probe
) -> None:
    thread_id, _ = begin(client, "Hello")
    item_ids = [f"msg_{number}" for number in range(10)]

    def give(item_id: str) -> tuple[int, Any]:
        params: dict[str, Any] = {"item_ids": [item_id], "kind": "positive"}
        return client.ask("items.feedback", thread_id=thread_id, **params)

    with ThreadPoolExecutor(len(item_ids)) as pool:
        assert list(pool.map(give, item_ids)) == [(200, {})] * len(item_ids)
    [(data,)] = probe.query("SELECT data FROM chatkit_threads")
    assert [item_id for item_id in item_ids if item_id not in str(data)] == []


def test_R31_stop_keeps_what_was_said(
    client: Client, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden_items() -> int:
        rows = probe.query("SELECT data FROM chatkit_items")
        return sum("sdk_hidden_context" in str(data) for (data,) in rows)

    monkeypatch.setattr(example_server, "WORD_DELAY", 0.05)
    with client.request("threads.create", input=user_input("Hello")) as response:
        read_up_to("script,", response)
        monkeypatch.setattr(example_server, "WORD_DELAY", 60)
    deadline = time.monotonic() + 20
    while not hidden_items() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert hidden_items() == 1
    _, threads = client.ask("threads.list")
    _, stopped = items_of(client, threads["data"][0]["id"])
    assert text_of(stopped).startswith('You said "Hello". I am a script,')
    assert "stays in the thread" not in text_of(stopped)


def test_a_retry_replaces_the_answer(client: Client) -> None:
    thread_id, _ = begin(client, "Hello")
    question, first = items_of(client, thread_id)
    client.stream(
        "threads.retry_after_item", thread_id=thread_id, item_id=question["id"]
    )
    same_question, second = items_of(client, thread_id)
    assert same_question == question
    assert text_of(second) == text_of(first)
    assert second["id"] != first["id"]


def test_a_stream_without_events_is_an_empty_answer(client: Client) -> None:
    thread_id, _ = begin(client, "Use a tool")
    params = {"thread_id": thread_id, "item_id": "no_such_item"}
    assert client.stream("threads.retry_after_item", **params) == []
    assert types_of(client, thread_id) == ["user_message", "client_tool_call"]


def test_another_user_sees_nothing(client: Client, stranger: Client) -> None:
    thread_id, _ = begin(client, "Use a tool")
    assert stranger.ask("threads.list") == (200, {"data": [], "has_more": False})
    requests: list[tuple[str, dict[str, Any]]] = [
        ("threads.get_by_id", {}),
        ("threads.update", {"title": "Mine"}),
        ("threads.add_user_message", {"input": user_input("Let me in")}),
        ("threads.add_client_tool_output", {"result": 1}),
        ("threads.retry_after_item", {"item_id": "msg_1"}),
        ("items.feedback", {"item_ids": ["msg_1"], "kind": "negative"}),
    ]
    for request_type, params in requests:
        answer = stranger.ask(request_type, thread_id=thread_id, **params)
        assert answer == (404, {"detail": f"Thread {thread_id} not found"})
    assert types_of(client, thread_id) == ["user_message", "client_tool_call"]


def test_what_is_absent_is_answered_404_also_for_a_stream(client: Client) -> None:
    expected = (404, {"detail": "Thread thr_0 not found"})
    assert client.ask("threads.get_by_id", thread_id="thr_0") == expected
    message = {"thread_id": "thr_0", "input": user_input("Hello")}
    assert client.ask("threads.add_user_message", **message) == expected


def test_a_request_of_nobody_is_answered_401_also_for_a_stream(
    port: int, probe: Probe
) -> None:
    nobody = Client(port, "")
    requests: list[tuple[str, dict[str, Any]]] = [
        ("threads.list", {}),
        ("items.feedback", {"thread_id": "thr_1", "item_ids": [], "kind": "positive"}),
        ("threads.create", {"input": user_input("Hello")}),
        ("threads.create", {"input": "not even valid"}),
    ]
    for request_type, params in requests:
        status, answer = nobody.ask(request_type, **params)
        assert status == 401, request_type
        assert answer["detail"]
    assert probe.query("SELECT id FROM chatkit_threads") == []


def test_bad_input_is_answered_422_without_quoting_it(client: Client) -> None:
    no_attachments = {**user_input("SECRET"), "attachments": None}
    no_such_content = {**user_input(""), "content": [{"type": "SECRET"}]}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("no.such.type", {}),
        ("threads.list", {"limit": "SECRET"}),
        ("threads.list", {"limit": -1}),
        ("threads.update", {"thread_id": "thr_1", "title": ["SECRET"]}),
        ("threads.create", {"input": no_attachments}),
        ("threads.create", {"input": no_such_content}),
    ]
    for request_type, params in requests:
        status, answer = client.ask(request_type, **params)
        assert status == 422, request_type
        assert answer["detail"]
        assert "SECRET" not in str(answer)


def test_a_stream_that_cannot_begin_is_answered_422(client: Client) -> None:
    thread_id, _ = begin(client, "Hello")
    status, answer = client.ask(
        "threads.add_client_tool_output", thread_id=thread_id, result="SECRET"
    )
    assert status == 422
    assert "SECRET" not in str(answer)
