"""Paging: R17 to R23 of the Store's contract, for items and for threads, in depth.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
from typing import Any

import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_tools import (
    a_message,
    a_thread,
    async_test,
    save_one_of_each,
    start_python,
)
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import NotFoundError
from test_chat_store_paging import (
    Items,
    Threads,
    assert_sees,
    each_order,
    ids_of,
    in_order,
    logged_cuts,
    rows,
)

__all__ = ["rows"]  # a fixture


@pytest.mark.parametrize("kind", [Items, Threads])
@async_test
async def test_R18_rows_that_were_saved_at_once_are_returned_exactly_once(
    store: ChatStore, alice: RequestContext, kind: type[Items]
) -> None:
    await store.save_thread(a_thread(), alice)
    rows = kind(store, alice)
    ids = [f"row_{number:02}" for number in range(40)]
    await asyncio.gather(*(rows.save(row_id) for row_id in ids))
    for order in ("asc", "desc"):
        found = await rows.walk(1, order)
        assert sorted(set(found) - {"thr_1"}) == ids


@each_order
@async_test
async def test_R19_after_is_the_last_row_of_the_page_although_it_cannot_be_read(
    rows: Items, probe: Probe, order: str
) -> None:
    ids = in_order(await rows.fill(5), order)
    for row_id in ids[1:4]:
        probe.execute(f"UPDATE {rows.table} SET data = '{{}}' WHERE id = '{row_id}'")
    for after, readable, last in (
        (None, ids[:1], ids[1]),
        (ids[1], ids[:0], ids[3]),
        (ids[3], ids[4:], None),
    ):
        page = await rows.page(after, 2, order)
        assert ids_of(page) == readable
        assert (page.has_more, page.after) == (last is not None, last)


@each_order
@async_test
async def test_R20_an_after_of_another_thread_or_another_kind_raises_not_found(
    store: ChatStore, alice: RequestContext, order: str
) -> None:
    for thread_id in ("thr_1", "thr_2"):
        await store.save_thread(a_thread(thread_id), alice)
        item = a_message(f"msg_in_{thread_id}", thread_id)
        await store.add_thread_item(thread_id, item, alice)
    for after in ("msg_in_thr_2", "thr_1"):
        with pytest.raises(NotFoundError, match=f"^Item {after} not found$"):
            await store.load_thread_items("thr_1", after, 20, order, alice)
    with pytest.raises(NotFoundError, match="^Thread msg_in_thr_1 not found$"):
        await store.load_threads(20, "msg_in_thr_1", order, alice)


@async_test
async def test_R21_a_page_has_up_to_a_thousand_rows_unless_configured_otherwise(
    store: ChatStore, alice: RequestContext, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save_thread(a_thread(), alice)
    items = [a_message(f"msg_{number:04}") for number in range(1001)]
    await asyncio.gather(
        *(store.add_thread_item("thr_1", item, alice) for item in items)
    )
    page = await store.load_thread_items("thr_1", None, 1000, "asc", alice)
    assert len(page.data) == 1000
    assert logged_cuts(caplog) == []
    rest = await store.load_thread_items("thr_1", page.after, 1000, "asc", alice)
    assert len({*ids_of(page), *ids_of(rest)}) == 1001
    page = await store.load_thread_items("thr_1", None, 1001, "asc", alice)
    assert len(page.data) == 1000
    assert page.has_more is True
    assert len(logged_cuts(caplog)) == 1


ANSWERING_PROCESS = """
import asyncio
import sys

from chat_store_contexts import make_context
from chat_store_tools import save_one_of_each
from chat_store_under_test import ChatStore

async def main():
    alice = make_context("alice", "another request")
    async with ChatStore(sys.argv[1]) as store:
        for _ in sys.stdin:
            thread = await store.load_thread("thr_1", alice)
            await save_one_of_each(store, alice, thread.title + "!")
            print("saved", flush=True)

asyncio.run(main())
"""


@only_own
@async_test
async def test_R22_a_page_reads_at_most_two_extra_rows(
    rows: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await rows.fill(9)
    database = rows.store._database  # pyright: ignore[reportPrivateUsage]
    read = database.read
    counts: list[int] = []

    async def read_and_count(*arguments: Any, **options: Any) -> list[Any]:
        found = await read(*arguments, **options)
        counts.append(len(found))
        return found

    monkeypatch.setattr(database, "read", read_and_count)
    for after in (None, ids[1]):
        await rows.page(after, 2)
    # One more tells whether there is more, and one is the cursor's own.
    assert max(counts) <= 4


@async_test
async def test_R23_a_read_in_another_process_sees_every_write_before_it(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    with start_python(ANSWERING_PROCESS, probe.url) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(5):
            await save_one_of_each(store, alice, str(number))
            print("your turn", file=process.stdin, flush=True)
            answer = asyncio.to_thread(process.stdout.readline)
            assert await asyncio.wait_for(answer, 60) == "saved\n"
            await assert_sees(store, alice, f"{number}!")
