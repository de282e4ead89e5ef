"""What is measured: operations, by how many tasks, on items of which size, between whom."""

from dataclasses import dataclass

HANDS = ["by hand", "by hand, with pydantic"]
STORES = [*HANDS, "the guide's way"]
OTHERS = ["Agents SDK", "LangGraph", "LangGraph, a list of one", "by hand, in transactions"]

LENGTH = 1_000
"""How long the threads are that pages are read from, where that is not what is measured."""
LENGTH_OF_LARGE = 100


@dataclass(frozen=True)
class Case:
    """A comparison.

    Attributes:
        operation: What is done, as in `workload.operations_of`.
        tasks: How many tasks do it at the same time.
        size: How large items are.
        others: Who is measured beside the Store, where the flavor has them.
    """

    operation: str
    tasks: int
    size: str
    others: list[str]

    @property
    def name(self) -> str:
        """What to call it in results."""
        return f"{self.operation}, {self.tasks} tasks, {self.size}"

    @property
    def length(self) -> int:
        """How long the thread is that is read."""
        return LENGTH_OF_LARGE if self.size == "100 KB" else LENGTH


def quick() -> list[Case]:
    """Give what the table of targets needs."""
    return [
        Case("add an item", 16, "1 KB", STORES + OTHERS),
        Case("add an item", 64, "1 KB", STORES + OTHERS),
        Case("last page", 16, "1 KB", STORES + OTHERS),
        Case("text turn", 16, "1 KB", STORES),
    ]


def full() -> list[Case]:
    """Give everything."""
    cases: list[Case] = []
    for tasks in (1, 16, 64):
        for size in ("200 B", "1 KB", "100 KB"):
            cases.append(Case("add an item", tasks, size, STORES + OTHERS))
            cases.append(Case("last page", tasks, size, STORES + OTHERS))
        for operation in ("save a thread", "load a thread", "first page", "list threads"):
            cases.append(Case(operation, tasks, "1 KB", STORES))
        cases.append(Case("middle page", tasks, "1 KB", HANDS))
        cases.append(Case("text turn", tasks, "1 KB", STORES))
        cases.append(Case("long turn and its retry", tasks, "1 KB", STORES))
    return cases


PAGES = ("first page", "middle page", "last page")
"""What is measured on threads of growing length."""
GROWN_SIZE = "200 B"


@dataclass(frozen=True)
class Plan:
    """How thoroughly a flavor is measured.

    Attributes:
        cases: The comparisons.
        lengths: How long threads are whose pages are compared.
        rounds: How many rounds, of what the table of targets needs.
        other_rounds: How many of all else.
        seconds: How long each contestant is measured in a round.
        starts: How often the package is imported and started.
    """

    cases: list[Case]
    lengths: list[int]
    rounds: int
    other_rounds: int
    seconds: float
    starts: int


def plan(is_quick: bool, lengths: list[int], rounds: int | None, seconds: float | None) -> Plan:
    """Make a plan; what is None is what is usual."""
    return Plan(
        cases=quick() if is_quick else full(),
        lengths=lengths or [1_000, 100_000] if is_quick else [1_000, 10_000, 100_000, 1_000_000],
        # Short and many: a disk may change its speed tenfold within seconds.
        rounds=rounds or (15 if is_quick else 31),
        other_rounds=3,
        seconds=seconds or 0.15,
        starts=3 if is_quick else 9,
    )
