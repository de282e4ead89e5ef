"""The process of one flavor: it can import one rendered package.

    python -m benchmarks.flavor FLAVOR URL LENGTH ROUNDS SECONDS [--adds-only]

LENGTH is of the longest thread, and SECONDS how long each contestant is measured in a round. It prints
the figures of each case as JSON: calls a second, or ms of stalls and of CPU time.
"""

import argparse
import asyncio
import importlib
import json
import warnings
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from chatkit.types import ThreadItem
from pydantic import TypeAdapter

from . import contestants
from .drivers import DRIVERS
from .filling import analyze, fill, item_id
from .measuring import Call, Figures, cpu_time, in_rounds, longest_stall, rate
from .table import (
    ADD,
    BY_HAND,
    CODEC,
    GUIDE,
    LAST,
    LONG,
    PAGES,
    PYDANTIC,
    SAVER,
    SESSION,
    SHORT,
    STALL,
    STORE,
    TURN,
)
from .workload import SMALL, TASKS, Operations, a_thread, a_widget, owner_of

SHORT_LENGTH = 1_000


async def measure(
    flavor: str, url: str, length: int, rounds: int, seconds: float, adds_only: bool
) -> dict[str, Figures]:
    """Measure all cases of a flavor, on an empty database."""
    package: Any = importlib.import_module("chat_store")
    statements = importlib.import_module("chat_store.statements")
    context_of = package.RequestContext
    store = package.ChatStore(url, pool_timeout=60)
    driver = DRIVERS[flavor](url)
    is_postgresql = flavor.startswith("postgresql")
    is_sqlite = flavor == "sqlite"
    found: dict[str, Figures] = {}

    async def compare(case: str, calls: Mapping[str, Call], tasks: int) -> None:
        ways = {name: partial(rate, call, tasks, seconds) for name, call in calls.items()}
        found[case] = await in_rounds(ways, rounds)

    await store.migrate()
    await driver.open()
    async with store, AsyncExitStack() as stack:
        stack.push_async_callback(driver.close)
        ours = Operations(store, context_of)
        by_hand = Operations(contestants.ByHand(driver, statements), str)
        await ours.prepare()
        await ours.fill()
        threads = {"thr_short": SHORT_LENGTH, "thr_long": length}
        if not adds_only:
            for thread_id, items in threads.items():
                await store.save_thread(a_thread(thread_id), context_of(owner_of(0)))
                await fill(driver, thread_id, items, SMALL)
            await analyze(driver)

        adding: dict[str, Call] = {STORE: ours.add, BY_HAND: by_hand.add}
        if is_postgresql:
            session = contestants.session(flavor, url)
            adding[SESSION] = await stack.enter_async_context(session)
            adding[SAVER] = await stack.enter_async_context(contestants.saver(url))
        await compare(ADD, adding, TASKS if is_sqlite else 16)
        if adds_only:
            return found

        if not is_sqlite:
            await compare(LAST, {STORE: ours.load_last, BY_HAND: by_hand.load_last}, 16)
        if is_postgresql:
            guide = Operations(contestants.Guide(url), str)
            await guide.prepare()
            await compare(TURN, {STORE: ours.turn, GUIDE: guide.turn}, 16)
        for case, order in zip(PAGES, ("asc", "desc", "desc"), strict=True):
            calls: dict[str, Call] = {}
            for name, thread_id in {SHORT: "thr_short", LONG: "thr_long"}.items():
                after = item_id(threads[thread_id] // 2) if case == "middle page" else None
                calls[name] = ours.page(thread_id, order, after)
            await compare(case, calls, 1)
        found[STALL] = await in_rounds(
            {
                STORE: partial(longest_stall, ours.mix, TASKS, seconds),
                BY_HAND: partial(longest_stall, by_hand.mix, TASKS, seconds),
            },
            rounds,
        )
    found[CODEC] = await codec(importlib.import_module("chat_store.codec"), rounds, seconds)
    return found


async def codec(module: Any, rounds: int, seconds: float) -> Figures:
    """Measure the CPU time of writing a widget's payload."""
    widget = a_widget()
    plain: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)
    calls = max(1, round(100 * seconds))
    return await in_rounds(
        {
            STORE: partial(cpu_time, lambda: module.dump(module.ITEM, widget, "Item"), calls),
            PYDANTIC: partial(cpu_time, lambda: plain.dump_json(widget), calls),
        },
        rounds,
    )


def main() -> None:
    """Measure what the arguments say."""
    warnings.simplefilter("ignore")  # the SDK warns of itself
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flavor")
    parser.add_argument("url")
    parser.add_argument("length", type=int)
    parser.add_argument("rounds", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--adds-only", action="store_true")
    print(json.dumps(asyncio.run(measure(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
