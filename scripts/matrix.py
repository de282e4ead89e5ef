"""Runs the full rendered suite of every flavor wherever it has to work.

    python -m scripts.matrix                   all of it
    python -m scripts.matrix --only asyncpg    the runs whose name a regular expression finds
    python -m scripts.matrix --list            only names the runs
    python -m scripts.matrix --direct          without those through a pooler or an engine
    python -m scripts.matrix --promises        only the promises, each flavor on one server

A run is named after a flavor, and after the server: the installed one, another version, or what is
between: a pooler, or an engine of SQLAlchemy's. Drivers of one database share its versions among
them. Through a pooler or an engine, what is deeper than the promises is run only where it is about
connections. Runs that are named after versions of the template have the code and the promises of
one version on the tables of a later one, as a rolling deployment does. What cannot run is named at
the end, with what to install for it; in CI (CI=true) that is a failure, but where it is excused.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from devtools import history
from devtools.combinations import EXTRAS, FLAVORS
from devtools.contract import serves
from devtools.databases import IN_CI, MissingError, Place, database
from devtools.rendered import import_rendered
from devtools.rendering import Answers, render, run
from devtools.temporary import use_memory

MIGRATIONS = Path("src/chat_store/migrations")
DEEP_TESTS = Path("tests/chat_store/full")
# Of these, the modules in which it matters what is between the Store and its server.
ABOUT_CONNECTIONS = ("budgets", "cancellation", "faults", "races", "running_in_depth")

# Whose code and suite run on whose tables.
TODAY = (history.TODAY, history.TODAY)
OLD_CODE = [(old, history.TODAY) for old in history.EARLIER] + [(history.TODAY, history.NEXT)]
NAMED = {history.TODAY: "today", history.NEXT: "next"}


@dataclass(frozen=True)
class Leg:
    """A run of a suite.

    Attributes:
        flavor: Which answers.
        place: The name of the server; of those that the flavor's database has.
        versions: Whose code and suite, and whose tables.
    """

    flavor: str
    place: str
    versions: tuple[str, str] = TODAY

    @property
    def is_detour(self) -> bool:
        """Whether something is between the Store and its server."""
        return self.place in database(FLAVORS[self.flavor]["store_database"]).detours

    def __str__(self) -> str:
        if self.versions == TODAY:
            return f"{self.flavor}-{self.place}"
        old, new = (NAMED.get(version, version) for version in self.versions)
        return f"{self.flavor}-{old}-on-{new}"


def legs() -> list[Leg]:
    """Give all runs."""
    given: list[Leg] = []
    for name in dict.fromkeys(way["store_database"] for way in FLAVORS.values()):
        drivers = [flavor for flavor, way in FLAVORS.items() if way["store_database"] == name]
        detours = database(name).detours
        servers = [place for place in database(name).places if place not in detours]
        for turn, flavor in enumerate(drivers):
            places = [*servers[turn :: len(drivers)], *detours]
            given += [Leg(flavor, place) for place in places]
        given += [
            Leg(drivers[0], servers[0], versions)
            for versions in OLD_CODE
            if drivers[0] in history.flavors(versions[0])
        ]
    return given


def main() -> int:
    """Run what was asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="runs whose name it finds")
    parser.add_argument("--list", action="store_true", help="only name the runs")
    parser.add_argument("--direct", action="store_true", help="no pooler, and no engine")
    parser.add_argument("--promises", action="store_true", help="only the promises of each flavor")
    parser.add_argument("--python", default=sys.executable, help="what runs the suites")
    arguments = parser.parse_args()
    chosen = [leg for leg in legs() if re.search(arguments.only, str(leg))]
    if arguments.direct:
        chosen = [leg for leg in chosen if not leg.is_detour]
    if arguments.promises:
        chosen = list({leg.flavor: leg for leg in reversed(chosen)}.values())[::-1]
    if arguments.list:
        print(*chosen, sep="\n")
        return 0
    if not chosen:
        parser.error(f"{arguments.only!r} finds no run's name; --list shows them")

    use_memory()
    failed: list[Leg] = []
    missing: dict[Leg, MissingError] = {}
    with tempfile.TemporaryDirectory(prefix="chat_store_") as directory:
        projects = Projects(Path(directory))
        for leg in chosen:
            project = projects.give(leg, in_full=leg.versions == TODAY and not arguments.promises)
            if project is None:
                print(f"{leg!s:40} nothing to do: no new tables that it has to run on")
                continue
            suite = import_rendered(project, "chat_store_database")
            start = database(FLAVORS[leg.flavor]["store_database"]).places[leg.place]
            try:
                with start(suite) as place:
                    if not passes(leg, project, place, arguments.python):
                        failed.append(leg)
            except MissingError as error:
                missing[leg] = error
    for leg in failed:
        print(f"FAILED: {leg}")
    for leg, reason in missing.items():
        print(f"NOT RUN: {leg}. {reason}")
    lacking = [leg for leg, reason in missing.items() if not reason.is_excused]
    return 1 if failed or (lacking and IN_CI) else 0


class Projects:
    """Renders what the runs need, each once.

    Args:
        directory: Where they go.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template = history.build(directory / "template")

    def give(self, leg: Leg, *, in_full: bool) -> Path | None:
        """Give a version's project with the migrations of a later one.

        None if that has no more, or none on which the code of the version still runs.
        """
        code, tables = leg.versions
        # What is between the Store and its server is the same for all that uses the Store. Only an
        # engine needs its extra, which through a pooler needs other options.
        extras = EXTRAS if in_full else ["store_sqlalchemy"]
        if leg.is_detour:
            extras = ["store_sqlalchemy"] if leg.place == "engine" else []
        depth = {"store_tests": "full" if in_full else "promises"}
        answers = {**FLAVORS[leg.flavor], **depth, **dict.fromkeys(extras, True)}
        project = self._render(code, answers)
        if code == tables:
            return project
        own, later = (each / MIGRATIONS for each in (project, self._render(tables, answers)))
        has_more = {path.name for path in later.iterdir()} - {path.name for path in own.iterdir()}
        trees = self._template.parent
        if not has_more or not serves(trees / tables, trees / code):
            return None
        both = self._directory / f"{project.name}-{tables}"
        shutil.copytree(project, both)
        for migration in later.glob("*.sql"):
            shutil.copy(migration, both / MIGRATIONS)
        return both

    def _render(self, version: str, answers: Answers) -> Path:
        project = self._directory / "-".join([version, *map(str, answers.values())])
        if not project.exists():
            render(self._template, project, answers, vcs_ref=version)
        return project


def passes(leg: Leg, project: Path, place: Place, python: str) -> bool:
    """Run the suite of a project in a place; say how it went."""
    began = time.monotonic()
    left_out = [
        f"--ignore={path}"
        for path in (project / DEEP_TESTS).glob("test_*.py")
        if leg.is_detour and path.stem.removeprefix("test_chat_store_") not in ABOUT_CONNECTIONS
    ]
    done = run(
        *(python, "-m", "pytest", "-q", "-n", str(os.cpu_count()), *left_out, "tests"),
        cwd=project,
        env=place.environment,
        without="PYTEST_",
    )
    if done.returncode:
        print(done.stdout)
    passed = re.search(r"(\d+) passed", done.stdout)
    seconds = time.monotonic() - began
    count = passed[1] if passed else 0
    print(f"{leg!s:40} {place.version:25} {count:>4} passed {seconds:4.0f} s", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
