"""Tries the mutants of the rendered Store: the test that is to catch each of them has to fail.

    python -m scripts.try_mutants                all of them, in every flavor
    python -m scripts.try_mutants --only R17     those of a rule, or in a flavor
    python -m scripts.try_mutants --write        none: write docs/mutants.md anew

What counts is a test that fails while it runs, and that passes on the Store as it is; an error of a
fixture or of an import does not count, nor does a run that takes too long. A mutant that survives
makes the exit status 1. A flavor whose server is missing is named, with what to install for it; in
CI (CI=true) that is a failure.

What the suite imports is imported here, once, and each mutant is tried in a fork of this process.
"""

import argparse
import atexit
import gc
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path
from typing import NoReturn

import pytest

from devtools.combinations import FLAVORS
from devtools.databases import MissingError, Place, database
from devtools.mutants import MUTANTS, Mutant, document
from devtools.rendered import import_rendered
from devtools.rendering import ROOT, copy_tree, render
from devtools.rendering import run as run_command

PACKAGE, SUITE = Path("src/chat_store"), Path("tests/chat_store")
DOCUMENT = ROOT / "docs" / "mutants.md"

AT_ONCE = (os.cpu_count() or 1) + 1  # some only wait
MOST_SECONDS = 120  # of one mutant: some wait for ever
MOST_BYTES = 4 * 2**30  # and some fill the memory

# What the suite and the Store import, beside the driver. The SDK takes a second.
IMPORTS = ("agents", "chatkit.agents", "chatkit.server", "httpx", "starlette.routing", "uvicorn")


@dataclass(frozen=True)
class Flavor:
    """A render that mutants are made of, and where its suite finds a server.

    Attributes:
        name: The answers that it was rendered with.
        project: Where it is.
        place: Where its suite finds a server.
        tests: For the name of each test, what pytest calls it.
    """

    name: str
    project: Path
    place: Place
    tests: Mapping[str, str]


@dataclass
class Run:
    """A run of tests, on a mutant or on the Store as it is.

    Attributes:
        flavor: Whose tests.
        tests: What pytest calls them.
        mutant: What to break; None to break nothing.
        passed: Those that passed.
        failed: Those that failed while they ran; of a mutant's, only the first.
        printed: What pytest printed.
        seconds: How long it took.
    """

    flavor: Flavor
    tests: list[str]
    mutant: Mutant | None = None
    passed: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    printed: str = ""
    seconds: float = 0.0


class Recorder:
    """A plugin of pytest that notes the tests that pass, and those that fail while they run.

    Errors of fixtures are not noted, nor errors that say that the package is no Python.
    """

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at a test that has run."""
        if report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_exception_interact(self, call: "pytest.CallInfo[object]", report: object) -> None:
        """Look at an error."""
        if not isinstance(report, pytest.TestReport) or report.when != "call":
            return
        if call.excinfo and not call.excinfo.errisinstance((ImportError, NameError, SyntaxError)):
            self.failed.append(report.nodeid)


def main() -> int:
    """Try the mutants that were asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="NAME", help="a rule, or a flavor")
    parser.add_argument("--write", action="store_true", help="only write docs/mutants.md")
    arguments = parser.parse_args()
    only: str = arguments.only
    names = [name for name in FLAVORS if only == name] or list(FLAVORS)
    mutants = [mutant for mutant in MUTANTS if only == mutant.rule] or MUTANTS
    if arguments.write:
        DOCUMENT.write_text(document(), encoding="utf-8")
        return 0
    if only and len(names) == len(FLAVORS) and len(mutants) == len(MUTANTS):
        parser.error(f"{only!r} is no rule, and none of the flavors {', '.join(FLAVORS)}")

    with (
        tempfile.TemporaryDirectory(prefix="chat_store_") as name,
        flavors(names, Path(name)) as made,
    ):
        survivors = try_all(mutants, made, Path(name))
    is_lacking = len(made) < len(names) and os.environ.get("CI") == "true"
    return 1 if survivors or is_lacking else 0


