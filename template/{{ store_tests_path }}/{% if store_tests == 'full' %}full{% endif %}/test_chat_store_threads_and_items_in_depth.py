"""Threads and items: R01 to R11 of the Store's contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
from datetime import timedelta

import pytest
from chat_store_adapter import make_context, only_own
from chat_store_database import TABLES, Probe
from chat_store_tools import (
    CALLS,
    WRITES,
    a_message,
    a_thread,
    a_tool_call,
    an_attachment,
    async_test,
    count_rows,
    later,
    save_one_of_each,
)
from chat_store_under_test import (
    ChatStore,
    OwnerError,
    RequestContext,
    keys,
    owner_id,
)
from chatkit.store import NotFoundError
from chatkit.types import ThreadMetadata
from test_chat_store_threads_and_items import (
    BAD_IDS,
    GOOD_IDS,
    assert_is_gone,
    load_items,
    load_threads,
)


@async_test
async def test_R02_loading_an_item_by_another_thread_raises_not_found(
    store: ChatStore, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    await store.save_thread(a_thread("thr_2"), alice)
    for thread_id in ("thr_2", "thr_absent"):
        with pytest.raises(NotFoundError, match="^Item msg_1 not found$"):
            await store.load_item(thread_id, "msg_1", alice)


@async_test
async def test_R04_saving_another_owners_id_does_not_change_the_owner(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice, "of alice")
    await save_one_of_each(store, bob, "of bob")
    assert await load_threads(store, alice) == [a_thread(title="of alice")]
    assert await load_items(store, alice) == [a_message(text="of alice")]


@async_test
async def test_R05_adding_an_item_many_times_at_once_stores_it_once(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    add = WRITES["add_thread_item"]
    await asyncio.gather(*(add(store, alice) for _ in range(10)))
    assert await load_items(store, alice) == [a_message()]
    assert count_rows(probe, "chatkit_items") == 1


@async_test
async def test_R06_the_id_is_minted_once_although_the_write_is_retried(
    store: ChatStore,
    probe: Probe,
    alice: RequestContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def mint(kind: str, thread: ThreadMetadata, context: RequestContext) -> str:
        assert context is alice
        asked.append((kind, thread.id))
        return f"minted_{len(asked)}"

    await store.save_thread(a_thread(), alice)
    monkeypatch.setattr(store, "generate_item_id", mint)
    for item in (a_message(keys.PLACEHOLDER_ID), a_tool_call(keys.PLACEHOLDER_ID)):
        probe.break_connections(store)
        await store.add_thread_item("thr_1", item, alice)
    assert asked == [("message", "thr_1"), ("tool_call", "thr_1")]
    ids = probe.query("SELECT id FROM chatkit_items ORDER BY id")
    assert ids == [("minted_1",), ("minted_2",)]


async def assert_is_refused(
    store: ChatStore, probe: Probe, context: RequestContext
) -> None:
    """Check that nothing can be done with a context whose owner cannot be a key."""
    for call in CALLS.values():
        with pytest.raises(OwnerError):
            await call(store, context)
    for table in TABLES:
        assert count_rows(probe, table) == 0


@pytest.mark.parametrize("saved", [[0], [10, 0]])
@async_test
async def test_R10_a_save_later_than_all_of_the_deleted_thread_is_a_new_thread(
    store: ChatStore, probe: Probe, alice: RequestContext, saved: list[int]
) -> None:
    for seconds in saved:
        await store.save_thread(a_thread(created_at=later(seconds)), alice)
    await store.add_thread_item("thr_1", a_message("msg_old"), alice)
    await store.delete_thread("thr_1", alice)

    fresh = later(max(saved)) + timedelta(microseconds=1)
    other = a_thread("thr_2", created_at=fresh)
    new = a_thread("thr_1", title="new", created_at=fresh)
    for thread in (other, new):
        await store.save_thread(thread, alice)
    # Of the two, tied in time, the new thread is the younger one.
    assert await load_threads(store, alice) == [other, new]
    assert await load_items(store, alice) == []
    with pytest.raises(NotFoundError):
        await store.load_item("thr_1", "msg_old", alice)
    await store.add_thread_item("thr_1", a_message("msg_new"), alice)
    assert await load_items(store, alice) == [a_message("msg_new")]

    await store.delete_thread("thr_1", alice)
    with pytest.raises(NotFoundError):
        await store.save_thread(new, alice)
    await assert_is_gone(store, probe, alice)


@async_test
async def test_R10_attachments_stay_when_their_thread_is_deleted(
    store: ChatStore, alice: RequestContext
) -> None:
    attachment = an_attachment(thread_id="thr_1")
    await store.save_thread(a_thread(), alice)
    await store.save_attachment(attachment, alice)
    await store.delete_thread("thr_1", alice)
    assert await store.load_attachment("atc_1", alice) == attachment


@only_own
@pytest.mark.parametrize("owner", GOOD_IDS, ids=ascii)
@async_test
async def test_R11_any_text_of_1_to_255_characters_is_an_owner(
    store: ChatStore, probe: Probe, owner: str
) -> None:
    # The context may join the owner with something else, which counts.
    rest = 256 - len(owner_id(make_context("x")))
    context = make_context(owner[:rest])
    await save_one_of_each(store, context)
    assert await load_threads(store, context) == [a_thread(title="hello")]
    assert await load_items(store, context) == [a_message()]
    rows = probe.query("SELECT owner_id FROM chatkit_threads")
    assert rows == [(owner_id(context),)]


@only_own
@pytest.mark.parametrize("owner", BAD_IDS.values(), ids=BAD_IDS)
@async_test
async def test_R11_any_other_owner_is_refused(
    store: ChatStore, probe: Probe, owner: str
) -> None:
    await assert_is_refused(store, probe, make_context(owner))
    assert issubclass(OwnerError, ValueError)


@only_own
@pytest.mark.parametrize("character", ["x", "\U0001f600"])
@async_test
async def test_R11_an_owner_of_one_character_more_is_refused(
    store: ChatStore, probe: Probe, character: str
) -> None:
    rest = 256 - len(owner_id(make_context("x")))
    assert len(owner_id(make_context(character * rest))) == 255
    await assert_is_refused(store, probe, make_context(character * (rest + 1)))


@async_test
async def test_R10_a_deletion_wins_against_writes_at_the_same_instant(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    async with ChatStore(probe.url) as other:  # on connections of its own
        for number in range(10):
            thread = a_thread(f"thr_{number}")
            await store.save_thread(thread, alice)
            item = a_message("msg_1", thread.id)
            calls = [
                store.save_thread(thread, alice),
                other.save_thread(thread, alice),
                store.add_thread_item(thread.id, item, alice),
                other.save_item(thread.id, item, alice),
            ]
            calls.insert(number % 5, store.delete_thread(thread.id, alice))
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert outcome is None or isinstance(outcome, NotFoundError)
    assert await load_threads(store, alice) == []
    assert count_rows(probe, "chatkit_items") == 0
    payloads = probe.query("SELECT data FROM chatkit_threads WHERE data IS NOT NULL")
    assert payloads == []
