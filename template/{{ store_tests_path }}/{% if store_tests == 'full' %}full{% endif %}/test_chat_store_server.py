"""The SDK's real ChatKitServer on the Store: each of its request types, by two owners.

Every test sends requests as a client does and then looks at what the Store holds; another owner
who sends the same request sees nothing and changes nothing. A test's name begins with the request
type, which the last test relies on.

This directory exists only if the template answer store_tests is "full".
"""

import base64
from datetime import datetime
from typing import Any, get_args

import pytest
from chat_store_adapter import only_own
from chat_store_http import user_input
from chat_store_scripted import Events, ScriptedServer, a_card, ask, says, yields
from chat_store_tools import (
    a_message,
    a_note,
    a_thread,
    async_test,
    later,
    walk,
)
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import NotFoundError
from chatkit.types import (
    AssistantMessageItem,
    ChatKitReq,
    ClientToolCallItem,
    LockedStatus,
    StructuredInputItem,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    UserMessageItem,
    WidgetItem,
)


async def create(server: ScriptedServer, context: RequestContext, text: str) -> str:
    """Begin a thread with a user's message; return its id."""
    events = await ask(server, context, "threads.create", input=user_input(text))
    thread_id: str = events[0]["thread"]["id"]
    return thread_id


async def assert_refused(
    server: ScriptedServer, stranger: RequestContext, request_type: str, **params: Any
) -> None:
    """Check that a request is answered to a stranger as if there were nothing."""
    with pytest.raises(NotFoundError):
        await ask(server, stranger, request_type, **params)


async def assert_hidden_from(
    stranger: RequestContext, store: ChatStore, thread_id: str
) -> None:
    """Check that a stranger finds neither the thread nor its items."""
    assert (await store.load_threads(20, None, "desc", stranger)).data == []
    assert await walk(store, stranger, thread_id=thread_id) == []
    with pytest.raises(NotFoundError):
        await store.load_thread(thread_id, stranger)


def texts(items: list[ThreadItem]) -> list[str]:
    """Return the texts of the messages among the items, in order."""
    messages = [
        item
        for item in items
        if isinstance(item, (UserMessageItem, AssistantMessageItem))
    ]
    return [message.content[0].text for message in messages]


def tool_call(item_id: str, thread_id: str) -> ClientToolCallItem:
    """Make a pending call of a tool of the client's."""
    return ClientToolCallItem(
        id=item_id,
        thread_id=thread_id,
        created_at=datetime.now(),
        call_id=f"call_{item_id}",
        name="local_time",
        arguments={"zone": "UTC"},
    )


def widget(thread_id: str, text: str = "Press me") -> WidgetItem:
    """Make an item with a widget."""
    return WidgetItem(
        id="msg_widget",
        thread_id=thread_id,
        created_at=datetime.now(),
        widget=a_card(text),
    )


@async_test
async def test_threads_create_stores_the_thread_the_message_and_the_answer(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, says("msg_1", "Hello"), says("msg_1", "Hello, Bob"))
    thread_id = await create(server, alice, "Hi")
    await assert_hidden_from(bob, store, thread_id)
    await create(server, bob, "I am Bob")
    threads = await store.load_threads(20, None, "desc", alice)
    assert [thread.id for thread in threads.data] == [thread_id]
    assert texts(await walk(store, alice, thread_id=thread_id)) == ["Hi", "Hello"]


