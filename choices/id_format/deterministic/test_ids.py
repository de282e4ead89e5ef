"""Ids of new rows, as the answer `deterministic` promises them."""

import re
from datetime import datetime

import pytest
from chat_store_contexts import make_context
from chat_store_tools import a_question, a_thread, async_test, id_bodies
from chat_store_under_test import ChatStore, RequestContext

from {{ store_module }} import ids
from {{ store_module }}.ids import IdError


def make_ids(store: ChatStore, context: RequestContext) -> list[str]:
    """Make what a request makes: a thread, its user's message, and more."""
    thread = a_thread(store.generate_thread_id(context))
    return [
        thread.id,
        store.generate_item_id("message", thread, context),
        store.generate_item_id("message", thread, context),
        store.generate_item_id("task", thread, context),
        store.generate_attachment_id("text/plain", context),
    ]


def test_an_id_is_a_prefix_and_32_hex_digits(
    store: ChatStore, alice: RequestContext
) -> None:
    for body in id_bodies(store, alice):
        assert re.fullmatch("[0-9a-f]{32}", body)


def test_a_request_that_is_tried_again_makes_the_same_ids(store: ChatStore) -> None:
    first, second = make_context("alice", "request"), make_context("alice", "request")
    assert make_ids(store, first) == make_ids(store, second)


def test_requests_that_run_at_the_same_time_count_for_themselves(
    store: ChatStore,
) -> None:
    first, second = make_context("alice", "request"), make_context("alice", "request")
    for _ in range(3):
        assert store.generate_thread_id(first) == store.generate_thread_id(second)


def test_other_owners_requests_kinds_and_counts_make_other_ids(
    store: ChatStore,
) -> None:
    contexts = [
        make_context("alice", "request"),
        make_context("alice", "another-request"),
        make_context("bob", "request"),
    ]
    ids = [new_id for context in contexts for new_id in make_ids(store, context)]
    bodies = {new_id.rpartition("_")[2] for new_id in ids}
    assert len(bodies) == len(ids)


def test_another_thread_makes_other_ids(store: ChatStore) -> None:
    contexts = [make_context("alice", "request") for _ in range(2)]
    threads = [a_thread("thr_1"), a_thread("thr_2")]
    first, second = (
        store.generate_item_id("message", thread, context)
        for thread, context in zip(threads, contexts)
    )
    assert first != second


def test_a_key_that_is_used_again_for_another_request_makes_other_ids(
    store: ChatStore,
) -> None:
    keys = [ids.request_id("key", body) for body in (b"a", b"b", b"a")]
    first, other, again = (
        store.generate_thread_id(make_context("alice", key)) for key in keys
    )
    assert first == again != other
    assert ids.request_id(None, b"a") is None


async def create_thread(store: ChatStore, context: RequestContext) -> str:
    """Make what a request makes that begins a conversation; return the thread's id."""
    thread = a_thread(store.generate_thread_id(context), created_at=datetime.now())
    await store.save_thread(thread, context)
    item_id = store.generate_item_id("message", thread, context)
    question = a_question(item_id, thread.id)
    await store.add_thread_item(thread.id, question, context)
    return thread.id


@async_test
async def test_a_retry_makes_nothing_twice_and_keeps_what_the_first_try_has_stored(
    store: ChatStore,
) -> None:
    first, second = make_context("alice", "request"), make_context("alice", "request")
    thread_id = await create_thread(store, first)
    titled = a_thread(thread_id, title="Greetings", metadata={"previous": "resp_1"})
    await store.save_thread(titled, first)
    assert await create_thread(store, second) == thread_id
    assert (await store.load_threads(9, None, "asc", first)).data == [titled]
    items = await store.load_thread_items(thread_id, None, 9, "asc", first)
    assert len(items.data) == 1


{% if store_context == "tenant" and store_tenant_scope == "tenant" %}
@async_test
async def test_a_users_key_in_anothers_thread_never_changes_what_that_one_wrote(
    store: ChatStore,
) -> None:
    ann, bob = (RequestContext("acme", user, "request") for user in ("ann", "bob"))
    thread_id = await create_thread(store, ann)
    before = (await store.load_thread_items(thread_id, None, 9, "asc", ann)).data
    thread = await store.load_thread(thread_id, bob)
    answer_id = store.generate_item_id("message", thread, bob)
    answer = a_question(answer_id, thread_id, "of Bob", created_at=datetime.now())
    await store.add_thread_item(thread_id, answer, bob)
    after = (await store.load_thread_items(thread_id, None, 9, "asc", ann)).data
    assert after == [*before, answer]
    assert await create_thread(store, bob) != thread_id
    assert await store.load_thread(thread_id, ann) == thread


{% endif %}
@async_test
async def test_the_request_that_set_a_title_can_take_it_away_again(
    store: ChatStore,
) -> None:
    context = make_context("alice", "request")
    thread = a_thread(store.generate_thread_id(context), title="Greetings")
    await store.save_thread(thread, context)
    thread.title = None
    await store.save_thread(thread, context)
    assert await store.load_thread(thread.id, context) == thread


@pytest.mark.parametrize("missing", [None, ""])
def test_a_context_without_a_request_id_is_an_error_that_says_so(
    store: ChatStore, missing: str | None
) -> None:
    with pytest.raises(IdError, match="'request_id' of the request context"):
        store.generate_thread_id(make_context("alice", missing))
