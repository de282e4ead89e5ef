"""Processes that are killed, and processes that write at the same time: R35 and R36."""

from chat_store_database import Probe
from chat_store_processes import (
    APPENDER,
    LANES,
    WITHOUT_END,
    assert_nothing_is_lost,
    by_lane,
    kill,
    make_thread,
    processes,
    read_acknowledged,
    text_of,
    texts_in,
)
from chat_store_tools import THOROUGH, a_chance, a_thread, run_async, walk
from chat_store_under_test import ChatStore, RequestContext


def test_R35_acknowledged_writes_survive_kill_9(
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
    names, threads, count = "abc", ["thr_1", "thr_2"], 40 if THOROUGH else 10
    for thread_id in threads:
        run_async(store.save_thread(a_thread(thread_id), alice))
    arguments = [(probe.url, name, ",".join(threads), str(count)) for name in names]
    with processes(APPENDER, *arguments) as started:
        printed = "".join(process.communicate(timeout=60)[0] for process in started)
    lines = [line.split() for line in printed.splitlines()]
    assert len(lines) == len(names) * len(threads) * LANES * count
    for thread_id in threads:
        items = run_async(walk(store, alice, thread_id=thread_id, limit=17))
        found = [text_of(item) for item in items]
        assert sorted(found) == sorted(
            text for thread, text in lines if thread == thread_id
        )
        for lane, numbers in by_lane(found).items():
            assert numbers == sorted(numbers), lane
        newest = run_async(
            walk(store, alice, thread_id=thread_id, limit=23, order="desc")
        )
        assert newest == items[::-1]
