"""Time: R24 and R25 of the Store's contract."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

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

UTC = timezone(timedelta(0))  # datetime.UTC, which Python 3.10 does not have yet
TOKYO = timezone(timedelta(hours=9))
NEW_YORK = timezone(timedelta(hours=-5))

BERLIN = "CET-1CEST,M3.5.0/2,M10.5.0/3"
"""Summer time ends on 25 October 2026 at 01:00 UTC: the hour from 02:00 comes twice."""


@pytest.fixture
def set_local_zone() -> Iterator[Callable[[str], None]]:
    """Sets the process's time zone, written as POSIX does; the old one comes back."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change the time zone of a process")
    with pytest.MonkeyPatch.context() as patch:

        def set_zone(name: str) -> None:
            patch.setenv("TZ", name)
            time.tzset()

        yield set_zone
    time.tzset()


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


# --- R24: the time that comes back is the one that was saved


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
    # The SDK subtracts such times from each other.
    assert item.created_at - created_at == timedelta(0)


# --- R25: rows are ordered by the instant, in UTC


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("UTC0", 0), (BERLIN, 1), ("EST5", -5), ("NZST-12", 12), ("MART9:30", -9.5)],
)
@async_test
async def test_R25_a_naive_time_is_local_time_and_sorts_among_aware_ones(
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


@async_test
async def test_R25_the_hour_that_comes_twice_when_summer_ends_stays_in_order(
    store: ChatStore, alice: RequestContext, set_local_zone: Callable[[str], None]
) -> None:
    set_local_zone(BERLIN)
    first = datetime(2026, 10, 25, 2, 50)
    second = datetime(2026, 10, 25, 2, 10, fold=1)
    assert first.astimezone(UTC).hour == 0
    assert second.astimezone(UTC).hour == 1
    between = datetime(2026, 10, 25, 10, 0, tzinfo=TOKYO)  # 01:00 UTC
    summer, winter = datetime(2026, 10, 25, 1, 59), datetime(2026, 10, 25, 3, 0)
    for name, created_at in (
        ("winter", winter),
        ("second", second),
        ("between", between),
        ("first", first),
        ("summer", summer),
    ):
        await save_at(store, alice, name, created_at)
    expected = ["summer", "first", "between", "second", "winter"]
    await assert_order(store, alice, expected)
    for zone in ("UTC0", "NZST-12"):
        # The instant was fixed when the row was made; who reads it does not matter.
        set_local_zone(zone)
        await assert_order(store, alice, expected)


@async_test
async def test_R25_naive_times_saved_by_processes_in_different_zones_are_in_order(
    store: ChatStore, alice: RequestContext, set_local_zone: Callable[[str], None]
) -> None:
    # Two servers take turns, half an hour apart, each by its own clock on the wall.
    expected: list[str] = []
    for number in range(6):
        zone, offset = (("EST5", -5), ("JST-9", 9))[number % 2]
        set_local_zone(zone)
        wall_clock = NOON + timedelta(hours=offset, minutes=30 * number)
        await save_at(store, alice, f"{number} {zone}", wall_clock)
        expected.append(f"{number} {zone}")
    await assert_order(store, alice, expected)


@async_test
async def test_R25_the_time_zone_of_the_databases_session_changes_nothing(
    probe: Probe, alice: RequestContext
) -> None:
    expected: list[str] = []
    for number, zone in enumerate(("Asia/Tokyo", "America/New_York", "UTC")):
        probe.set_time_zone(zone)
        async with ChatStore(probe.url, auto_migrate=True) as store:
            for name, minutes in ((f"{number} early", 1), (f"{number} late", 2)):
                created_at = NOON + timedelta(minutes=10 * number + minutes)
                await save_at(store, alice, name, created_at)
                expected.append(name)
            await assert_order(store, alice, expected)
            thread = await store.load_thread("0 early", alice)
            assert thread.created_at == NOON + timedelta(minutes=1)


@pytest.mark.parametrize(
    "created_at",
    [
        datetime(1, 1, 1, 0, 0, tzinfo=TOKYO),
        datetime(9999, 12, 31, 23, 0, tzinfo=NEW_YORK),
    ],
    ids=str,
)
@async_test
async def test_R25_a_time_that_has_no_instant_in_utc_is_refused(
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