@contextmanager
def flavors(names: Sequence[str], directory: Path) -> Iterator[list[Flavor]]:
    """Render flavors, and run their servers for the time of a block."""
    template = copy_tree(directory / "template")
    with ExitStack() as stack:
        made: list[Flavor] = []
        for name in names:
            project = render(template, directory / name, FLAVORS[name])
            suite = import_rendered(project, "chat_store_database")
            try:
                shared = database(FLAVORS[name]["store_database"]).shared(suite)
                place = stack.enter_context(shared)
            except MissingError as error:
                print(f"NOT RUN: {name}. {error}")
            else:
                made.append(Flavor(name, project, place, find_tests(project)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the SDK warns of itself
            for module in IMPORTS:
                importlib.import_module(module)
        for flavor in made:
            # Compiles the suite and the package, once for all mutants.
            run_command(
                *(sys.executable, "-m", "pytest", "--collect-only"),
                cwd=flavor.project,
                env={"PYTHONDONTWRITEBYTECODE": ""},
            )
        gc.freeze()  # or each fork would go through all of that, and copy it
        yield made


def find_tests(project: Path) -> dict[str, str]:
    """Find the tests of a suite, and what pytest calls each."""
    return {
        name: f"{(SUITE / path.name).as_posix()}::{name}"
        for path in (project / SUITE).glob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
    }


def try_all(mutants: Sequence[Mutant], flavors: Sequence[Flavor], directory: Path) -> list[Run]:
    """Try mutants in flavors, and print what became of them.

    Returns:
        The runs of those that survived.
    """
    runs = [
        Run(flavor, [flavor.tests.get(mutant.test, mutant.test)], mutant)
        for flavor in flavors
        for mutant in mutants
        if mutant.edits_for(flavor.name)
    ]
    began = time.monotonic()
    for run in in_forks(runs, directory):
        print(
            f"{name_of(run)}  {run.seconds:4.1f} s  {'' if run.failed else 'SURVIVED'}", flush=True
        )

    # A test that fails on the Store as it is has caught nothing.
    controls = [
        Run(flavor, sorted(tests))
        for flavor in flavors
        if (tests := {test for run in runs if run.flavor is flavor for test in run.failed})
    ]
    sound = {
        (control.flavor.name, test)
        for control in in_forks(controls, directory)
        for test in control.passed
    }
    caught = [run for run in runs if {(run.flavor.name, test) for test in run.failed} & sound]
    survivors = [run for run in runs if run not in caught]
    for control in controls:
        if set(control.tests) - set(control.passed):
            print(f"{control.printed}\n{control.flavor.name}: tests fail on the Store as it is")
    for run in survivors:
        print(f"{run.printed}\nSURVIVED: {name_of(run)}")
    seconds = time.monotonic() - began
    print(f"{len(caught)} mutants caught, {len(survivors)} survived, in {seconds:.0f} s")
    return survivors


def name_of(run: Run) -> str:
    """Say which mutant a run is about."""
    assert run.mutant is not None
    return f"{run.flavor.name:20} {run.mutant.rule}  {run.mutant.what:80}"


def in_forks(runs: Iterable[Run], directory: Path) -> Iterator[Run]:
    """Make runs, some at once; give each when it has ended."""
    waiting = iter(runs)
    running: dict[int, tuple[Run, Path, float]] = {}
    while True:
        while len(running) < AT_ONCE and (run := next(waiting, None)):
            place = Path(tempfile.mkdtemp(dir=directory))
            sys.stdout.flush()  # or the fork would print it, too
            pid = os.fork()
            if not pid:
                _run_and_exit(run, place)
            running[pid] = (run, place, time.monotonic())
        if not running:
            return
        pid, _ = os.wait()
        if pid not in running:  # a server's, that has crashed
            continue
        run, place, began = running.pop(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the tests have started, and left
        run.seconds = time.monotonic() - began
        run.printed = (place / "printed").read_text("utf-8", "replace")
        with suppress(FileNotFoundError):  # it was killed
            found = json.loads((place / "found.json").read_text("utf-8"))
            run.passed, run.failed = found["passed"], found["failed"]
        shutil.rmtree(place)
        yield run


def _run_and_exit(run: Run, place: Path) -> NoReturn:
    try:
        os.setsid()
        signal.alarm(MOST_SECONDS if run.mutant else 10 * MOST_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        output = os.open(place / "printed", os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(output, stream)
        # What the parent does at its end is not for its forks.
        atexit._clear()
        recorder = Recorder()
        _pytest(run, place, recorder)
        found = {"passed": recorder.passed, "failed": recorder.failed}
        (place / "found.json").write_text(json.dumps(found), encoding="utf-8")
        # The suite drops its database.
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _pytest(run: Run, place: Path, recorder: Recorder) -> None:
    project = place / "project"
    shutil.copytree(run.flavor.project, project)
    arguments = ["-q", "--tb=native", "-p", "no:cacheprovider", f"--basetemp={place / 'tmp'}"]
    if run.mutant is not None:
        arguments.append("-x")
        for edit in run.mutant.edits_for(run.flavor.name):
            edit.apply(project / PACKAGE)
            # It may be as long as before, and of the same second.
            compiled = Path(cache_from_source(str(project / PACKAGE / edit.file)))
            compiled.unlink(missing_ok=True)
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "CHAT_STORE_"))]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.update(run.flavor.place.environment)
    sys.path[:] = [path for path in sys.path if path != str(ROOT)]
    os.chdir(project)
    pytest.main([*arguments, *run.tests], plugins=[recorder])


if __name__ == "__main__":
    sys.exit(main())
