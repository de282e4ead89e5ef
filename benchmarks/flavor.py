"""The process of one flavor: it can import one rendered package, and prints what it measured.

Its arguments come as JSON on the standard input, from `__main__`; the results go as JSON to the
standard output, and what it is doing to the standard error.
"""

import asyncio
import importlib
import json
import sys
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from . import contestants, filling
from .cases import GROWN_SIZE, HANDS, PAGES, Case, quick
from .measuring import Figures, in_rounds, longest_stall, rate
from .workload import OWNER, Contestant, Place, a_thread, operations_of

TASKS = 64
"""The most tasks, each with a thread of its own."""


async def measure(flavor: str, url: str, plan: dict[str, Any]) -> dict[str, Figures]:
    """Fill a database and measure all cases of a plan on it.

    Args:
        flavor: The flavor.
        url: Where its empty database is.
        plan: The fields of `cases.Plan`.

    Returns:
        The figures of each case, by its name: calls a second, or ms for stalls.
    """
    package: Any = importlib.import_module("chat_store")
    importlib.import_module("chat_store.statements")
    store = package.ChatStore(url, pool_timeout=60)
    await store.migrate()
    found: dict[str, Figures] = {}
    wanted = [Case(**case) for case in plan["cases"]]
    only = {name for case in wanted for name in case.others} | {*HANDS, "the guide's way"}
    async with store, contestants.all_of(flavor, url, store, package, only) as everyone:
        lengths = {case.size: {case.length} for case in wanted} | {"1 KB": {1_000}}
        lengths[GROWN_SIZE] = lengths.get(GROWN_SIZE, set()) | set(plan["lengths"])
        tell(flavor, "fills the database")
        await asyncio.to_thread(filling.fill, url, lengths)
        context = package.RequestContext(user_id=OWNER)
        for task in range(TASKS):
            thread = a_thread(Place(task, "1 KB", 1_000).own)
            await store.save_thread(thread, context)
            if guide := everyone.get("the guide's way"):
                await guide["save a thread"](Place(task, "1 KB", 1_000))
        rounds, seconds = plan["rounds"], plan["seconds"]
        for page in PAGES:
            tell(flavor, f"{page} by length")
            call = operations_of(store, context)[page]
            found[f"{page} by length"] = await by_length(call, plan["lengths"], rounds, seconds)
        for case in wanted:
            tell(flavor, case.name)
            turns = rounds if case in quick() else plan["other_rounds"]
            found[case.name] = await compare(case, everyone, turns, seconds)
        tell(flavor, "stall of the event loop")
        found["stall, 64 tasks, 1 KB"] = await stalls(everyone, rounds, seconds)
    return found


async def compare(
    case: Case, everyone: dict[str, Contestant], rounds: int, seconds: float
) -> Figures:
    """Measure a case between those who can do it."""
    places = [Place(task, case.size, case.length) for task in range(case.tasks)]
    ways: dict[str, Callable[[], Awaitable[float]]] = {}
    for name in ("the Store", *case.others):
        if name in everyone and case.operation in everyone[name]:
            call = everyone[name][case.operation]
            is_short = case.operation in ("add an item", "last page")
            for place in places if is_short else places[:1]:
                await call(place)  # makes what it needs
            ways[name] = partial(rate, call, places, seconds)
    return await in_rounds(ways, rounds)


async def stalls(everyone: dict[str, Contestant], rounds: int, seconds: float) -> Figures:
    """Measure how late a task is that ticks while 64 others add items and load pages."""
    places = [Place(task, "1 KB", 1_000) for task in range(TASKS)]

    def both(contestant: Contestant) -> Callable[[Place], Awaitable[object]]:
        async def call(place: Place) -> object:
            await contestant["add an item"](place)
            return await contestant["last page"](place)

        return call

    names = ("the Store", "by hand, with pydantic", "the guide's way")
    return await in_rounds(
        {
            name: partial(longest_stall, both(everyone[name]), places, seconds)
            for name in names
            if name in everyone
        },
        rounds,
    )


async def by_length(
    call: Callable[[Place], Awaitable[object]], lengths: list[int], rounds: int, seconds: float
) -> Figures:
    """Measure a page on threads of several lengths, with one task."""
    return await in_rounds(
        {
            f"{length:,}": partial(rate, call, [Place(0, GROWN_SIZE, length)], seconds)
            for length in lengths
        },
        rounds,
    )


def tell(flavor: str, what: str) -> None:
    """Say what is being done."""
    print(f"  {flavor}: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure what the standard input says."""
    warnings.simplefilter("ignore")  # the SDK warns of itself
    asked = json.load(sys.stdin)
    found = asyncio.run(measure(asked["flavor"], asked["url"], asked["plan"]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
