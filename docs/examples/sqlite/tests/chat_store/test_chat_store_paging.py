"""Paging: R17 to R23 of the Store's contract, for items and for threads."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import product
from typing import Any, TypeAlias

import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_tools import (
    NOON,
    a_message,
    a_thread,
    an_attachment,
    async_test,
    later,
    run_async,
    save_one_of_each,
)
from chat_store_under_test import ChatStore, RequestContext, statements
from chatkit.store import NotFoundError
from chatkit.types import Page, ThreadItem, ThreadMetadata

AnyPage: TypeAlias = Page[ThreadItem] | Page[ThreadMetadata]


class Items:
    """The items of an owner's thread thr_1, to be paged through."""

    table = "chatkit_items"

    def __init__(self, store: ChatStore, context: RequestContext) -> None:
        self.store = store
        self.context = context

    async def save(
        self, row_id: str, created_at: datetime = NOON, text: str = ""
    ) -> None:
        """Save an item."""
        item = a_message(row_id, text=text, created_at=created_at)
        await self.store.add_thread_item("thr_1", item, self.context)

    async def delete(self, row_id: str) -> None:
        """Delete an item."""
        await self.store.delete_thread_item("thr_1", row_id, self.context)

    async def page(
        self, after: str | None = None, limit: int = 20, order: str = "asc"
    ) -> AnyPage:
        """Load a page of items."""
        return await self.store.load_thread_items(
            "thr_1", after, limit, order, self.context
        )

    async def fill(
        self, count: int, created_at: Callable[[int], datetime] = later
    ) -> list[str]:
        """Save `count` rows; return their ids in the order of insertion."""
        # The order of insertion is not that of the alphabet.
        ids = [f"row_{(number * 7) % 10}_{number}" for number in range(count)]
        for number, row_id in enumerate(ids):
            await self.save(row_id, created_at(number))
        return ids

    async def walk(self, limit: int, order: str) -> list[str]:
        """Follow `after` through all pages; return the ids."""
        page = await self.page(None, limit, order)
        ids = ids_of(page)
        while page.has_more:
            assert len(page.data) == limit
            page = await self.page(page.after, limit, order)
            assert not set(ids) & set(ids_of(page))  # or the walk might never end
            ids += ids_of(page)
        return ids


class Threads(Items):
    """The threads of an owner, to be paged through."""

    table = "chatkit_threads"

    async def save(
        self, row_id: str, created_at: datetime = NOON, text: str = ""
    ) -> None:
        """Save a thread."""
        thread = a_thread(row_id, title=text, created_at=created_at)
        await self.store.save_thread(thread, self.context)

    async def delete(self, row_id: str) -> None:
        """Delete a thread."""
        await self.store.delete_thread(row_id, self.context)

    async def page(
        self, after: str | None = None, limit: int = 20, order: str = "asc"
    ) -> AnyPage:
        """Load a page of threads."""
        return await self.store.load_threads(limit, after, order, self.context)


@pytest.fixture(params=[Items, Threads])
def rows(
    request: pytest.FixtureRequest, store: ChatStore, alice: RequestContext
) -> Iterator[Items]:
    """What is paged through: a thread's items, and an owner's threads."""
    if request.param is Items:
        run_async(store.save_thread(a_thread(), alice))
    yield request.param(store, alice)


each_order = pytest.mark.parametrize("order", ["asc", "desc"])


def ids_of(page: AnyPage) -> list[str]:
    """Return the ids of a page's rows."""
    return [row.id for row in page.data]


def in_order(ids: list[str], order: str) -> list[str]:
    """Return ids, which are in ascending order, in this order."""
    return ids if order == "asc" else ids[::-1]


# --- R17: a total order, fixed at the first insert


@async_test
async def test_R17_rows_are_ordered_by_created_at_and_then_by_insertion(
    rows: Items, probe: Probe
) -> None:
    seconds = [3, 1, 2, 1, 3, 1, 0.000001, 0, 2]
    ids = await rows.fill(9, lambda number: later(seconds[number]))
    expected = [ids[number] for number in (7, 6, 1, 3, 5, 2, 8, 0, 4)]
    async with ChatStore(probe.url) as other:
        for reader in (rows, rows, type(rows)(other, rows.context)):
            assert ids_of(await reader.page()) == expected
            assert ids_of(await reader.page(order="desc")) == expected[::-1]


