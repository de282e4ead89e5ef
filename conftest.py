"""Fixtures and rules of the template's tests."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from devtools import history as history_of_the_template
from devtools.combinations import FLAVORS
from devtools.databases import EXCUSED, IN_CI, MissingError, give_up, server_database
from devtools.rendered import import_rendered
from devtools.rendering import FIRST, ROOT, commit, copy_tree, render, run
from devtools.temporary import use_memory

# No setting of the machine's git reaches the tests, nor a repository that git works for right now.
for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(name, None)
os.environ.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
# The tests start hundreds of processes, each of which would compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
use_memory()
# A job in the background ignores SIGINT, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def project_of(
    template_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Render a flavor, once."""
    directory = tmp_path_factory.mktemp("projects")
    return cache(lambda flavor: render(template_files, directory / flavor, FLAVORS[flavor]))


@pytest.fixture(scope="session")
def server_of(project_of: Callable[[str], Path]) -> Iterator[Callable[[str], Any]]:
    """Run the server of a database that has one, once."""
    with ExitStack() as stack:

        @cache
        def start(name: str) -> Any:
            flavor = next(it for it, way in FLAVORS.items() if way["store_database"] == name)
            suite = import_rendered(project_of(flavor), "chat_store_database")
            try:
                return stack.enter_context(server_database(name).running(suite))
            except MissingError as error:
                give_up(str(error))

        yield start


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Find a program of .venv; where it is missing, CI fails, and others skip the test."""

    def find(name: str) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        found = shutil.which(name, path=path)
        if found is None:
            give_up(f"{name} is missing: pip install -r requirements-dev.txt")
        return found

    return find


@pytest.fixture(scope="session")
def mypy_cache() -> Path:
    """Where mypy keeps what it has found out about libraries, which takes it most of its time.

    `make lint` keeps it there, too.
    """
    return ROOT / ".mypy_cache"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Path:
    """A directory with the certificates of two authorities, and of a server that one has signed."""
    directory: Path = tmp_path_factory.mktemp("certificates")
    for name in ("right", "wrong"):
        request = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
        call(tool, directory, f"{request} -keyout {name}.key -out {name}.crt")
    (directory / "name").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    request = "req -newkey rsa:2048 -nodes -subj /CN=server"
    call(tool, directory, f"{request} -keyout server.key -out server.csr")
    sign = "x509 -req -in server.csr -CA right.crt -CAkey right.key -CAcreateserial -days 2"
    call(tool, directory, f"{sign} -extfile name -out server.crt")
    return directory


def call(tool: Callable[[str], str], directory: Path, arguments: str) -> None:
    """Run openssl."""
    done = run(tool("openssl"), *arguments.split(), cwd=directory)
    assert done.returncode == 0, done.stdout


TOGETHER = {
    "test_buckets.py": "buckets",
    "test_mistakes.py": "mistakes",
    **dict.fromkeys(("test_application.py", "test_render.py", "test_types_of_users.py"), "types"),
}
"""Modules whose tests share what takes long to make, and what to call it."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Spreads the tests over the workers, but leaves to one those that share much."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0].rpartition("/")[2], nodeid)


def pytest_xdist_auto_num_workers() -> int:
    """Choose how many workers `-n auto` starts: one more than there are cores, as tests wait, too."""
    return (os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Choose how pytest-xdist spreads the tests."""
    return _Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no skipped test pass in CI, but those that are excused."""
    if IN_CI and any(EXCUSED not in reason for reason in _skipped(session.config)):
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
