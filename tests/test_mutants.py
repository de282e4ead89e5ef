"""The mutants: each can be made, and what tries them tells those that are caught from the others.

`make mutants` tries all of them.
"""

import shutil
import sys
from pathlib import Path

import pytest

from devtools.combinations import FLAVORS
from devtools.mutants import MUTANTS, document
from devtools.rendering import ROOT, render, run

RULES = {f"R{number:02}" for number in range(1, 41)}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_rule_is_broken_in_every_flavor(flavor: str) -> None:
    assert {mutant.rule for mutant in MUTANTS if mutant.edits_for(flavor)} == RULES


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_mutant_can_be_made_and_its_test_is_there(
    flavor: str, template_files: Path, tmp_path: Path
) -> None:
    project = render(template_files, tmp_path / "project", FLAVORS[flavor])
    suite = "".join(path.read_text("utf-8") for path in (project / "tests").rglob("test_*.py"))
    for mutant in MUTANTS:
        if not mutant.edits_for(flavor):
            continue
        package = tmp_path / "mutant"
        shutil.copytree(project / "src/chat_store", package)
        for edit in mutant.edits_for(flavor):
            edit.apply(package)
            if edit.file.endswith(".py"):
                compile((package / edit.file).read_text("utf-8"), edit.file, "exec")
        assert f"def {mutant.test}(" in suite, mutant.what
        shutil.rmtree(package)


def test_no_two_mutants_have_the_same_name() -> None:
    assert len({(mutant.rule, mutant.what) for mutant in MUTANTS}) == len(MUTANTS)


def test_the_document_lists_the_mutants() -> None:
    text = (ROOT / "docs/mutants.md").read_text("utf-8")
    assert text == document(), "run python -m scripts.try_mutants --write"


# One that is caught, and others that are not, each for a reason of its own.
FEW_MUTANTS = """
import sys

from scripts import try_mutants
from devtools.mutants import Edit, Mutant

NAME = "test_R02_loading_what_is_absent_or_foreign_or_deleted_raises_not_found"
RIGHT = '        raise NotFoundError(f"{name} not found")'


def mutant(what, wrong, test=NAME):
    return Mutant(test, what, (Edit("store.py", RIGHT, wrong),))


try_mutants.MOST_SECONDS = 40
try_mutants.MUTANTS = [
    mutant("caught", "        raise KeyError(name)"),
    mutant("harmless", RIGHT + "  # as ever"),
    mutant("no Python", "        raise NoSuchName(name)"),
    mutant("not there", RIGHT, "test_R02_what_is_not_there"),
    Mutant(NAME, "nothing to break", (Edit("store.py", "what is not there", ""),)),
    Mutant(NAME, "no fixture", (Edit("migrations/0001_tables.sql", "CREATE", "MAKE"),)),
    mutant("endless", "        __import__('time').sleep(1000)"),
]
sys.argv = ["try_mutants.py", "--only", "sqlite"]
sys.exit(try_mutants.main())
"""


def test_only_a_test_that_fails_while_it_runs_catches_a_mutant() -> None:
    done = run(sys.executable, "-c", FEW_MUTANTS, cwd=ROOT)
    assert done.returncode == 1, done.stdout
    survived = [line for line in done.stdout.splitlines() if line.startswith("SURVIVED")]
    names = [line.partition("  R02  ")[2].strip() for line in survived]
    assert names == [
        "harmless",
        "no Python",
        "not there",
        "nothing to break",
        "no fixture",
        "endless",
    ], done.stdout
