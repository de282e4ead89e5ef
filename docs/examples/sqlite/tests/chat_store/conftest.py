"""Fixtures of the chat store's tests: an open Store on a database of its own for each test."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent
_PROJECT = _HERE.parents[1]

# The package is found whether it is installed or not, and the modules beside this file under
# every import mode of pytest.
sys.path[:0] = [
    str(_PROJECT / "src"),
    str(_HERE),
    str(_HERE / "full"),
]

with warnings.catch_warnings():  # the SDK warns of its own classes
    warnings.simplefilter("ignore", DeprecationWarning)
    from chat_store_adapter import IGNORED, make_context, open_probe, open_store
    from chat_store_database import Probe
    from chat_store_fixtures import command, old_probe, set_local_zone
    from chat_store_rules import table
    from chat_store_tools import close_loop, run_async
    from chat_store_under_test import ChatStore, RequestContext

__all__ = ["command", "old_probe", "set_local_zone"]

collect_ignore = IGNORED


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave out what the SDK says of its own classes whenever it reads a widget."""
    ignored = "ignore:Direct usage of named widget classes:DeprecationWarning"
    item.add_marker(pytest.mark.filterwarnings(ignored))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which of the Store's promises are kept."""
    in_full = terminalreporter.verbosity >= 0
    if lines := table(terminalreporter.stats, in_full=in_full):
        terminalreporter.section("promises of the chat store")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session", autouse=True)
def _loop_ends_with_the_session() -> Iterator[None]:
    yield
    close_loop()


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    """An empty database, with direct access that bypasses the Store."""
    with open_probe(tmp_path) as probe:
        yield probe


@pytest.fixture
def store(probe: Probe) -> Iterator[ChatStore]:
    """An open Store on the probe's database."""
    stack = AsyncExitStack()
    yield run_async(stack.enter_async_context(open_store(probe)))
    run_async(stack.aclose())


@pytest.fixture
def alice() -> RequestContext:
    """The context of one owner."""
    return make_context("alice", "request-of-alice")


@pytest.fixture
def bob() -> RequestContext:
    """The context of another owner."""
    return make_context("bob", "request-of-bob")
