"""Time: R24 and R25 of the Store's contract."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from chat_store_database import Probe
from chat_store_tools import (
    NOON,
    a_message,
    a_thread,
    async_test,
    count_rows,
    walk,
)
from chat_store_under_test import ChatStore, RequestContext

TOKYO = timezone(timedelta(hours=9))

NEW_YORK = timezone(timedelta(hours=-5))

BERLIN = "CET-1CEST,M3.5.0/2,M10.5.0/3"
"""Summer time ends on 25 October 2026 at 01:00 UTC: the hour from 02:00 comes twice."""


async def save_at(
    store: ChatStore, context: RequestContext, name: str, created_at: datetime
) -> None:
    """Save an item of that name in thr_1, and a thread of that name."""
    await store.save_thread(a_thread(name, created_at=created_at), context)
    await store.save_thread(a_thread(), context)
    item = a_message(name, created_at=created_at)
    await store.add_thread_item("thr_1", item, context)


async def assert_order(
    store: ChatStore, context: RequestContext, expected: list[str]
) -> None:
    """Check the order of what `save_at` saved, both ways and from page to page."""
    for order, names in (("asc", expected), ("desc", expected[::-1])):
        items = await walk(store, context, limit=1, order=order)
        assert [item.id for item in items] == names
        threads = await store.load_threads(100, None, order, context)
        assert [row.id for row in threads.data if row.id != "thr_1"] == names


@pytest.mark.parametrize(
    "created_at",
    [
        NOON,
        NOON.replace(microsecond=0),
        NOON.replace(microsecond=1),
        NOON.replace(microsecond=999_999),
        NOON.replace(tzinfo=UTC),
        NOON.replace(tzinfo=TOKYO),
        NOON.replace(tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999),
        datetime(2100, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
    ids=str,
)
@async_test
async def test_R24_created_at_comes_back_as_it_was_saved(
    store: ChatStore, alice: RequestContext, created_at: datetime
) -> None:
    await save_at(store, alice, "x", created_at)
    thread = await store.load_thread("x", alice)
    item = await store.load_item("thr_1", "x", alice)
    items = await store.load_thread_items("thr_1", None, 20, "asc", alice)
    threads = await store.load_threads(20, None, "asc", alice)
    [listed] = [row for row in threads.data if row.id == "x"]
    for row in (thread, item, items.data[0], listed):
        assert row.created_at == created_at
        assert row.created_at.utcoffset() == created_at.utcoffset()


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("UTC0", 0), (BERLIN, 1), ("EST5", -5), ("NZST-12", 12), ("MART9:30", -9.5)],
)
@async_test
async def test_R25_naive_times_are_local_times_and_sort_among_aware_times(
    store: ChatStore,
    alice: RequestContext,
    set_local_zone: Callable[[str], None],
    zone: str,
    offset: float,
) -> None:
    set_local_zone(zone)
    instant = (NOON - timedelta(hours=offset)).replace(tzinfo=UTC)
    moment = timedelta(microseconds=1)
    await save_at(store, alice, "naive", NOON)
    await save_at(store, alice, "after", (instant + moment).astimezone(TOKYO))
    await save_at(store, alice, "before", (instant - moment).astimezone(NEW_YORK))
    await save_at(store, alice, "same", instant)
    await assert_order(store, alice, ["before", "naive", "same", "after"])


@pytest.mark.parametrize(
    "created_at",
    [
        datetime(1, 1, 1, 0, 0, tzinfo=TOKYO),
        datetime(9999, 12, 31, 23, 0, tzinfo=NEW_YORK),
    ],
    ids=str,
)
@async_test
async def test_R25_a_time_outside_the_range_of_utc_is_refused(
    store: ChatStore, probe: Probe, alice: RequestContext, created_at: datetime
) -> None:
    await store.save_thread(a_thread(), alice)
    with pytest.raises(ValueError, match="^Thread thr_2 has a created_at"):
        await store.save_thread(a_thread("thr_2", created_at=created_at), alice)
    item = a_message(created_at=created_at)
    with pytest.raises(ValueError, match="^Item msg_1 has a created_at"):
        await store.add_thread_item("thr_1", item, alice)
    assert count_rows(probe, "chatkit_threads") == 1
    assert count_rows(probe, "chatkit_items") == 0