@pytest.mark.parametrize("created_at", [later(-100), NOON, later(100)])
@async_test
async def test_R17_an_updated_row_keeps_its_place_and_has_its_new_content(
    rows: Items, created_at: datetime
) -> None:
    ids = await rows.fill(4)
    await rows.save(ids[1], created_at, "changed")
    for order in ("asc", "desc"):
        expected = in_order(ids, order)
        page = await rows.page(order=order)
        assert ids_of(page) == expected
        place = expected.index(ids[1])
        assert page.data[place].created_at == created_at
        assert "changed" in page.data[place].model_dump_json()
        # The cursor is the fixed place, too.
        rest = await rows.page(ids[1], order=order)
        assert ids_of(rest) == expected[place + 1 :]


@async_test
async def test_R17_ties_stay_in_order_when_some_are_deleted(rows: Items) -> None:
    ids = await rows.fill(6, lambda number: NOON)
    for row_id in (ids[5], ids[2], ids[0]):
        await rows.delete(row_id)
    await rows.save("late_1")
    await rows.save("late_2")
    expected = [ids[1], ids[3], ids[4], "late_1", "late_2"]
    for order in ("asc", "desc"):
        assert ids_of(await rows.page(order=order)) == in_order(expected, order)


# --- R18: following `after` returns every row exactly once


