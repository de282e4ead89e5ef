"""The rendered promises: they pass for a covering set of answers, in all sorts of projects.

Every way of answering a question is in one run at least, each flavor too, and so is every situation
below. All promises are tried on each server's driver, and on SQLite with deterministic ids, which all
of them meet; the other runs are of those that contexts and ids have a part in.
`python -m scripts.matrix` runs the full suite.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devtools.combinations import FLAVORS, each_once, factors, merged
from devtools.rendering import Answers, Render, render_beside_my_app, run, write

# What a user's own tests may hold: fixtures of the same names, and helpers of common names.
OWN_TESTS = {
    "tests/conftest.py": '''"""The user's own fixtures."""

import pytest


@pytest.fixture(autouse=True)
def runs_for_every_test(request):
    assert request.node.name


@pytest.fixture
def store():
    return "the user's store"


@pytest.fixture
def alice():
    return "the user's alice"
''',
    "tests/tools.py": "NAME = 'the tools of the user'\n",
    "tests/test_own.py": '''"""The user's own tests."""

import tools


def test_own_fixtures_stay(store, alice):
    assert (store, alice) == ("the user's store", "the user's alice")
    assert tools.NAME == "the tools of the user"
''',
}
OWN_ASYNC_TEST = {
    "tests/test_own_async.py": '''"""A test of the user's that pytest-asyncio runs."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_own_coroutine():
    await asyncio.sleep(0)
''',
}


# pytest-asyncio warns of a default.
ALL_WARNINGS = """
asyncio_default_fixture_loop_scope = "function"
filterwarnings = ["error"]
"""


@dataclass(frozen=True)
class Situation:
    """A project that the suite finds itself in, and how it is run there."""

    name: str
    settings: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])
    arguments: tuple[str, ...] = ()
    in_tests_directory: bool = False


SITUATIONS = [
    Situation("plain"),
    Situation("importlib", settings='addopts = ["--import-mode=importlib"]\n'),
    Situation("asyncio-auto", settings='asyncio_mode = "auto"\n', files=OWN_ASYNC_TEST),
    Situation("asyncio-strict", settings='asyncio_mode = "strict"\n', files=OWN_ASYNC_TEST),
    Situation("warnings-are-errors", settings=ALL_WARNINGS),
    Situation("from-the-tests-directory", in_tests_directory=True),
    Situation("beside-own-tests", settings='testpaths = ["tests"]\n', files=OWN_TESTS),
    Situation("strict", settings='addopts = ["--strict-markers", "--strict-config"]\n'),
    Situation("in-parallel", arguments=("-n", "2")),
]


# Without those of streams, for which the Agents SDK would be imported.
SOME = ("-k", "own or owners or ids or threads_and_items or server", "--ignore-glob=*_agents*.py")
# `scripts.matrix` runs the tests of extras on each server.
NO_EXTRAS = tuple(f"--ignore-glob=*_{name}.py" for name in ("attachments", "transfer", "user_data"))


def cases() -> list[object]:
    """Put each way of answering, and each situation, into one case at least."""
    rows = [{**merged(row), "store_tests": "promises"} for row in each_once(factors())]
    first = next(iter(FLAVORS.values()))
    for row in rows[len(FLAVORS) :]:  # one that needs no server
        row.pop("store_driver", None)
        row.update(first)
    made: list[object] = []
    for number in range(max(len(rows), len(SITUATIONS))):
        answers = rows[number % len(rows)]
        situation = SITUATIONS[number % len(SITUATIONS)]
        chosen = [answers[f"store_{name}"] for name in ("database", "id_format", "context")]
        name = "-".join([*map(str, chosen), situation.name])
        arguments: tuple[str, ...] = SOME
        if answers["store_database"] != first["store_database"]:
            arguments = NO_EXTRAS
        elif answers["store_id_format"] == "deterministic":
            arguments = ()
        made.append(pytest.param(answers, situation, arguments, id=name))
    return made


@pytest.mark.parametrize(("answers", "situation", "chosen"), cases())
def test_the_suite_passes(
    answers: Answers,
    situation: Situation,
    chosen: tuple[str, ...],
    template_files: Path,
    tmp_path: Path,
    tool: Callable[[str], str],
) -> None:
    write(tmp_path, situation.files)
    if situation.settings:
        settings = f"[tool.pytest.ini_options]\n{situation.settings}"
        write(tmp_path, {"pyproject.toml": settings})
    one = render_beside_my_app(template_files, tmp_path, answers)
    own = len([name for name in situation.files if "/test_" in name])
    passed = run_suite(one, situation, tool("pytest"), chosen)
    assert passed > own + (10 if chosen == SOME else 40)  # one at least for each rule


def run_suite(
    one: Render, situation: Situation, pytest_program: str, chosen: tuple[str, ...]
) -> int:
    """Run tests of the project, and give how many there were; each has to pass."""
    cwd = one.path / one.tests if situation.in_tests_directory else one.path
    arguments = ("-ra", *situation.arguments, *chosen)
    done = run(pytest_program, *arguments, cwd=cwd, without="PYTEST_")
    print(done.stdout)
    summary = done.stdout.rstrip().rpartition("\n")[2]
    assert done.returncode == 0, summary
    counts = re.findall(r"(\d+) (\w+)", summary.partition(" in ")[0])
    assert {what for _, what in counts} <= {"passed", "deselected", "warning", "warnings"}, summary
    return int(counts[0][0])
