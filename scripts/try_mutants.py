"""Tries the mutants of the rendered Store: a test of the rule that each breaks has to fail.

    python -m scripts.try_mutants                each, in one of the flavors that have it, by turns
    python -m scripts.try_mutants --only mysql   all of a flavor
    python -m scripts.try_mutants --only R17     all of a rule, in every flavor; or both: R17,mysql

First come the tests of the promises, and those of the full suite where these pass. What counts is a
test that fails while it runs, and that passes on the Store as it is; an error of a fixture or of an
import does not count, nor does a run that takes too long. A mutant that survives, or that `promises`
do not catch although its entry gives no reason, makes the exit status 1. A flavor whose server is
missing is named, with what to install for it; in CI (CI=true) that is a failure.

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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path
from typing import NoReturn

import pytest

from devtools.combinations import FLAVORS
from devtools.databases import IN_CI, MissingError, Place, database
from devtools.mutants import Mutant, answers_of, by_turns, mutants_of
from devtools.rendered import import_rendered
from devtools.rendering import ROOT, copy_tree, render, run
from devtools.temporary import use_memory

PACKAGE, SUITE = Path("src/chat_store"), Path("tests/chat_store")

NOTHING = Mutant("", "the Store as it is")

AT_ONCE = (os.cpu_count() or 1) + 1  # some only wait
MOST_SECONDS = 60  # of one mutant: some wait for ever
MOST_BYTES = 4 * 2**30  # and some fill the memory

# What the suite and the Store import, beside the driver. The SDK takes a second.
IMPORTS = ("agents", "chatkit.agents", "chatkit.server", "httpx", "starlette.routing", "uvicorn")


@dataclass(frozen=True)
class Flavor:
    """A render with the full suite, of which the promises are a part.

    Attributes:
        name: The database and the driver.
        project: Where it is.
        place: Where the suite finds its server.
        tests: What pytest calls its tests.
    """

    name: str
    project: Path
    place: Place
    tests: list[str]


@dataclass(eq=False)
class Trial:
    """A run of tests, on a mutant or on the Store as it is.

    Attributes:
        flavor: Whose tests.
        mutant: What to break.
        tests: Which tests.
        passed: The tests that passed, and how many seconds they took.
        failed: Those that failed while they ran; of a mutant's, only the first.
        printed: What pytest printed.
        seconds: How long it took.
    """

    flavor: Flavor
    mutant: Mutant
    tests: list[str] = field(default_factory=list[str])
    passed: dict[str, float] = field(default_factory=dict[str, float])
    failed: list[str] = field(default_factory=list[str])
    printed: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.flavor.name:20} {self.mutant.rule:8} {self.mutant.what}"


class Recorder:
    """A plugin of pytest that notes the tests that pass, in which time, and those that fail.

    Errors of fixtures are not noted, nor errors that say that the package is no Python.
    """

    def __init__(self) -> None:
        self.passed: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at a test that has run."""
        if report.when == "call" and report.passed:
            self.passed[report.nodeid] = report.duration

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
    parser.add_argument("--only", default="", metavar="NAMES", help="rules, or flavors")
    arguments = parser.parse_args()
    only = set(arguments.only.split(",")) - {""}
    names = [name for name in FLAVORS if name in only] or list(FLAVORS)
    mutants = (
        {
            name: [it for it in mutants_of(name) if it.rule in only or only <= FLAVORS.keys()]
            for name in names
        }
        if only
        else by_turns()
    )
    if not any(mutants.values()):
        parser.error(f"no mutants of {arguments.only}; the flavors are {', '.join(FLAVORS)}")
    use_memory()
    with tempfile.TemporaryDirectory(prefix="chat_store_") as directory, ExitStack() as stack:
        flavors = list(prepare(names, Path(directory), stack))
        is_good = try_all(
            [(flavor, mutant) for flavor in flavors for mutant in mutants[flavor.name]],
            Path(directory),
        )
    return 0 if is_good and (len(flavors) == len(names) or not IN_CI) else 1


def prepare(names: Iterable[str], directory: Path, stack: ExitStack) -> Iterator[Flavor]:
    """Render flavors with their suites, and start their servers."""
    template = copy_tree(directory / "template")
    for name in names:
        project = render(template, directory / name, {**answers_of(name), "store_tests": "full"})
        module = import_rendered(project, "chat_store_database")
        try:
            place = stack.enter_context(database(FLAVORS[name]["store_database"]).shared(module))
        except MissingError as error:
            print(f"NOT RUN: {name}. {error}")
            continue
        # Compiles the suite and the package, once for all mutants.
        run(
            *(sys.executable, "-m", "pytest", "--collect-only"),
            cwd=project,
            env={"PYTHONDONTWRITEBYTECODE": ""},
        )
        yield Flavor(name, project, place, find_tests(project))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK warns of itself
        for module in IMPORTS:
            importlib.import_module(module)
    gc.freeze()  # or each fork would go through all of that, and copy it


