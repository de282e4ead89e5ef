r"""Realistic mistakes in the rendered Store, each of which the rendered suite has to catch.

A test that cannot fail proves nothing. Each mutant breaks one rule of the contract, and
`scripts/try_mutants.py` sees a test of that rule fail. What every render has is broken by the file
`mutants.txt` beside this module, what an answer brings by that in the answer's folder of `choices/`.
There, blank lines stand between mutants, and each looks like this:

    R04 statements.py SAVE_ITEM: a rule, or an extra; the file, or a constant in it; what is wrong
    full: why only the full suite catches it; left out where the promises do
    -text that stands there once
    +text to stand there instead

A mark may have several lines, whose texts begin right behind it; without a line of +, the text goes.
With ~ in place of -, the text is a regular expression, and \1 its first group. A mutant may change
several places: the next begins with the line `statements.py SAVE_ITEM:`. Where several constants are
named, A|B, it is one mutant for each.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from devtools.combinations import FLAVORS
from devtools.rendering import ROOT, Answers

CHOICES = ROOT / "choices"

# What contexts and ids have mutants, a flavor each by turns.
_TURNS: list[Answers] = [
    {
        "store_context": "tenant",
        "store_tenant_scope": "tenant",
        "store_id_format": "deterministic",
    },
    {"store_context": "pydantic"},
    {"store_context": "tenant", "store_tenant_scope": "user"},
    {"store_context": "dataclass"},
]


@dataclass
class Edit:
    """A change to a file of the rendered package.

    Attributes:
        file: The file, below the package.
        within: The constant to change; "" for the whole file.
        marked: The texts, by their marks.
    """

    file: str
    within: str
    marked: dict[str, str]

    def apply(self, package: Path) -> None:
        """Change the file.

        Raises:
            LookupError: The text to change is not there, or more than once.
        """
        path = package / self.file
        text = path.read_text("utf-8")
        start = text.find(f"\n{self.within} = ") if self.within else 0
        end = text.find("\n\n", start) if self.within else len(text)
        wrong = self.marked.get("+", "")
        if "~" in self.marked:
            changed, count = re.subn(self.marked["~"], wrong, text[start:end])
        else:
            right = self.marked["-"]
            changed, count = text[start:end].replace(right, wrong), text[start:end].count(right)
        if count != 1 or start < 0:
            raise LookupError(f"{self}: its text stands there {count} times")
        path.write_text(f"{text[:start]}{changed}{text[end:]}", encoding="utf-8")


@dataclass
class Mutant:
    """A Store with a mistake.

    Attributes:
        rule: The rule that is broken, or the extra whose tests have to notice.
        what: What is wrong.
        edits: The changes that make it.
        full: Why only the full suite catches it; "" where the promises do.
    """

    rule: str
    what: str
    edits: list[Edit] = field(default_factory=list[Edit])
    full: str = ""

    def is_tested_by(self, test: str) -> bool:
        """Tell whether a test, `module.py::test_name`, has to notice."""
        return f"::test_{self.rule}_" in test or f"_{self.rule}.py::" in test


def answers_of(flavor: str) -> Answers:
    """Give the answers that a flavor's mutants are made with, among them extras that have mutants."""
    turn = dict(zip(FLAVORS, cycle(_TURNS), strict=False))[flavor]
    extras = dict.fromkeys(("store_attachments", "store_transfer", "store_user_data"), True)
    return {**FLAVORS[flavor], **turn, **extras}


def mutants_of(flavor: str) -> list[Mutant]:
    """Read the mutants that can be made in a flavor."""
    answers = answers_of(flavor)
    folders = set(answers.values())
    if (CHOICES / "database" / str(answers["store_database"]) / "dialect.py").exists():
        folders.add("server")
    files = [
        path
        for path in sorted(CHOICES.rglob("mutants.txt"))
        if folders.issuperset(path.relative_to(CHOICES).parts[1:-1])
    ]
    return [
        mutant
        for path in (ROOT / "devtools" / "mutants.txt", *files)
        for mutant in _read(path.read_text("utf-8"))
    ]


def by_turns() -> dict[str, list[Mutant]]:
    """Give each flavor some mutants, so that each mutant is made in one flavor that has it."""
    by_flavor = {flavor: mutants_of(flavor) for flavor in FLAVORS}
    chosen: dict[str, list[Mutant]] = {flavor: [] for flavor in FLAVORS}
    for mutants in by_flavor.values():
        for mutant in mutants:
            having = [flavor for flavor, others in by_flavor.items() if mutant in others]
            if not any(mutant in chosen[flavor] for flavor in having):
                min((chosen[flavor] for flavor in having), key=len).append(mutant)
    return chosen


def _read(text: str) -> Iterator[Mutant]:
    for block in text.strip().split("\n\n"):
        names = block.partition(":")[0].split()[-1]
        for name in names.split("|"):
            yield _parse(block.replace(f"{names}:", f"{name}:", 1), names != name)


def _parse(block: str, is_one_of_several: bool) -> Mutant:
    head, *lines = block.splitlines()
    place, _, what = head.partition(": ")
    rule, *places = place.split()
    mutant = Mutant(rule, f"{what}, {places[-1]}" if is_one_of_several else what)
    mutant.edits.append(Edit(places[0], " ".join(places[1:]), {}))
    for line in lines:
        mark, marked = line[0], mutant.edits[-1].marked
        if line.startswith("full: "):
            mutant.full = line.removeprefix("full: ")
        elif mark in "-~+":
            marked[mark] = f"{marked[mark]}\n{line[1:]}" if mark in marked else line[1:]
        else:
            file, *within = line.removesuffix(":").split()
            mutant.edits.append(Edit(file, " ".join(within), {}))
    return mutant
