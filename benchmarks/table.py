"""The table: what the Store must reach, and the verdict on a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from .measuring import Figures, Summary, ratio, summary

STORE = "the Store"
BY_HAND = "by hand"
GUIDE = "the guide's pattern"
SESSION = "SQLAlchemySession"
SAVER = "LangGraph's saver"
PYDANTIC = "pydantic"
SHORT, LONG = "1,000 items", "1,000,000 items"

ADD = "add an item"
ADD_ON_SLOW_DISK = "add an item, slow disk"
LAST = "last page"
TURN = "whole turn"
PAGES = ("first page", "middle page", "newest page")
STALL = "stall"
CODEC = "codec"
IMPORT = "import"

Results = Mapping[str, Mapping[str, Figures]]
"""For each flavor, the figures of each case."""

POSTGRESQL = ("postgresql-psycopg", "postgresql-asyncpg")
SERVERS = (*POSTGRESQL, "mysql")
FLAVORS = ("sqlite", *SERVERS)


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        text: What is compared.
        limit: What must be reached: at most, where less is better, else at least.
        cases: The cases that it judges; the worst counts.
        of: The contestant.
        to: Whom it is compared with, or None where the figure itself counts.
        flavors: Where it applies.
        is_most: Whether less is better.
        unit: What the figures are.
    """

    text: str
    limit: float
    cases: tuple[str, ...]
    of: str
    to: str | None
    flavors: tuple[str, ...] = FLAVORS
    is_most: bool = False
    unit: str = "×"

    def figure(self, found: Mapping[str, Figures]) -> Summary | None:
        """Give the figure of a flavor, or None where it was not measured."""
        figures = [
            ratio(found[case], self.of, self.to) if self.to else summary(found[case][self.of])
            for case in self.cases
            if case in found
        ]
        worst = max if self.is_most else min
        return worst(figures, key=lambda figure: figure.median) if figures else None

    def is_missed(self, figure: Summary) -> bool:
        """Tell whether a figure is not good enough."""
        return figure.median > self.limit if self.is_most else figure.median < self.limit


ROWS = [
    Row("Add an item, 16 tasks, against the same by hand", 0.85, (ADD,), STORE, BY_HAND, SERVERS),
    Row("Load the last twenty items, likewise", 0.80, (LAST,), STORE, BY_HAND, SERVERS),
    Row("Add an item, against `SQLAlchemySession`", 4, (ADD,), STORE, SESSION, POSTGRESQL),
    Row("Add an item, against LangGraph's saver", 4, (ADD,), STORE, SAVER, POSTGRESQL),
    Row(
        "A whole turn, 16 tasks, against the guide's pattern", 12, (TURN,), STORE, GUIDE, POSTGRESQL
    ),
    Row("Add an item, 64 tasks, against one connection", 2.5, (ADD,), STORE, BY_HAND, ("sqlite",)),
    Row(
        *("The same, with 4 ms more for each `fsync`", 12, (ADD_ON_SLOW_DISK,)),
        *(STORE, BY_HAND, ("sqlite",)),
    ),
    Row(
        *("Time of a page in a thread of 1,000,000 items, against 1,000", 1.3, PAGES, SHORT, LONG),
        is_most=True,
    ),
    Row(
        *("Longest stall of the event loop, against that by hand", 1.7, (STALL,), STORE, BY_HAND),
        is_most=True,
    ),
    Row(
        *("CPU time to write a widget of 20 KB, against pydantic", 1.3, (CODEC,), STORE, PYDANTIC),
        is_most=True,
    ),
    Row(
        *("CPU time to import it, beyond `chatkit` and the driver", 20, (IMPORT,), STORE, None),
        is_most=True,
        unit="ms",
    ),
]
