"""Rounds, rates and ratios.

Each round measures all contestants of a case, one right after the other, in an order that changes with
each round. A ratio is always of two figures of one round: what else a noisy machine does then meets
both of them.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Call = Callable[[int], Awaitable[object]]
"""What is measured; it is given the number of the task that calls it."""

Figures = dict[str, list[float]]
"""For each contestant, what was measured in each round."""


@dataclass(frozen=True)
class Summary:
    """The figures of all rounds: their median and quartiles."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Give the median and the quartiles."""
    if len(values) < 2:
        return Summary(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Summary(median, low, high)


def ratio(figures: Figures, of: str, to: str) -> Summary:
    """Compare two contestants, round by round."""
    return summary([one / other for one, other in zip(figures[of], figures[to], strict=True)])


async def in_rounds(ways: Mapping[str, Callable[[], Awaitable[float]]], rounds: int) -> Figures:
    """Measure each way in each round, after one round to warm up, which does not count."""
    names = list(ways)
    figures: Figures = {name: [] for name in names}
    for number in range(-1, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            figure = await ways[name]()
            if number >= 0:
                figures[name].append(figure)
    return figures


async def rate(call: Call, tasks: int, seconds: float) -> float:
    """Call from several tasks, for a time; give the calls a second."""
    clock = time.perf_counter
    done = 0
    start = clock()

    async def work(task: int) -> None:
        nonlocal done
        while clock() - start < seconds:
            await call(task)
            done += 1

    await asyncio.gather(*map(work, range(tasks)))
    return done / (clock() - start)


async def longest_stall(call: Call, tasks: int, seconds: float) -> float:
    """Give the longest time, in ms, that a task which ticks each millisecond is late under load.

    It begins when the load has: that all tasks make their first call in the same moment is not how
    requests come.
    """
    clock = time.perf_counter
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        wait = seconds / 5
        while True:
            due = clock() + wait
            await asyncio.sleep(wait)
            longest = max(longest, clock() - due)
            wait = 0.001

    ticking = asyncio.ensure_future(tick())
    await rate(call, tasks, seconds)
    ticking.cancel()
    return 1000 * longest


async def cpu_time(call: Callable[[], object], calls: int) -> float:
    """Give the CPU time that a call takes this process, in ms."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return 1000 * (time.process_time() - start) / calls
