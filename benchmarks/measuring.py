"""Rounds, rates and ratios.

Each round measures all contestants of a case, one right after the other, in an order that turns by
one each time. A ratio is always of two figures of one round: what else a noisy machine does then
meets both of them.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from .workload import Call, Place

Figures = dict[str, list[float]]
"""For each contestant, what was measured in each round."""


@dataclass(frozen=True)
class Ratio:
    """The ratios of all rounds, summed up.

    Attributes:
        median: Their median.
        low: Their lower quartile.
        high: Their upper quartile.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def summed_up(values: Sequence[float]) -> Ratio:
    """Give the median and the quartiles."""
    if len(values) < 2:
        return Ratio(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(median, low, high)


def ratio(figures: Figures, of: str, to: str) -> Ratio:
    """Compare two contestants, round by round."""
    return summed_up([one / other for one, other in zip(figures[of], figures[to], strict=True)])


async def in_rounds(ways: Mapping[str, Callable[[], Awaitable[float]]], rounds: int) -> Figures:
    """Measure each way in each round, after a round to warm up, which does not count."""
    names = list(ways)
    figures: Figures = {name: [] for name in names}
    for turn in range(-1, rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            figure = await ways[name]()
            if turn >= 0:
                figures[name].append(figure)
    return figures


async def rate(call: Call, places: Sequence[Place], seconds: float, polite: bool = False) -> float:
    """Call from as many tasks as there are places, for a time; give the calls a second.

    Args:
        call: What to call.
        places: Where each task works.
        seconds: When no more calls are begun.
        polite: Whether a task lets others run after each call, as a server's does.
    """
    clock = time.perf_counter
    done = 0
    start = clock()

    async def work(place: Place) -> None:
        nonlocal done
        while clock() - start < seconds:
            await call(place)
            done += 1
            if polite:
                await asyncio.sleep(0)

    await asyncio.gather(*(work(place) for place in places))
    return done / (clock() - start)


async def longest_stall(call: Call, places: Sequence[Place], seconds: float) -> float:
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
    await rate(call, places, seconds, polite=True)
    ticking.cancel()
    return 1000 * longest