@pytest.mark.parametrize("limit", [1, 3, 7])
@pytest.mark.parametrize("tied", [3, 7])
@async_test
async def test_R18_following_after_returns_every_row_exactly_once(
    rows: Items, limit: int, tied: int
) -> None:
    ids = await rows.fill(7, lambda number: later(number // tied))
    for order in ("asc", "desc"):
        assert await rows.walk(limit, order) == in_order(ids, order)


@each_order
@pytest.mark.parametrize("limit", [1, 3])
@async_test
async def test_R18_rows_saved_while_paging_do_not_repeat_or_hide_others(
    rows: Items, bob: RequestContext, order: str, limit: int
) -> None:
    ids = await rows.fill(7, lambda number: NOON)
    await rows.store.save_thread(a_thread(), bob)
    page = await rows.page(None, limit, order)
    seen = ids_of(page)
    turn = 0
    while page.has_more:
        if turn < 7:  # or the walk would never arrive at the end
            for seconds in (-1, 0, 1):
                await rows.save(f"new_{turn}_{seconds}", later(seconds))
            await rows.save(ids[turn], later(turn), "again")
            await type(rows)(rows.store, bob).save(ids[turn], later(turn))
        turn += 1
        assert turn < 100
        page = await rows.page(page.after, limit, order)
        seen += ids_of(page)
    assert turn > 1
    assert [row_id for row_id in seen if row_id in ids] == in_order(ids, order)
    assert len(set(seen)) == len(seen)


@only_own
@async_test
async def test_R18_rows_that_are_deleted_while_they_are_read_do_not_end_the_list(
    rows: Items, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await rows.fill(4)
    async with (
        ChatStore(probe.url, max_page_bytes=1) as small,
        small.connected() as database,
    ):
        read = database.read

        async def read_and_delete(*params: Any, **options: Any) -> Any:
            found = await read(*params, **options)
            monkeypatch.undo()
            for row_id in ids[:2]:
                await rows.delete(row_id)
            return found

        rows.store = small
        monkeypatch.setattr(database, "read", read_and_delete)
        page = await rows.page(limit=2)
        assert ids_of(page) == ids[2:3]
        assert page.has_more


# --- R19: has_more and after are exact


@pytest.mark.parametrize(
    ("count", "limit"), [(0, 1), (1, 1), (2, 1), (3, 3), (4, 3), (6, 3), (3, 1000)]
)
@async_test
async def test_R19_has_more_is_exact_and_after_is_the_last_row_of_the_page(
    rows: Items, count: int, limit: int
) -> None:
    saved = await rows.fill(count)
    for order in ("asc", "desc"):
        ids = in_order(saved, order)
        after: str | None = None
        for start in range(0, max(count, 1), limit):
            page = await rows.page(after, limit, order)
            assert ids_of(page) == ids[start : start + limit]
            assert page.has_more is (start + limit < count)
            after = page.data[-1].id if page.has_more else None
            assert page.after == after
        if ids:
            assert await rows.page(ids[-1], limit, order) == Page()


# --- R20: an `after` that is not there


@each_order
@async_test
async def test_R20_an_unknown_cursor_raises_not_found(
    rows: Items, bob: RequestContext, order: str
) -> None:
    await rows.fill(3)
    await rows.store.save_thread(a_thread(), bob)
    await type(rows)(rows.store, bob).save("of bob")
    for after in ("absent", "of bob", "", "%"):
        with pytest.raises(NotFoundError, match=f" {after} not found$"):
            await rows.page(after, 20, order)


@each_order
@async_test
async def test_R20_a_deleted_thread_is_a_valid_cursor_and_a_deleted_item_is_not(
    rows: Items, order: str
) -> None:
    ids = in_order(await rows.fill(5), order)
    page = await rows.page(None, 2, order)
    assert page.after == ids[1]
    await rows.delete(ids[1])
    if isinstance(rows, Threads):
        rest = await rows.page(ids[1], 20, order)
        assert [row.id for row in rest.data] == ids[2:]
        await rows.delete(ids[4])
        assert (await rows.page(ids[4], 20, order)).data == []
    else:
        with pytest.raises(NotFoundError, match=f" {ids[1]} not found$"):
            await rows.page(ids[1], 20, order)


# --- R21: bad orders and limits

BAD_ORDERS = ["", "ASC", "asc ", "descending", "asc; DROP TABLE chatkit_items"]
BAD_LIMITS = [0, -5, -(10**30)]


@async_test
async def test_R21_bad_orders_and_limits_are_refused_before_the_database_is_asked(
    rows: Items, probe: Probe
) -> None:
    [row_id] = await rows.fill(1)
    bad = [*product([20], BAD_ORDERS), *product(BAD_LIMITS, ["asc"])]
    with probe.recorded(rows.store) as sent:
        for limit, order in bad:
            for after in (None, row_id, "absent"):
                with pytest.raises(ValueError, match="^(order|limit) must be"):
                    await rows.page(after, limit, order)
    assert sent == []


def logged_cuts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of pages that were cut."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "cut to" in record.getMessage()
    ]


@async_test
async def test_R21_a_page_is_cut_to_max_page_size_with_a_warning(
    rows: Items, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    ids = await rows.fill(12)
    async with ChatStore(probe.url, max_page_size=5) as store:
        small = type(rows)(store, rows.context)
        assert ids_of(await small.page(limit=5)) == ids[:5]
        assert logged_cuts(caplog) == []
        for limit in (6, 1000, 10**30):
            caplog.clear()
            page = await small.page(limit=limit)
            assert (ids_of(page), page.has_more, page.after) == (ids[:5], True, ids[4])
            assert logged_cuts(caplog) == ["A page was cut to max_page_size=5"]


# --- R22: one round trip and an index range


@each_order
@async_test
async def test_R22_a_page_costs_one_round_trip(
    rows: Items, probe: Probe, order: str
) -> None:
    ids = in_order(await rows.fill(9), order)
    for after in (None, ids[1], ids[5]):
        with probe.recorded(rows.store) as sent:
            await rows.page(after, 2, order)
        assert len(sent) == 1
        assert "OFFSET" not in sent[0]


@only_own
def test_R22_a_page_is_one_index_range_scan(store: ChatStore, probe: Probe) -> None:
    probe.fill(3_000)
    for by_order in (
        statements.FIRST_ITEMS,
        statements.NEXT_ITEMS,
        statements.FIRST_THREADS,
        statements.NEXT_THREADS,
    ):
        for statement in by_order.values():
            assert probe.flaws_in_plan(statement) == [], statement


# --- R23: a read after a write sees it


async def assert_sees(reader: ChatStore, context: RequestContext, text: str) -> None:
    """Check that every method that reads sees what was saved last."""
    thread, item = a_thread(title=text), a_message(text=text)
    # Several at once, so that they use several connections.
    loads = (reader.load_item("thr_1", "msg_1", context) for _ in range(4))
    assert await asyncio.gather(*loads) == [item] * 4
    assert await reader.load_thread("thr_1", context) == thread
    items = await reader.load_thread_items("thr_1", None, 20, "asc", context)
    assert items.data == [item]
    threads = await reader.load_threads(20, None, "asc", context)
    assert threads.data == [thread]
    attachment = await reader.load_attachment("atc_1", context)
    assert attachment == an_attachment(name=text)


@async_test
async def test_R23_a_read_sees_all_earlier_writes_of_any_store(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    async with ChatStore(probe.url) as other:
        for number in range(10):
            await save_one_of_each((store, other)[number % 2], alice, str(number))
            await assert_sees(store, alice, str(number))
            await assert_sees(other, alice, str(number))
        await store.delete_thread("thr_1", alice)
        for reader in (store, other):
            assert await reader.load_threads(20, None, "asc", alice) == Page()
            with pytest.raises(NotFoundError):
                await reader.load_item("thr_1", "msg_1", alice)
