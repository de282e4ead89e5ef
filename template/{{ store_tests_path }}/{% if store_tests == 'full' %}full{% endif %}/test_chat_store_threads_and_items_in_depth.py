"""Threads and items: R01 to R11 of the Store's contract, in depth.

This directory comes with the answer store_tests=full, and is deleted with it.
"""

import asyncio

import pytest
from chat_store_adapter import make_context, only_own
from chat_store_database import Probe
from chat_store_tools import (
    READS,
    WRITES,
    a_message,
    a_thread,
    async_test,
    count_rows,
    save_one_of_each,
)
from chat_store_under_test import (
    ChatStore,
    OwnerError,
    RequestContext,
    owner_id,
)
from chatkit.store import NotFoundError
from test_chat_store_threads_and_items import (
    BAD_IDS,
    GOOD_IDS,
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
async def test_R04_saving_what_another_owner_has_leaves_it_with_its_owner(
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
async def test_R09_deleting_twice_is_the_same_as_deleting_once(
    store: ChatStore, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    for method in ("delete_thread_item", "delete_thread", "delete_attachment"):
        for _ in range(2):
            await WRITES[method](store, alice)


async def assert_is_refused(
    store: ChatStore, probe: Probe, context: RequestContext
) -> None:
    """Check that nothing can be done with a context whose owner cannot be a key."""
    for call in (*WRITES.values(), *READS.values()):
        with pytest.raises(OwnerError):
            await call(store, context)
    for table in ("chatkit_threads", "chatkit_items", "chatkit_attachments"):
        assert count_rows(probe, table) == 0


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