@async_test
async def test_threads_add_user_message_appends_to_the_thread(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, says("msg_1", "One"), says("msg_2", "Two"))
    thread_id = await create(server, alice, "First")
    params: dict[str, Any] = {"thread_id": thread_id, "input": user_input("Second")}
    await assert_refused(server, bob, "threads.add_user_message", **params)
    await ask(server, alice, "threads.add_user_message", **params)
    items = await walk(store, alice, thread_id=thread_id)
    assert texts(items) == ["First", "One", "Second", "Two"]
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_threads_add_client_tool_output_completes_the_call_in_place(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(
        store,
        yields(lambda thread_id: tool_call("tc_forgotten", thread_id)),
        yields(lambda thread_id: tool_call("tc_1", thread_id)),
        says("msg_1", "It is noon"),
    )
    thread_id = await create(server, alice, "What time is it?")
    params: dict[str, Any] = {"thread_id": thread_id, "input": user_input("Well?")}
    await ask(server, alice, "threads.add_user_message", **params)
    params = {"thread_id": thread_id, "result": {"time": "12:00"}}
    await assert_refused(server, bob, "threads.add_client_tool_output", **params)
    await ask(server, alice, "threads.add_client_tool_output", **params)
    call = await store.load_item(thread_id, "tc_1", alice)
    assert isinstance(call, ClientToolCallItem)
    assert (call.status, call.output) == ("completed", {"time": "12:00"})
    items = await walk(store, alice, thread_id=thread_id)
    # The server drops a call that was never answered.
    assert [item.type for item in items] == [
        "user_message",
        "user_message",
        "client_tool_call",
        "assistant_message",
    ]
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_threads_add_structured_input_answers_the_questions_in_place(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    def form(thread_id: str) -> StructuredInputItem:
        fields = {"id": "form_1", "thread_id": thread_id, "created_at": datetime.now()}
        question = {"id": "size", "type": "freeform", "question": "Which size?"}
        return StructuredInputItem.model_validate({**fields, "inputs": [question]})

    server = ScriptedServer(store, yields(form), says("msg_1", "Small it is"))
    thread_id = await create(server, alice, "A coffee")
    params: dict[str, Any] = {
        "thread_id": thread_id,
        "item_id": "form_1",
        "input": {"answers": {"size": {"values": ["small"]}}},
    }
    await assert_refused(server, bob, "threads.add_structured_input", **params)
    await ask(server, alice, "threads.add_structured_input", **params)
    _, answered, answer = await walk(store, alice, thread_id=thread_id)
    assert isinstance(answered, StructuredInputItem)
    assert answered.status == "answered"
    assert answered.inputs[0].answer is not None
    assert answered.inputs[0].answer.values == ["small"]
    assert texts([answer]) == ["Small it is"]
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_threads_retry_after_item_replaces_all_that_followed(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    def long_answer(thread_id: str) -> Events:
        # More than the twenty items that the server reads at a time.
        now = datetime.now()
        return [
            ThreadItemDoneEvent(
                item=a_message(f"old_{number}", thread_id, created_at=now)
            )
            for number in range(45)
        ]

    server = ScriptedServer(store, long_answer, says("msg_new", "Better"))
    thread_id = await create(server, alice, "Try")
    question, *answers = await walk(store, alice, thread_id=thread_id)
    assert len(answers) == 45
    params = {"thread_id": thread_id, "item_id": question.id}
    await assert_refused(server, bob, "threads.retry_after_item", **params)
    await ask(server, alice, "threads.retry_after_item", **params)
    assert texts(await walk(store, alice, thread_id=thread_id)) == ["Try", "Better"]
    assert server.asked[-1] == question
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_threads_custom_action_replaces_removes_and_hides_items(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    def pressed(thread_id: str) -> Events:
        note = a_note("pressed", "hid_1", thread_id, created_at=datetime.now())
        return [
            ThreadItemReplacedEvent(item=widget(thread_id, "Thanks")),
            ThreadItemDoneEvent(item=note),
            ThreadItemRemovedEvent(item_id="msg_never_stored"),
        ]

    server = ScriptedServer(store, yields(widget), pressed)
    thread_id = await create(server, alice, "Show me")
    params: dict[str, Any] = {
        "thread_id": thread_id,
        "item_id": "msg_widget",
        "action": {"type": "press", "payload": {"count": 1}},
    }
    await assert_refused(server, bob, "threads.custom_action", **params)
    events = await ask(server, alice, "threads.custom_action", **params)
    assert "pressed" not in str(events)
    assert isinstance(server.asked[-1], WidgetItem)
    items = await walk(store, alice, thread_id=thread_id)
    assert [item.id for item in items[1:]] == ["msg_widget", "hid_1"]
    assert "Thanks" in items[1].model_dump_json()
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_threads_sync_custom_action_updates_the_widget_in_place(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, yields(widget), says("msg_1", "There"))
    thread_id = await create(server, alice, "Show me")
    params: dict[str, Any] = {"thread_id": thread_id, "input": user_input("And?")}
    await ask(server, alice, "threads.add_user_message", **params)
    params = {
        "thread_id": thread_id,
        "item_id": "msg_widget",
        "action": {"type": "press", "payload": "Pressed"},
    }
    await assert_refused(server, bob, "threads.sync_custom_action", **params)
    answer = await ask(server, alice, "threads.sync_custom_action", **params)
    assert answer["updated_item"]["id"] == "msg_widget"
    items = await walk(store, alice, thread_id=thread_id)
    assert [item.type for item in items] == [
        "user_message",
        "widget",
        "user_message",
        "assistant_message",
    ]
    assert "Pressed" in items[1].model_dump_json()
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_items_feedback_reaches_the_thread_that_it_is_about(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, says("msg_1", "Hello"))
    thread_id = await create(server, alice, "Hi")
    params = {"thread_id": thread_id, "item_ids": ["msg_1"], "kind": "positive"}
    await assert_refused(
        server, bob, "items.feedback", **{**params, "kind": "negative"}
    )
    await ask(server, alice, "items.feedback", **params)
    thread = await store.load_thread(thread_id, alice)
    assert thread.metadata == {"feedback": {"msg_1": "positive"}}
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_attachments_create_stores_a_row_that_a_message_then_claims(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, says("msg_1", "A nice file"))
    params: dict[str, Any] = {"name": "a.txt", "size": 3, "mime_type": "text/plain"}
    created = await ask(server, alice, "attachments.create", **params)
    row = await store.load_attachment(created["id"], alice)
    assert row.metadata == {"size": 3}
    assert "metadata" not in created
    assert row.upload_descriptor is not None

    message = user_input("Look", created["id"])
    await assert_refused(server, bob, "threads.create", input=message)
    with pytest.raises(NotFoundError):
        await store.load_attachment(created["id"], bob)

    events = await ask(server, alice, "threads.create", input=message)
    thread_id = events[0]["thread"]["id"]
    claimed = await store.load_attachment(created["id"], alice)
    assert claimed == row.model_copy(update={"thread_id": thread_id})
    question = (await walk(store, alice, thread_id=thread_id))[0]
    assert isinstance(question, UserMessageItem)
    assert question.attachments == [claimed]


@async_test
async def test_attachments_delete_removes_the_owners_row_only(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store)
    params: dict[str, Any] = {"name": "a.txt", "size": 3, "mime_type": "text/plain"}
    created = await ask(server, alice, "attachments.create", **params)
    attachment_id = created["id"]
    await assert_refused(server, bob, "attachments.delete", attachment_id=attachment_id)
    await store.delete_attachment(attachment_id, bob)
    assert (await store.load_attachment(attachment_id, alice)).name == "a.txt"
    await ask(server, alice, "attachments.delete", attachment_id=attachment_id)
    with pytest.raises(NotFoundError):
        await store.load_attachment(attachment_id, alice)


@async_test
async def test_threads_list_pages_through_the_owners_threads(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store)
    for number in range(3):
        thread = a_thread(f"thr_{number}", created_at=later(number), metadata={"n": 1})
        await store.save_thread(thread, alice)
    first = await ask(server, alice, "threads.list", limit=2)
    assert [thread["id"] for thread in first["data"]] == ["thr_2", "thr_1"]
    assert first["has_more"]
    assert first["data"][0]["metadata"] == {}  # for the server only
    rest = await ask(server, alice, "threads.list", limit=2, after=first["after"])
    assert [thread["id"] for thread in rest["data"]] == ["thr_0"]
    assert not rest["has_more"]

    assert (await ask(server, bob, "threads.list"))["data"] == []
    await assert_refused(server, bob, "threads.list", after="thr_1")
    await assert_hidden_from(bob, store, "thr_1")


@async_test
async def test_items_list_pages_through_a_thread_without_its_hidden_items(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store)
    await store.save_thread(a_thread("thr_1"), alice)
    for number in range(3):
        item = a_message(f"msg_{number}", created_at=later(number))
        await store.add_thread_item("thr_1", item, alice)
    note = a_note("secret", "hid_1", created_at=later(0.5))
    await store.add_thread_item("thr_1", note, alice)

    async def page(context: RequestContext, after: str | None) -> Any:
        params = {"thread_id": "thr_1", "order": "asc", "limit": 2, "after": after}
        return await ask(server, context, "items.list", **params)

    first = await page(alice, None)
    assert [item["id"] for item in first["data"]] == ["msg_0"]
    assert first["has_more"]
    rest = await page(alice, first["after"])
    assert [item["id"] for item in rest["data"]] == ["msg_1", "msg_2"]
    assert not rest["has_more"]

    for after in (None, "msg_0"):
        assert await page(bob, after) == {"data": [], "has_more": False}
    await assert_hidden_from(bob, store, "thr_1")


@async_test
async def test_threads_get_by_id_gives_the_thread_with_its_items(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, says("msg_1", "Hello"))
    thread_id = await create(server, alice, "Hi")
    await store.add_thread_item(
        thread_id, a_note("secret", created_at=datetime.now()), alice
    )
    thread = await ask(server, alice, "threads.get_by_id", thread_id=thread_id)
    assert thread["id"] == thread_id
    assert [item["content"][0]["text"] for item in thread["items"]["data"]] == [
        "Hi",
        "Hello",
    ]
    await assert_refused(server, bob, "threads.get_by_id", thread_id=thread_id)
    assert len(await walk(store, alice, thread_id=thread_id)) == 3
    await assert_hidden_from(bob, store, thread_id)


@async_test
async def test_threads_update_changes_the_title_and_keeps_the_rest(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store)
    saved = a_thread(title="Old", status=LockedStatus(reason="full"), metadata={"n": 1})
    await store.save_thread(saved, alice)
    await store.add_thread_item("thr_1", a_message(), alice)
    params = {"thread_id": "thr_1", "title": "New"}
    await assert_refused(server, bob, "threads.update", **{**params, "title": "Mine"})
    answer = await ask(server, alice, "threads.update", **params)
    assert answer["title"] == "New"
    expected = saved.model_copy(update={"title": "New"})
    assert await store.load_thread("thr_1", alice) == expected
    assert await walk(store, alice) == [a_message()]
    await assert_hidden_from(bob, store, "thr_1")


@async_test
async def test_threads_delete_removes_the_owners_thread_only(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store, says("msg_1", "Hello"), says("msg_1", "Hello again"))
    thread_id = await create(server, alice, "Hi")
    kept_id = await create(server, alice, "Keep this")
    # Deleting what is not there is no error, and a stranger's thread is not there.
    await ask(server, bob, "threads.delete", thread_id=thread_id)
    assert texts(await walk(store, alice, thread_id=thread_id)) == ["Hi", "Hello"]
    await assert_hidden_from(bob, store, thread_id)

    await ask(server, alice, "threads.delete", thread_id=thread_id)
    await assert_refused(server, alice, "threads.get_by_id", thread_id=thread_id)
    assert await walk(store, alice, thread_id=thread_id) == []
    assert len(await walk(store, alice, thread_id=kept_id)) == 2


@async_test
async def test_input_transcribe_stores_nothing(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    server = ScriptedServer(store)
    audio = {"audio_base64": base64.b64encode(b"hello").decode()}
    for context in (alice, bob):
        params = {**audio, "mime_type": "audio/webm;codecs=opus"}
        assert await ask(server, context, "input.transcribe", **params) == {
            "text": "hello"
        }
        assert (await store.load_threads(20, None, "desc", context)).data == []


@only_own
def test_every_request_type_of_the_installed_sdk_is_tested_here() -> None:
    union, _ = get_args(ChatKitReq)
    request_types: list[str] = [
        request.model_fields["type"].default for request in get_args(union)
    ]
    assert len(request_types) >= 16
    for request_type in request_types:
        beginning = f"test_{request_type.replace('.', '_')}_"
        assert any(name.startswith(beginning) for name in globals()), request_type
