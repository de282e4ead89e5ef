"""Processes that write into threads while those are deleted and made again.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from subprocess import Popen

from chat_store_contexts import make_context
from chat_store_processes import wait_for_the_word
from chat_store_tools import a_message, a_thread, later
from chat_store_under_test import ChatStore
from chatkit.store import NotFoundError

END_OF_REPORT = "that is all\n"


def report_of(process: "Popen[str]") -> list[str]:
    """Read what a process reports, up to its END_OF_REPORT; fail if it breaks off before."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        if line == END_OF_REPORT:
            return lines
        lines.append(line.strip())
    raise AssertionError(process.communicate()[1])


@dataclass(frozen=True)
class Call:
    """A call that another process made, as it saw it.

    Attributes:
        thread_id: The thread.
        what: "add" for an item, "save" for the thread as it was at first, "create" for a newer
            thread of that id, or "delete".
        text: The text of the item, if it is one.
        began: When the call began, by the clock that all processes share.
        ended: When it ended.
        was_refused: Whether it ended with NotFoundError.
    """

    thread_id: str
    what: str
    text: str
    began: float
    ended: float
    was_refused: bool


RACER = "import chat_store_racers; chat_store_racers.race()"


def race() -> None:
    """Delete and recreate some threads, while writing into all threads.

    The arguments of the process are the database's URL, its own name, the threads to delete, the
    threads to write into, both joined by commas, and how often to delete each. Of the threads to
    delete, every second stays deleted. At the end it prints its calls, each as JSON.
    """
    asyncio.run(_race(*sys.argv[1:]))


async def _race(url: str, name: str, own: str, everybodys: str, rounds: str) -> None:
    context = make_context("alice", name)
    is_over = asyncio.Event()
    calls: list[Call] = []

    async def note(
        thread_id: str, what: str, text: str, awaitable: Awaitable[None]
    ) -> None:
        began = time.monotonic()
        try:
            await awaitable
            was_refused = False
        except NotFoundError:
            was_refused = True
        ended = time.monotonic()
        calls.append(Call(thread_id, what, text, began, ended, was_refused))

    async def write(thread_id: str) -> None:
        number = 0
        while not is_over.is_set():
            await write_once(thread_id, f"{name}_{number:06}")
            # A Store that blocks the loop would never let the others have their turn.
            await asyncio.sleep(0)
            number += 1

    async def write_once(thread_id: str, text: str) -> None:
        item = a_message(f"{thread_id}_{text}", thread_id, text)
        add = store.add_thread_item(thread_id, item, context)
        await note(thread_id, "add", text, add)
        # As a stream does that has read the thread before it was deleted.
        save = store.save_thread(a_thread(thread_id), context)
        await note(thread_id, "save", "", save)

    async def delete(thread_id: str, stays_deleted: bool) -> None:
        for number in range(1, int(rounds) + 1):
            deletion = store.delete_thread(thread_id, context)
            await note(thread_id, "delete", "", deletion)
            if number < int(rounds) or not stays_deleted:
                newer = a_thread(thread_id, created_at=later(number))
                creation = store.save_thread(newer, context)
                await note(thread_id, "create", "", creation)

    async with ChatStore(url, pool_timeout=60, write_timeout=60) as store:
        wait_for_the_word("ready")
        writing = [
            asyncio.ensure_future(write(thread_id))
            for thread_id in everybodys.split(",")
        ]
        await asyncio.gather(
            *(
                delete(thread_id, stays_deleted=place % 2 == 1)
                for place, thread_id in enumerate(own.split(","))
            )
        )
        is_over.set()
        await asyncio.gather(*writing)
        wait_for_the_word(END_OF_REPORT.strip())
        # By now nobody deletes any more.
        for thread_id in everybodys.split(","):
            await write_once(thread_id, f"{name}_late")
    for call in calls:
        print(json.dumps(asdict(call)))
