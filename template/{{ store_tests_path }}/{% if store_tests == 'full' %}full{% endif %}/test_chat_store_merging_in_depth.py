"""Threads that several callers change at the same time, in depth: R41."""

import asyncio
import copy
import gc
import json
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from chat_store_adapter import only_own
from chat_store_contexts import make_context
from chat_store_database import Probe
from chat_store_processes import processes, wait_for_the_word
from chat_store_tools import a_thread, async_test, run_async
from chat_store_under_test import ChatStore, RequestContext
from chatkit.types import ThreadMetadata
from test_chat_store_merging import (
    LOCKED,
    lock,
    remove_key,
    save_changed,
    set_key,
    set_title,
)

MARKER = "import test_chat_store_merging_in_depth as it; it.mark_in_process()"


@async_test
async def test_R41_any_text_survives_a_merge(
    store: ChatStore, alice: RequestContext
) -> None:
    texts = {"\0": "\0\ufffd", "\ufffd": "\\u0000", "\\": "ü\u2028😀", "": '"'}
    await store.save_thread(a_thread(metadata=texts), alice)
    [one, another] = [await store.load_thread("thr_1", alice) for _ in range(2)]
    await save_changed(store, one, set_title, alice)
    await save_changed(store, another, set_key("key", texts), alice)
    expected = a_thread(title="Lunch", metadata={**texts, "key": texts})
    assert await store.load_thread("thr_1", alice) == expected


@async_test
async def test_R41_the_changes_of_a_failed_save_are_written_by_the_next(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    thread = await store.load_thread("thr_1", alice)
    with pytest.raises(ValueError, match="cannot be stored"):
        await save_changed(store, thread, set_key("bad", float("nan")), alice)
    set_title(thread)
    await save_changed(store, thread, remove_key("bad"), alice)
    assert await store.load_thread("thr_1", alice) == a_thread(title="Lunch")


@async_test
async def test_R41_the_change_is_taken_when_the_method_is_called(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    thread = await store.load_thread("thr_1", alice)
    set_title(thread)
    saving = asyncio.ensure_future(store.save_thread(thread, alice))
    await asyncio.sleep(0)
    thread.title = "Dinner"
    await saving
    assert (await store.load_thread("thr_1", alice)).title == "Lunch"
    await save_changed(store, thread, set_key("key"), alice)
    assert (await store.load_thread("thr_1", alice)).title == "Dinner"


def shallow_copy(thread: ThreadMetadata) -> ThreadMetadata:
    return thread.model_copy()


def deep_copy(thread: ThreadMetadata) -> ThreadMetadata:
    return thread.model_copy(deep=True)


@pytest.mark.parametrize("copied", [shallow_copy, deep_copy, copy.deepcopy])
@async_test
async def test_R41_a_copy_of_a_loaded_thread_is_merged_like_the_original(
    store: ChatStore, alice: RequestContext, copied: Callable[[Any], ThreadMetadata]
) -> None:
    await store.save_thread(a_thread(), alice)
    [loaded] = (await store.load_threads(20, None, "asc", alice)).data
    copy_of_it = copied(loaded)
    assert copy_of_it == loaded == a_thread()
    assert copy_of_it.model_dump() == a_thread().model_dump()
    await save_changed(store, loaded, set_title, alice)
    await save_changed(store, copy_of_it, lock, alice)
    expected = a_thread(title="Lunch", status=LOCKED)
    assert await store.load_thread("thr_1", alice) == expected


@async_test
async def test_R41_no_reference_to_a_thread_object_is_kept(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    thread = await store.load_thread("thr_1", alice)
    await save_changed(store, thread, set_title, alice)
    reference = weakref.ref(thread)
    del thread
    gc.collect()
    assert reference() is None


@only_own
def test_R41_two_processes_lose_none(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    run_async(store.save_thread(a_thread(), alice))
    with processes(MARKER, (probe.url, "a"), (probe.url, "b")) as started:
        for process in started:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
    found = run_async(store.load_thread("thr_1", alice))
    names = [f"{name}{number}" for name in "ab" for number in range(50)]
    assert found.metadata == dict.fromkeys(names, 1)


def mark_in_process() -> None:
    """Set keys of one's own. The arguments are the database's URL and the keys' name."""
    asyncio.run(_mark(*sys.argv[1:]))


async def _mark(url: str, name: str) -> None:
    context = make_context("alice", "request-of-alice")
    async with ChatStore(url) as store:
        wait_for_the_word("ready")
        for number in range(50):
            thread = await store.load_thread("thr_1", context)
            await save_changed(store, thread, set_key(f"{name}{number}", 1), context)


@async_test
async def test_R41_fields_that_this_sdk_does_not_know_stay(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    newer = json.dumps({**a_thread().model_dump(mode="json"), "new": [1]})
    probe.execute(f"UPDATE chatkit_threads SET data = '{newer}'")
    thread = await store.load_thread("thr_1", alice)
    for change in (set_title, set_key("key")):
        await save_changed(store, thread, change, alice)
        [(data,)] = probe.query("SELECT data FROM chatkit_threads")
        assert (json.loads(data) if isinstance(data, str) else data)["new"] == [1]
    expected = a_thread(title="Lunch", metadata={"key": "new"})
    assert await store.load_thread("thr_1", alice) == expected
