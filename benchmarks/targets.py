"""What the Store must reach, and the verdict on a run."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .cases import PAGES
from .measuring import Figures, Ratio, ratio, summed_up

STORE = "the Store"

Results = Mapping[str, Any]
"""What was found on a flavor: `figures`, by case, and `starts`."""


@dataclass(frozen=True)
class Target:
    """A row of the table.

    Attributes:
        text: What is compared.
        flavors: How the names of its flavors begin.
        limit: What must be reached.
        is_most: Whether the limit is the most, and not the least.
        unit: What the figures are: a ratio, or "ms".
        figure: Takes it out of a flavor's results.
    """

    text: str
    flavors: tuple[str, ...]
    limit: float
    is_most: bool
    unit: str
    figure: Callable[[Results], Ratio | None]

    def passes(self, figure: Ratio) -> bool:
        """Tell whether a figure is good enough."""
        median = figure.median
        return median <= self.limit if self.is_most else median >= self.limit


@dataclass(frozen=True)
class Verdict:
    """A row on a flavor, and how it went; `figure` is None where it was not measured."""

    target: Target
    flavor: str
    figure: Ratio | None

    @property
    def text(self) -> str:
        """Say it."""
        if self.figure is None:
            return "not measured"
        return "reached" if self.target.passes(self.figure) else "MISSED"


def _against(case: str, other: str) -> Callable[[Results], Ratio | None]:
    def figure(results: Results) -> Ratio | None:
        figures: Figures = results["figures"].get(case, {})
        return ratio(figures, STORE, other) if other in figures else None

    return figure


def _by_length(page: str) -> Callable[[Results], Ratio | None]:
    def figure(results: Results) -> Ratio | None:
        figures: Figures = results["figures"].get(f"{page} by length", {})
        lengths = list(figures)
        return ratio(figures, lengths[0], lengths[-1]) if figures else None

    return figure


def _stall(results: Results) -> Ratio | None:
    figures: Figures = results["figures"].get("stall, 64 tasks, 1 KB", {})
    if not figures:
        return None
    ceiling = "by hand, with pydantic"
    spread = ratio(figures, STORE, ceiling)
    medians = statistics.median(figures[STORE]) / statistics.median(figures[ceiling])
    return Ratio(medians, spread.low, spread.high)


def _import(results: Results) -> Ratio | None:
    return summed_up([start["package_ms"] for start in results["starts"]])


def _copy(results: Results) -> Ratio | None:
    return ratio(results["copy"], "this template", "static files") if "copy" in results else None


SERVERS = ("postgresql", "mysql")
EVERY = ("sqlite", *SERVERS)
POSTGRESQL = ("postgresql",)
SQLITE = ("sqlite",)

ADD_16 = "add an item, 16 tasks, 1 KB"
ADD_64 = "add an item, 64 tasks, 1 KB"
LAST_16 = "last page, 16 tasks, 1 KB"
TURN_16 = "text turn, 16 tasks, 1 KB"


def _at_least(
    limit: float, flavors: tuple[str, ...], text: str, figure: Callable[[Results], Ratio | None]
) -> Target:
    return Target(text, flavors, limit, is_most=False, unit="×", figure=figure)


def _at_most(
    limit: float,
    flavors: tuple[str, ...],
    text: str,
    figure: Callable[[Results], Ratio | None],
    unit: str = "×",
) -> Target:
    return Target(text, flavors, limit, is_most=True, unit=unit, figure=figure)


TARGETS = [
    _at_least(
        0.85,
        SERVERS,
        "add an item, 16 tasks, against the ceiling",
        _against(ADD_16, "by hand"),
    ),
    _at_least(
        0.85,
        SERVERS,
        "load the last twenty, 16 tasks, against the ceiling with parsing",
        _against(LAST_16, "by hand, with pydantic"),
    ),
    _at_least(
        3,
        POSTGRESQL,
        "add an item, 16 tasks, against SQLAlchemySession",
        _against(ADD_16, "Agents SDK"),
    ),
    _at_least(
        3,
        POSTGRESQL,
        "add an item, 16 tasks, against LangGraph's saver",
        _against(ADD_16, "LangGraph"),
    ),
    _at_least(
        3,
        POSTGRESQL,
        "the same, where it keeps one message",
        _against(ADD_16, "LangGraph, a list of one"),
    ),
    _at_least(
        10,
        POSTGRESQL,
        "a whole turn, 16 tasks, against the guide's way",
        _against(TURN_16, "the guide's way"),
    ),
    _at_least(
        10,
        SQLITE,
        "add an item, 64 tasks, against BEGIN, INSERT, COMMIT by aiosqlite",
        _against(ADD_64, "by hand, in transactions"),
    ),
    _at_least(
        3,
        SQLITE,
        "add an item, 64 tasks, against an autocommitted INSERT by aiosqlite",
        _against(ADD_64, "by hand"),
    ),
    _at_least(
        1.5,
        SQLITE,
        "load the last twenty, 16 tasks, against aiosqlite, with parsing",
        _against(LAST_16, "by hand, with pydantic"),
    ),
    *(
        _at_most(
            1.3,
            EVERY,
            f"{page} of the longest thread, against 1,000 items: time",
            _by_length(page),
        )
        for page in PAGES
    ),
    _at_most(1.5, EVERY, "longest stall of the event loop, against the ceiling's", _stall),
    _at_most(20, EVERY, "import, beyond chatkit and the driver, CPU time", _import, "ms"),
    _at_most(1.3, ("template",), "copier copy, against static files", _copy),
]


def judge(results: Mapping[str, Results]) -> list[Verdict]:
    """Judge a run.

    Args:
        results: By flavor; what is measured of the template itself, under "template".
    """
    return [
        Verdict(target, flavor, target.figure(found))
        for target in TARGETS
        for flavor, found in results.items()
        if flavor.startswith(target.flavors)
    ]
