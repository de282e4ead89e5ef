"""Paging: R17 to R23 of the Store's contract, for items and for threads."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

import pytest
from chat_store_database import Probe
from chat_store_tools import (
    NOON,
    a_message,
    a_thread,
    an_attachment,
    async_test,
    later,
    save_one_of_each,
)
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import NotFoundError
from chatkit.types import Page, ThreadItem, ThreadMetadata

AnyPage: TypeAlias = Page[ThreadItem] | Page[ThreadMetadata]


class Items:
    """The items of the thread thr_1, to be paged through."""

    table = "chatkit_items"

    async def save(
        self,
        store: ChatStore,
        context: RequestContext,
        row_id: str,
        created_at: datetime = NOON,
        text: str = "",
    ) -> None:
        """Save an item, and its thread unless it is there."""
        try:
            await store.load_thread("thr_1", context)
        except NotFoundError:
            await store.save_thread(a_thread(), context)
        item = a_message(row_id, text=text, created_at=created_at)
        await store.add_thread_item("thr_1", item, context)

    async def delete(
        self, store: ChatStore, context: RequestContext, row_id: str
    ) -> None:
        """Delete an item."""
        await store.delete_thread_item("thr_1", row_id, context)

    async def page(
        self,
        store: ChatStore,
        context: RequestContext,
        after: str | None = None,
        limit: int = 20,
        order: str = "asc",
    ) -> AnyPage:
        """Load a page of items."""
        return await store.load_thread_items("thr_1", after, limit, order, context)


class Threads:
    """The threads of an owner, to be paged through."""

    table = "chatkit_threads"

    async def save(
        self,
        store: ChatStore,
        context: RequestContext,
        row_id: str,
        created_at: datetime = NOON,
        text: str = "",
    ) -> None:
        """Save a thread."""
        thread = a_thread(row_id, title=text, created_at=created_at)
        await store.save_thread(thread, context)

    async def delete(
        self, store: ChatStore, context: RequestContext, row_id: str
    ) -> None:
        """Delete a thread."""
        await store.delete_thread(row_id, context)

    async def page(
        self,
        store: ChatStore,
        context: RequestContext,
        after: str | None = None,
        limit: int = 20,
        order: str = "asc",
    ) -> AnyPage:
        """Load a page of threads."""
        return await store.load_threads(limit, after, order, context)


Listing: TypeAlias = Items | Threads

each_listing = pytest.mark.parametrize(
    "listing", [Items(), Threads()], ids=["items", "threads"]
)

each_order = pytest.mark.parametrize("order", ["asc", "desc"])


def ids_of(page: AnyPage) -> list[str]:
    """Give the ids of a page's rows."""
    return [row.id for row in page.data]


async def fill(
    listing: Listing,
    store: ChatStore,
    context: RequestContext,
    count: int,
    created_at: Callable[[int], datetime] = later,
) -> list[str]:
    """Save `count` rows; give their ids in the order of insertion."""
    # The order of insertion is not that of the alphabet.
    ids = [f"row_{(number * 7) % 10}_{number}" for number in range(count)]
    for number, row_id in enumerate(ids):
        await listing.save(store, context, row_id, created_at(number))
    return ids


async def walk(
    listing: Listing,
    store: ChatStore,
    context: RequestContext,
    limit: int,
    order: str,
) -> list[str]:
    """Follow `after` through all pages; give the ids."""
    page = await listing.page(store, context, None, limit, order)
    ids = ids_of(page)
    while page.has_more:
        assert len(page.data) == limit
        page = await listing.page(store, context, page.after, limit, order)
        assert not set(ids) & set(ids_of(page))  # or the walk might never end
        ids += ids_of(page)
    return ids


def in_order(ids: list[str], order: str) -> list[str]:
    """Give ids, which are in ascending order, in this order."""
    return ids if order == "asc" else ids[::-1]


@each_listing
@async_test
async def test_R17_rows_are_ordered_by_created_at_and_then_by_insertion(
    store: ChatStore, probe: Probe, alice: RequestContext, listing: Listing
) -> None:
    seconds = [3, 1, 2, 1, 3, 1, 0.000001, 0, 2]
    ids = await fill(listing, store, alice, 9, lambda number: later(seconds[number]))
    expected = [ids[number] for number in (7, 6, 1, 3, 5, 2, 8, 0, 4)]
    async with ChatStore(probe.url) as other:
        for reader in (store, store, other):
            assert ids_of(await listing.page(reader, alice)) == expected
            page = await listing.page(reader, alice, order="desc")
            assert ids_of(page) == expected[::-1]


