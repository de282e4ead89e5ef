"""Other processes that use the same database: to kill, and to write at the same time.

`processes` starts them and lets them begin at the same moment.
"""

import asyncio
import logging
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from subprocess import Popen
from threading import Timer

from chat_store_contexts import make_context
from chat_store_tools import a_message, a_thread, later, start_python, walk
from chat_store_under_test import ChatStore, RequestContext, keys
from chatkit.types import AssistantMessageItem, ThreadItem

LANES = 3
"""How many tasks of a process write at the same time."""

TIED = 10
"""How many items of a task follow each other with the same `created_at`."""

WITHOUT_END = "1000000"
"""The item count for a process that is killed before it reaches it."""


@contextmanager
def processes(
    code: str, *arguments: tuple[str, ...]
) -> Generator[list["Popen[str]"], None, None]:
    """Start Python processes, and let them go on at the same moment."""
    started: list[Popen[str]] = []
    # A Store that hangs would hang the whole run.
    watchdog = Timer(300, kill_all, [started])
    watchdog.start()
    try:
        for each in arguments:
            started.append(start_python(code, *each))
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise AssertionError(process.communicate()[1])
        go_on(started)
        yield started
    finally:
        watchdog.cancel()
        kill_all(started)
        for process in started:
            process.communicate()


def kill_all(started: Sequence["Popen[str]"]) -> None:
    """Kill processes as a crash does."""
    for process in started:
        process.kill()


def go_on(waiting: Sequence["Popen[str]"]) -> None:
    """Tell waiting processes to continue."""
    for process in waiting:
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()


def text_of(item: ThreadItem) -> str:
    """Return the text of one of the messages that these processes write."""
    assert isinstance(item, AssistantMessageItem)
    return item.content[0].text


def read_acknowledged(process: "Popen[str]", count: int) -> list[str]:
    """Read that many of the texts that a process reports as stored."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    if not all(lines):
        raise AssertionError(process.communicate()[1])
    return [line.split()[-1] for line in lines]


def kill(process: "Popen[str]") -> list[str]:
    """Kill a process as a crash does; return the texts that it has reported since."""
    assert process.stdout is not None
    process.kill()
    return [
        line.split()[-1] for line in process.stdout.readlines() if line.endswith("\n")
    ]


def by_lane(texts: Iterable[str]) -> dict[str, list[int]]:
    """Give, for each task that has written, the numbers of its items, in their order."""
    lanes: dict[str, list[int]] = defaultdict(list)
    for text in texts:
        lane, _, number = text.rpartition("_")
        lanes[lane].append(int(number))
    return lanes


def assert_nothing_is_lost(acknowledged: list[str], found: list[str]) -> None:
    """Check that each acknowledged item is stored once and in order."""
    stored, reported = by_lane(found), by_lane(acknowledged)
    for lane in {*stored, *reported}:
        assert stored[lane] == list(range(len(stored[lane]))), lane
        assert len(stored[lane]) - len(reported[lane]) in (0, 1), lane


async def texts_in(url: str, context: RequestContext, thread_id: str) -> list[str]:
    """Open the database again; return the texts of a thread's items, in order."""
    async with ChatStore(url) as store:
        items = await walk(store, context, thread_id=thread_id, limit=500)
    return [text_of(item) for item in items]


async def make_thread(url: str, context: RequestContext, thread_id: str) -> None:
    """Create the tables and a thread, and close the database."""
    async with ChatStore(url, auto_migrate=True) as store:
        await store.save_thread(a_thread(thread_id), context)


def wait_for_the_word(report: str) -> None:
    print(report, flush=True)
    sys.stdin.readline()


# --- a process that appends

APPENDER = "import chat_store_processes; chat_store_processes.append()"


def append() -> None:
    """Append to threads, and print "thread text" of each item once it is acknowledged.

    The arguments of the process are the database's URL, its own name, the threads' ids, joined
    by commas, and how many items each of its tasks appends to each thread.
    """
    # Drivers log each attempt to reach a server that is down. The test reads no log, and
    # a process whose pipe is full stands still.
    logging.disable()
    asyncio.run(_append(*sys.argv[1:]))


async def _append(url: str, name: str, threads: str, count: str) -> None:
    context = make_context("alice", name)
    thread_ids = threads.split(",")

    async def write(lane: int) -> None:
        for number in range(int(count)):
            text = f"{name}_{lane}_{number:06}"
            # The first task leaves the ids to the Store.
            item_id = text if lane else keys.PLACEHOLDER_ID
            for thread_id in thread_ids:
                item = a_message(
                    item_id, thread_id, text, created_at=later(number // TIED)
                )
                await store.add_thread_item(thread_id, item, context)
                print(thread_id, text, flush=True)

    # The waits are longer than a server needs to start again.
    async with ChatStore(url, pool_timeout=60, write_timeout=60) as store:
        wait_for_the_word("ready")
        await asyncio.gather(*(write(lane) for lane in range(LANES)))
