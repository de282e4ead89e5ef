"""Fixtures that some of the test modules use; conftest.py brings them to all."""

import runpy
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from chat_store_database import Probe
from chat_store_tools import run_async
from chat_store_under_test import ChatStore, migrate

PACKAGE = ChatStore.__module__.rpartition(".")[0]
MIGRATIONS = [migration.name for migration in migrate.load()]

Command: TypeAlias = Callable[..., tuple[object, str]]


@pytest.fixture
def set_local_zone() -> Iterator[Callable[[str], None]]:
    """Sets the process's time zone, written as POSIX does; the old one comes back."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change the time zone of a process")
    with pytest.MonkeyPatch.context() as patch:

        def set_zone(name: str) -> None:
            patch.setenv("TZ", name)
            time.tzset()

        yield set_zone
    time.tzset()


@pytest.fixture(params=["empty", "outdated"])
def old_probe(
    request: pytest.FixtureRequest, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Probe]:
    """A database without tables, or with only the first migration applied."""
    if request.param == "outdated":
        with monkeypatch.context() as patch:
            first = migrate.load()[:1]
            patch.setattr(migrate, "load", lambda: first)
            run_async(ChatStore(probe.url).migrate())
        assert applied(probe) == MIGRATIONS[:1]
    yield probe


def applied(probe: Probe) -> list[str]:
    """Return the names of the migrations that the database has seen."""
    return [
        name
        for (name,) in probe.query(
            "SELECT name FROM chatkit_migrations ORDER BY version"
        )
    ]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The package's command line, which gives its exit status and what it prints."""

    def run(*arguments: str, url: str = "") -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", [PACKAGE, *arguments])
        monkeypatch.setenv("CHAT_STORE_URL", url)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(PACKAGE, run_name="__main__")
        printed = capsys.readouterr()
        return ended.value.code, printed.out + printed.err

    return run
