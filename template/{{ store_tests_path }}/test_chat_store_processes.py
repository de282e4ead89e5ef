"""Processes that are killed, and processes that write at the same time: R35 and R36."""

import json

from chat_store_database import Probe
from chat_store_processes import (
    APPENDER,
    LANES,
    WITHOUT_END,
    assert_nothing_is_lost,
    by_lane,
    go_on,
    ids_in_both_orders,
    kill,
    make_thread,
    processes,
    read_acknowledged,
    report_of,
    text_of,
    texts_in,
)
from chat_store_tools import THOROUGH, a_chance, a_thread, run_async, walk
from chat_store_under_test import ChatStore, RequestContext


def test_R35_what_was_acknowledged_survives_kill_9(
    probe: Probe, alice: RequestContext
) -> None:
    chance = a_chance()
    acknowledged: dict[str, list[str]] = {}
    for cycle in range(25 if THOROUGH else 1):
        thread_id = f"thr_{cycle}"
        run_async(make_thread(probe.url, alice, thread_id))
        texts = acknowledged[thread_id] = []
        arguments = [
            (probe.url, f"{cycle}{name}", thread_id, WITHOUT_END) for name in "ab"
        ]
        with processes(APPENDER, *arguments) as started:
            for process in started:
                texts += read_acknowledged(process, chance.randrange(1, 50))
                texts += kill(process)
    for thread_id, texts in acknowledged.items():
        found = run_async(texts_in(probe.url, alice, thread_id))
        assert_nothing_is_lost(texts, found)


def test_R36_writers_in_several_processes_lose_and_duplicate_nothing(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    names = "abcdef" if THOROUGH else "abc"
    threads = ["thr_1", "thr_2", "thr_3"] if THOROUGH else ["thr_1", "thr_2"]
    count = 40 if THOROUGH else 10
    for thread_id in threads:
        run_async(store.save_thread(a_thread(thread_id), alice))
    arguments = [(probe.url, name, ",".join(threads), str(count)) for name in names]
    with processes(APPENDER, *arguments) as started:
        lines = [line for process in started for line in report_of(process)]
        go_on(started)
        views = [process.communicate(timeout=60)[0] for process in started]
    for place, thread_id in enumerate(threads):
        written = [line.split()[1] for line in lines if line.split()[0] == thread_id]
        assert len(written) == len(names) * LANES * count
        items = run_async(walk(store, alice, thread_id=thread_id, limit=100))
        found = [text_of(item) for item in items]
        assert sorted(found) == sorted(written)
        for lane, numbers in by_lane(found).items():
            assert numbers == sorted(numbers), lane
        oldest, newest = run_async(ids_in_both_orders(store, alice, thread_id))
        assert oldest == [item.id for item in items]
        assert newest == oldest[::-1]
        for view in views:
            assert json.loads(view.splitlines()[place]) == [oldest, newest]
