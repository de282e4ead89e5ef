"""Time: R24 and R25 of the Store's contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chat_store_database import Probe
from chat_store_tools import NOON, async_test
from chat_store_under_test import ChatStore, RequestContext
from test_chat_store_time import BERLIN, TOKYO, assert_order, save_at


@async_test
async def test_R25_the_repeated_hour_at_the_end_of_summer_time_stays_in_order(
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