def find_tests(project: Path) -> list[str]:
    """Find the tests of a suite, and what pytest calls each."""
    return [
        f"{path.relative_to(project).as_posix()}::{name}"
        for path in sorted((project / SUITE).rglob("test_*.py"))
        for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
    ]


def try_all(mutants: Sequence[tuple[Flavor, Mutant]], directory: Path) -> bool:
    """Try mutants, print what became of them, and tell whether all is as it should be."""
    began = time.monotonic()
    left = [Trial(flavor, mutant) for flavor, mutant in mutants]
    counts: list[int] = []
    bad: list[str] = []
    for depth in ("promises", "full"):
        is_full = depth == "full"
        for trial in left:
            trial.tests = [
                test
                for test in trial.flavor.tests
                if ("/full/" in test) == is_full and trial.mutant.is_tested_by(test)
            ]
        failed = [trial for trial in in_forks(left, directory) if trial.failed]
        sound = find_sound(failed, directory)
        found = [trial for trial in failed if (trial.flavor.name, *trial.failed) in sound]
        for trial in found:
            print(f"{depth:8} {trial}  {trial.seconds:.1f} s", flush=True)
            if is_full and not trial.mutant.full:
                bad.append(f"CAUGHT BY full: {trial}")
        counts.append(len(found))
        left = [trial for trial in left if trial not in found]
    bad += [f"{trial.printed}\nSURVIVED: {trial}" for trial in left]
    print(*bad, sep="\n")
    print(
        f"{counts[0]} mutants caught by promises, {counts[1]} by full only, {len(left)} survived, "
        f"in {time.monotonic() - began:.0f} s"
    )
    return not bad


def find_sound(failed: Sequence[Trial], directory: Path) -> set[tuple[str, str]]:
    """Find the tests, each with its flavor, that pass on the Store as it is."""
    controls = [
        Trial(flavor, NOTHING, sorted({it.failed[0] for it in failed if it.flavor is flavor}))
        for flavor in {trial.flavor.name: trial.flavor for trial in failed}.values()
    ]
    sound: set[tuple[str, str]] = set()
    for control in in_forks(controls, directory):
        sound |= {(control.flavor.name, test) for test in control.passed}
        if set(control.tests) - set(control.passed):
            print(f"{control.printed}\nTESTS FAIL: {control}")
    return sound


def in_forks(trials: Iterable[Trial], directory: Path) -> Iterator[Trial]:
    """Make trials, some at once; give each when it has ended."""
    waiting = (trial for trial in trials if trial.tests)
    known: dict[str, float] = {}  # how long a test takes: the fast ones come first
    running: dict[int, tuple[Trial, Path, float]] = {}
    while True:
        while len(running) < AT_ONCE and (trial := next(waiting, None)):
            place = Path(tempfile.mkdtemp(dir=directory))
            trial.tests.sort(key=lambda test: known.get(test, 0.0))
            sys.stdout.flush()  # or the fork would print it, too
            pid = os.fork()
            if not pid:
                _try_and_exit(trial, place)
            running[pid] = (trial, place, time.monotonic())
        if not running:
            return
        pid, _ = os.wait()
        if pid not in running:  # a server's, that has crashed
            continue
        trial, place, began = running.pop(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the tests have started, and left
        trial.seconds, trial.passed, trial.failed = time.monotonic() - began, {}, []
        trial.printed += (place / "printed").read_text("utf-8", "replace")
        with suppress(FileNotFoundError):  # it was killed
            trial.passed, trial.failed = json.loads((place / "found").read_text("utf-8"))
            known |= {test.partition("[")[0]: it for test, it in trial.passed.items()}
        shutil.rmtree(place)
        yield trial


def _try_and_exit(trial: Trial, place: Path) -> NoReturn:
    try:
        os.setsid()
        signal.alarm(MOST_SECONDS if trial.mutant.edits else 10 * MOST_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        output = os.open(place / "printed", os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(output, stream)
        # What the parent does at its end is not for its forks.
        atexit._clear()
        recorder = Recorder()
        _pytest(trial, place, recorder)
        (place / "found").write_text(json.dumps([recorder.passed, recorder.failed]))
        # The suite drops its database.
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _pytest(trial: Trial, place: Path, recorder: Recorder) -> None:
    project = place / "project"
    shutil.copytree(trial.flavor.project, project)
    # In CI, pytest may take a minute to explain how two long values differ: --assert=plain.
    arguments = ["-q", "--tb=native", "--assert=plain", "-p", "no:cacheprovider"]
    arguments.append(f"--basetemp={place / 'tmp'}")
    if trial.mutant.edits:
        arguments.append("-x")
    for edit in trial.mutant.edits:
        edit.apply(project / PACKAGE)
        # It may be as long as before, and of the same second.
        compiled = Path(cache_from_source(str(project / PACKAGE / edit.file)))
        compiled.unlink(missing_ok=True)
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "CHAT_STORE_"))]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.update(trial.flavor.place.environment)
    sys.path[:] = [path for path in sys.path if path != str(ROOT)]
    os.chdir(project)
    pytest.main([*arguments, *trial.tests], plugins=[recorder])


if __name__ == "__main__":
    sys.exit(main())
