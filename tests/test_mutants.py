"""The mutants: each can be made, and what tries them tells those that are caught from the others.

`make mutants` tries all of them.
"""

import sys
from pathlib import Path

import pytest

from devtools.combinations import FLAVORS
from devtools.mutants import answers_of, mutants_of
from devtools.rendering import ROOT, render, run

RULES = {f"R{number:02}" for number in range(1, 45)}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_rule_is_broken_in_every_flavor(flavor: str) -> None:
    mutants = mutants_of(flavor)
    assert {mutant.rule for mutant in mutants} >= RULES
    assert len({(mutant.rule, mutant.what) for mutant in mutants}) == len(mutants)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_mutant_can_be_made(flavor: str, template_files: Path, tmp_path: Path) -> None:
    package = render(template_files, tmp_path, answers_of(flavor)) / "src/chat_store"
    for mutant in mutants_of(flavor):
        sound = {file: (package / file).read_bytes() for file in {it.file for it in mutant.edits}}
        for edit in mutant.edits:
            edit.apply(package)
            if edit.file.endswith(".py"):
                compile((package / edit.file).read_text("utf-8"), edit.file, "exec")
        for file, text in sound.items():
            (package / file).write_bytes(text)


def test_the_promises_alone_notice_nine_of_ten() -> None:
    mutants = [mutant for flavor in FLAVORS for mutant in mutants_of(flavor)]
    assert sum(not mutant.full for mutant in mutants) >= 0.9 * len(mutants)


# One that is caught, and others that are not, each for a reason of its own.
FEW_MUTANTS = """
import sys

from devtools.mutants import Edit, Mutant
from scripts import try_mutants

RIGHT = '    if not rows:\\n        raise NotFoundError(f"{name} not found")'


def mutant(what, wrong, rule="R02", file="store.py", right=RIGHT, **more):
    return Mutant(rule, what, [Edit(file, "", {"-": right, "+": wrong})], **more)


mutants = [
    mutant("caught", "    if not rows:\\n        raise KeyError(name)"),
    mutant("by promises, too", "    if not rows:\\n        raise KeyError(name)", full="So it was said."),
    mutant("harmless", RIGHT + "  # as ever"),
    mutant("no Python", "    if not rows:\\n        raise NoSuchName(name)"),
    mutant("no such test", "    if not rows:\\n        raise KeyError(name)", "R99"),
    mutant("nothing to break", "", right="what is not there"),
    mutant("no fixture", "MAKE TABLE", file="migrations/0001_tables.sql", right="CREATE TABLE"),
    mutant("endless", "    if not rows:\\n        __import__('time').sleep(1000)"),
]
try_mutants.MOST_SECONDS = 8
try_mutants.mutants_of = lambda flavor: mutants
sys.argv = ["try_mutants.py", "--only", "sqlite"]
sys.exit(try_mutants.main())
"""


def test_only_a_test_that_fails_while_it_runs_catches_a_mutant() -> None:
    done = run(sys.executable, "-c", FEW_MUTANTS, cwd=ROOT)
    assert done.returncode == 1, done.stdout
    bad = [line for line in done.stdout.splitlines() if line.startswith(("CAUGHT", "SURVIVED"))]
    assert [line.split("  ")[-1] for line in bad] == [
        "harmless",
        "no Python",
        "no such test",
        "nothing to break",
        "no fixture",
        "endless",
    ], done.stdout
