"""Threads that several callers change at the same time: R41 of the Store's contract."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from chat_store_adapter import only_own, open_store
from chat_store_database import Probe
from chat_store_tools import NOON, a_thread, async_test, count_rows
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import NotFoundError
from chatkit.types import LockedStatus, Page, Thread, ThreadMetadata

Change: TypeAlias = Callable[[ThreadMetadata], object]

OLD = {"old": True, "tree": [1]}

LOCKED = LockedStatus(reason="being reviewed")


def set_title(thread: ThreadMetadata) -> None:
    thread.title = "Lunch"


def lock(thread: ThreadMetadata) -> None:
    thread.status = LOCKED


def set_key(key: str, value: Any = "new") -> Change:
    return lambda thread: thread.metadata.update({key: value})


def remove_key(key: str) -> Change:
    return lambda thread: thread.metadata.pop(key)


async def save_changed(
    store: ChatStore, thread: ThreadMetadata, change: Change, context: RequestContext
) -> None:
    """Change a thread and save it."""
    change(thread)
    await store.save_thread(thread, context)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (set_title, lock, {"title": "Lunch", "status": LOCKED}),
        (set_title, set_key("a"), {"title": "Lunch", "metadata": {**OLD, "a": "new"}}),
        (set_key("a"), set_key("b"), {"metadata": {**OLD, "a": "new", "b": "new"}}),
        (set_key("a"), remove_key("old"), {"metadata": {"tree": [1], "a": "new"}}),
        (remove_key("old"), set_title, {"title": "Lunch", "metadata": {"tree": [1]}}),
        (set_key("old"), set_key("old", 2), {"metadata": {**OLD, "old": 2}}),
        (set_key("old"), remove_key("old"), {"metadata": {"tree": [1]}}),
        (remove_key("old"), set_key("old"), {"metadata": {**OLD, "old": "new"}}),
        (
            set_key("tree", [2]),
            set_key("tree", [3]),
            {"metadata": {**OLD, "tree": [3]}},
        ),
    ],
    ids=[
        *("two fields", "a field and a key", "two keys", "a new and a removed key"),
        *("a removed key and a field", "a key twice", "a key that is then removed"),
        *("a key that was removed", "a nested value"),
    ],
)
@async_test
async def test_R41_changes_of_two_callers_to_a_thread_are_merged(
    store: ChatStore,
    alice: RequestContext,
    first: Change,
    second: Change,
    expected: dict[str, Any],
) -> None:
    await store.save_thread(a_thread(metadata=OLD), alice)
    [one, another] = [await store.load_thread("thr_1", alice) for _ in range(2)]
    await save_changed(store, one, first, alice)
    await save_changed(store, another, second, alice)
    found = await store.load_thread("thr_1", alice)
    fields: dict[str, Any] = {"metadata": OLD, **expected}
    assert found == a_thread("thr_1", **fields)


@async_test
async def test_R41_fifty_concurrent_callers_lose_no_change(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)

    async def mark(number: int) -> None:
        thread = await store.load_thread("thr_1", alice)
        await save_changed(store, thread, set_key(f"key {number}", number), alice)

    await asyncio.gather(*map(mark, range(50)))
    found = await store.load_thread("thr_1", alice)
    assert found.metadata == {f"key {number}": number for number in range(50)}


@async_test
async def test_R41_the_sdks_object_for_a_new_thread_is_merged_too(
    store: ChatStore, alice: RequestContext
) -> None:
    turn = Thread(id="thr_1", created_at=NOON, items=Page())
    await store.save_thread(ThreadMetadata(**turn.model_dump()), alice)
    await save_changed(store, await store.load_thread("thr_1", alice), set_title, alice)
    await save_changed(store, turn, set_key("response"), alice)
    expected = a_thread(title="Lunch", metadata={"response": "new"})
    assert await store.load_thread("thr_1", alice) == expected


@pytest.mark.parametrize("is_purged", [False, True])
@async_test
async def test_R41_saving_a_loaded_thread_that_was_deleted_raises_not_found(
    store: ChatStore, alice: RequestContext, probe: Probe, is_purged: bool
) -> None:
    await store.save_thread(a_thread(), alice)
    thread = await store.load_thread("thr_1", alice)
    await store.delete_thread("thr_1", alice)
    if is_purged:
        probe.execute("DELETE FROM chatkit_threads")
    thread.created_at += timedelta(days=1)
    with pytest.raises(NotFoundError):
        await save_changed(store, thread, set_title, alice)
    with pytest.raises(NotFoundError):
        await store.load_thread("thr_1", alice)
    assert count_rows(probe, "chatkit_threads") == (0 if is_purged else 1)


@only_own
@async_test
async def test_R41_a_save_costs_one_round_trip_where_nobody_was_faster(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(title="Dinner"), alice)
    turn = Thread(id="thr_2", created_at=NOON, items=Page())
    await store.save_thread(ThreadMetadata(**turn.model_dump()), alice)
    for thread in (await store.load_thread("thr_1", alice), turn):
        for change in (set_title, set_key("response")):
            change(thread)
            with probe.recorded(store) as sent:
                await store.save_thread(thread, alice)
            assert len(sent) == 1


@async_test
async def test_R41_a_value_of_another_type_is_a_change(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(metadata={"key": 1}), alice)
    [one, another] = [await store.load_thread("thr_1", alice) for _ in range(2)]
    await save_changed(store, one, set_title, alice)
    await save_changed(store, another, set_key("key", value=True), alice)
    found = await store.load_thread("thr_1", alice)
    assert found.title == "Lunch"
    assert found.metadata["key"] is True


@async_test
async def test_R41_a_second_save_does_not_repeat_what_the_first_has_written(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    turn = await store.load_thread("thr_1", alice)
    other = await store.load_thread("thr_1", alice)
    await save_changed(store, turn, set_title, alice)
    other.title = "Dinner"
    await store.save_thread(other, alice)
    await save_changed(store, turn, set_key("response"), alice)
    await save_changed(store, other, set_key("seen"), alice)
    found = await store.load_thread("thr_1", alice)
    assert found.title == "Dinner"
    assert found.metadata == {"response": "new", "seen": "new"}


@async_test
async def test_R41_for_another_owner_or_store_or_id_a_loaded_thread_is_a_new_one(
    store: ChatStore, alice: RequestContext, bob: RequestContext, probe: Probe
) -> None:
    thread = a_thread(title="Lunch")
    await store.save_thread(thread, alice)
    await store.save_thread(thread, bob)
    assert await store.load_thread("thr_1", bob) == thread
    moved = (await store.load_thread("thr_1", alice)).model_copy(update={"id": "thr_2"})
    await store.save_thread(moved, alice)
    assert await store.load_thread("thr_2", alice) == moved
    async with open_store(probe) as other:
        await save_changed(other, await other.load_thread("thr_1", alice), lock, alice)
        thread.title = "Dinner"
        await other.save_thread(thread, alice)
        assert await other.load_thread("thr_1", alice) == a_thread(title="Dinner")
