"""The databases, as far as tests and scripts have to know them.

What they have to know of one stands with everything else about it, in
`choices/database/NAME/testing/database.py`, whose `DATABASE` is a `Database`.
"""

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest

from devtools.rendering import questions, run

IN_CI = os.environ.get("CI") == "true"


class MissingError(Exception):
    """Something is not installed; the message says how to install it.

    Attributes:
        is_excused: Whether CI goes on without it.
    """

    def __init__(self, message: str, *, is_excused: bool = False) -> None:
        super().__init__(message)
        self.is_excused = is_excused


EXCUSED = "CI goes on without it: "
"""How the reason of a skipped test begins that may be left out in CI, too."""


def give_up(reason: str, *, is_excused: bool = False) -> NoReturn:
    """End a test that lacks something: it fails in CI, but where that is excused; else it is skipped."""
    if is_excused:
        pytest.skip(f"{EXCUSED}{reason}")
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Place:
    """Where a rendered suite finds its database.

    Attributes:
        version: Which database that is.
        environment: The variables that lead the suite there.
    """

    version: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


PlaceMaker = Callable[[Any], AbstractContextManager[Place]]
"""Makes a place for the time of a block; it is given the suite's module `chat_store_database`."""


class Database(ABC):
    """A database.

    Attributes:
        time: The type of `created_at`.
        tables: SELECTs that describe tables, columns and indexes.
        slow_migration: SQL that runs for a minute where `LONG` is replaced by `long`.
        long: Takes a minute; 1 hardly any time.
        detours: Those of `places` that are between the driver and a server.
    """

    time: ClassVar[str]
    tables: ClassVar[Sequence[str]]
    slow_migration: ClassVar[str]
    long: ClassVar[int] = 60
    detours: ClassVar[Sequence[str]] = ()

    @property
    @abstractmethod
    def places(self) -> dict[str, PlaceMaker]:
        """Where CI runs the suite, each by its name; the first is the usual one."""

    @contextmanager
    def shared(self, suite: Any) -> Iterator[Place]:
        """Make a place that several runs of the suite share."""
        yield Place(type(self).__name__)


class ServerDatabase(Database):
    """A database that is a server.

    Attributes:
        name: What to call it.
        package: What Debian calls it.
        pools: For each driver, a script that makes a pool, has USE_POOL use it, and uses it after.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    pools: ClassVar[Mapping[str, str]]

    @abstractmethod
    def find(self, suite: Any) -> Any:
        """Find the program to start, or None; `suite` is the suite's `chat_store_database`."""

    @abstractmethod
    def query(self, url: str, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on a connection of their own, and give the rows of the last."""

    @abstractmethod
    def create_database(self, server_url: str, how: str = "") -> str:
        """Create an empty database; give the URL by which its owner uses it."""

    @abstractmethod
    def create_account(self, url: str, password: str) -> str:
        """Create an account that may read and write the rows of a database, no more.

        Returns:
            The URL by which it logs in, with a password that the server checks.
        """

    @abstractmethod
    def crash(self, server: Any) -> None:
        """Kill a server and all of its processes with SIGKILL, and start it again."""

    @abstractmethod
    def with_tls(self, server: Any, directory: Path) -> AbstractContextManager[None]:
        """Have a server speak TLS, for the block, with `server.crt` and `server.key`."""

    @abstractmethod
    def tls_url(self, url: str, authority: Path) -> str:
        """Give the URL that trusts an authority."""

    @contextmanager
    def running(self, suite: Any) -> Iterator[Any]:
        """Run a server for the time of a block; give the suite's object for it."""
        program = self.find(suite)
        if program is None:
            raise MissingError(f"{self.name} is missing: apt-get install {self.package}")
        server = suite.Server(program)
        try:
            server.start()
            yield server
        finally:
            server.remove()

    @contextmanager
    def shared(self, suite: Any) -> Iterator[Place]:
        """Run a server that several runs of the suite share."""
        with self.running(suite) as server:
            yield Place(self.name, {"CHAT_STORE_TEST_URL": server.url})


NAMES: list[str] = list(questions()["store_database"]["choices"].values())


@cache
def database(name: str) -> Database:
    """Give a database, by the name of its choice."""
    found = importlib.import_module(f"choices.database.{name}.testing.database").DATABASE
    assert isinstance(found, Database)
    return found


@cache
def server_database(name: str) -> ServerDatabase:
    """Give a database that is a server."""
    found = database(name)
    assert isinstance(found, ServerDatabase)
    return found


def servers() -> list[str]:
    """Name the databases that are servers."""
    return [name for name in NAMES if isinstance(database(name), ServerDatabase)]


def version_of(program: Path | str) -> str:
    """Give the version that a program prints."""
    done = run(program, "--version", cwd=Path.cwd())
    return next(word for word in done.stdout.split() if word[0].isdigit())
