"""Fixtures and rules of the template's tests."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from devtools import history as history_of_the_template
from devtools.rendering import FIRST, commit, copy_tree

IN_CI = os.environ.get("CI") == "true"

# No setting of the machine's git reaches the tests, nor a repository that git works for right now.
for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(name, None)
os.environ.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree, as a git repository with a version."""
    repository = copy_tree(tmp_path_factory.mktemp("template"))
    commit(repository, FIRST)
    return repository


@pytest.fixture(scope="session")
def template_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree without git, which renders faster and knows no version."""
    return copy_tree(tmp_path_factory.mktemp("template_files"))


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template with earlier versions, today's, and a next one."""
    return history_of_the_template.build(tmp_path_factory.mktemp("history"))


def give_up(reason: str) -> NoReturn:
    """End a test that lacks something: it fails in CI, and is skipped elsewhere."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def tool() -> Callable[[str], str]:
    """Find a program of .venv; where it is missing, CI fails, and others skip the test."""

    def find(name: str) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        found = shutil.which(name, path=path)
        if found is None:
            give_up(f"{name} is missing: pip install -r requirements-dev.txt")
        return found

    return find


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Spreads the tests over the workers, but leaves to one those that share much."""

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid.partition("::")[0]
        return name if name.endswith(("test_render.py", "test_mistakes.py")) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Choose how pytest-xdist spreads the tests."""
    return _Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no skipped test pass in CI."""
    if IN_CI and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, and never assert."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name} in {report.nodeid}: {value}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last what was not run, and what it takes."""
    for reason in _skipped(config):
        print(f"NOT RUN: {reason}")


def _skipped(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [
        f"{report.nodeid}: {report.longrepr[2].removeprefix('Skipped: ')}" for report in reports
    ]