@each_listing
@pytest.mark.parametrize("created_at", [later(-100), NOON, later(1.5), later(100)])
@async_test
async def test_R17_a_row_keeps_its_place_and_shows_what_was_saved_last(
    store: ChatStore, alice: RequestContext, listing: Listing, created_at: datetime
) -> None:
    ids = await fill(listing, store, alice, 4)
    await listing.save(store, alice, ids[1], created_at, "changed")
    for order in ("asc", "desc"):
        expected = in_order(ids, order)
        page = await listing.page(store, alice, order=order)
        assert ids_of(page) == expected
        place = expected.index(ids[1])
        assert page.data[place].created_at == created_at
        assert "changed" in page.data[place].model_dump_json()
        # The cursor is the fixed place, too.
        rest = await listing.page(store, alice, ids[1], order=order)
        assert ids_of(rest) == expected[place + 1 :]


@each_listing
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("tied", [3, 7])
@async_test
async def test_R18_following_after_returns_every_row_exactly_once(
    store: ChatStore,
    alice: RequestContext,
    listing: Listing,
    limit: int,
    tied: int,
) -> None:
    ids = await fill(listing, store, alice, 7, lambda number: later(number // tied))
    for order in ("asc", "desc"):
        assert await walk(listing, store, alice, limit, order) == in_order(ids, order)


@each_listing
@each_order
@pytest.mark.parametrize("limit", [1, 2, 3])
@async_test
async def test_R18_a_walk_is_not_disturbed_by_what_is_saved_meanwhile(
    store: ChatStore,
    alice: RequestContext,
    bob: RequestContext,
    listing: Listing,
    order: str,
    limit: int,
) -> None:
    ids = await fill(listing, store, alice, 7, lambda number: NOON)
    page = await listing.page(store, alice, None, limit, order)
    seen = ids_of(page)
    turn = 0
    while page.has_more:
        if turn < 7:  # or the walk would never arrive at the end
            for seconds in (-1, 0, 1):
                new_id = f"new_{turn}_{seconds}"
                await listing.save(store, alice, new_id, later(seconds))
            await listing.save(store, alice, ids[turn], later(turn), "again")
            await listing.save(store, bob, ids[turn], later(turn))
        turn += 1
        assert turn < 100
        page = await listing.page(store, alice, page.after, limit, order)
        seen += ids_of(page)
    assert turn > 1
    assert [row_id for row_id in seen if row_id in ids] == in_order(ids, order)
    assert len(set(seen)) == len(seen)


@each_listing
@pytest.mark.parametrize(
    ("count", "limit"), [(0, 1), (1, 1), (2, 1), (3, 3), (4, 3), (6, 3), (3, 1000)]
)
@async_test
async def test_R19_has_more_is_exact_and_after_is_the_last_row_of_the_page(
    store: ChatStore, alice: RequestContext, listing: Listing, count: int, limit: int
) -> None:
    saved = await fill(listing, store, alice, count)
    for order in ("asc", "desc"):
        ids = in_order(saved, order)
        after: str | None = None
        for start in range(0, max(count, 1), limit):
            page = await listing.page(store, alice, after, limit, order)
            assert ids_of(page) == ids[start : start + limit]
            assert page.has_more is (start + limit < count)
            after = page.data[-1].id if page.has_more else None
            assert page.after == after
        if ids:
            behind = await listing.page(store, alice, ids[-1], limit, order)
            assert behind == Page()


@each_listing
@each_order
@async_test
async def test_R19_after_is_the_last_row_of_the_page_although_it_cannot_be_read(
    store: ChatStore,
    probe: Probe,
    alice: RequestContext,
    listing: Listing,
    order: str,
) -> None:
    ids = in_order(await fill(listing, store, alice, 5), order)
    for row_id in ids[1:4]:
        probe.execute(f"UPDATE {listing.table} SET data = '{{}}' WHERE id = '{row_id}'")
    page = await listing.page(store, alice, None, 2, order)
    assert ids_of(page) == ids[:1]
    assert (page.has_more, page.after) == (True, ids[1])
    page = await listing.page(store, alice, page.after, 2, order)
    assert ids_of(page) == []
    assert (page.has_more, page.after) == (True, ids[3])
    page = await listing.page(store, alice, page.after, 2, order)
    assert ids_of(page) == ids[4:]
    assert (page.has_more, page.after) == (False, None)


@each_listing
@each_order
@async_test
async def test_R20_an_after_that_is_not_ones_own_raises_not_found(
    store: ChatStore,
    alice: RequestContext,
    bob: RequestContext,
    listing: Listing,
    order: str,
) -> None:
    await fill(listing, store, alice, 3)
    await listing.save(store, bob, "of bob")
    await listing.save(store, alice, "deleted")
    await listing.delete(store, alice, "deleted")
    for after in ("absent", "of bob", "deleted", "", "%"):
        with pytest.raises(NotFoundError, match=f" {after} not found$"):
            await listing.page(store, alice, after, 20, order)


@each_listing
@each_order
@async_test
async def test_R20_an_after_that_is_deleted_in_mid_walk_raises_not_found(
    store: ChatStore, alice: RequestContext, listing: Listing, order: str
) -> None:
    await fill(listing, store, alice, 4)
    page = await listing.page(store, alice, None, 2, order)
    assert page.after is not None
    await listing.delete(store, alice, page.after)
    with pytest.raises(NotFoundError, match=f"{page.after} not found$"):
        await listing.page(store, alice, page.after, 2, order)


BAD_ORDERS = ["", "ASC", "Desc", "asc ", "descending", "asc; DROP TABLE chatkit_items"]


@each_listing
@pytest.mark.parametrize(
    ("limit", "order"),
    [(20, order) for order in BAD_ORDERS]
    + [(limit, "asc") for limit in (0, -1, -5, -(10**30))],
)
@async_test
async def test_R21_bad_orders_and_limits_are_refused_before_the_database_is_asked(
    store: ChatStore,
    probe: Probe,
    alice: RequestContext,
    listing: Listing,
    limit: int,
    order: str,
) -> None:
    [row_id] = await fill(listing, store, alice, 1)
    with probe.recorded(store) as sent:
        for after in (None, row_id, "absent"):
            with pytest.raises(ValueError, match="^(order|limit) must be"):
                await listing.page(store, alice, after, limit, order)
    assert sent == []


def logged_cuts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the warnings of pages that were cut."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "cut to" in record.getMessage()
    ]


@each_listing
@each_order
@pytest.mark.parametrize("limit", [6, 1000, 10**9, 10**30])
@async_test
async def test_R21_a_page_is_cut_to_the_configured_size_and_the_log_says_so(
    store: ChatStore,
    probe: Probe,
    alice: RequestContext,
    caplog: pytest.LogCaptureFixture,
    listing: Listing,
    order: str,
    limit: int,
) -> None:
    ids = in_order(await fill(listing, store, alice, 12), order)
    async with ChatStore(probe.url, max_page_size=5) as small:
        page = await listing.page(small, alice, None, 5, order)
        assert ids_of(page) == ids[:5]
        assert logged_cuts(caplog) == []
        page = await listing.page(small, alice, None, limit, order)
        assert ids_of(page) == ids[:5]
        assert (page.has_more, page.after) == (True, ids[4])
        assert logged_cuts(caplog) == [f"A page of {limit} was asked for and cut to 5"]
        page = await listing.page(small, alice, ids[4], limit, order)
        assert ids_of(page) == ids[5:10]
        page = await listing.page(small, alice, ids[9], limit, order)
        assert ids_of(page) == ids[10:]
        assert page.has_more is False


@each_listing
@each_order
@async_test
async def test_R22_a_page_costs_one_round_trip(
    store: ChatStore,
    probe: Probe,
    alice: RequestContext,
    listing: Listing,
    order: str,
) -> None:
    ids = in_order(await fill(listing, store, alice, 6), order)
    for after in (None, ids[0], ids[3], ids[5]):
        with probe.recorded(store) as sent:
            await listing.page(store, alice, after, 2, order)
        assert len(sent) == 1
        assert "LIMIT" in sent[0]
        assert "OFFSET" not in sent[0]


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
async def test_R23_a_read_in_the_same_process_sees_every_write_before_it(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    async with ChatStore(probe.url) as other:
        for number in range(10):
            await save_one_of_each((store, other)[number % 2], alice, str(number))
            await assert_sees(store, alice, str(number))
            await assert_sees(other, alice, str(number))
        await store.delete_thread_item("thr_1", "msg_1", alice)
        for reader in (store, other):
            with pytest.raises(NotFoundError):
                await reader.load_item("thr_1", "msg_1", alice)
        await store.delete_thread("thr_1", alice)
        for reader in (store, other):
            assert await reader.load_threads(20, None, "asc", alice) == Page()
