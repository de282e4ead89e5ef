"""Measures the rendered Store beside what people would use instead, and prints a table.

    make bench                                   everything
    make bench BENCH="--quick --only asyncpg"    few rounds and 100,000 items, of flavors so named
    make bench BENCH=--write                     writes docs/performance.md and its plots, too

The servers are private, and gone at the end; their data is on the disk that TMPDIR names. The exit
status is 1 where a row of the table is missed, or was not measured.
"""

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from devtools.combinations import FLAVORS
from devtools.databases import server_database
from devtools.rendered import import_rendered
from devtools.rendering import ROOT, copy_tree, render

from . import report, slow_disk
from .measuring import Figures
from .table import ADD, ADD_ON_SLOW_DISK, IMPORT, STORE


class Run:
    """A run, in a directory of its own.

    Args:
        directory: Where renders and data go.
        is_quick: Whether to measure less.
    """

    def __init__(self, directory: Path, is_quick: bool) -> None:
        self._directory = directory
        self._template = copy_tree(directory / "template")
        self._length = 100_000 if is_quick else 1_000_000
        # Short and many: a disk may change its speed tenfold within seconds.
        self.rounds = 7 if is_quick else 31
        self._seconds = 0.1 if is_quick else 0.15
        self._imports = 3 if is_quick else 7

    def measure(self, flavor: str) -> tuple[str, dict[str, Figures]]:
        """Measure a flavor; give the version of its server, and the figures of each case."""
        project = render(self._template, self._directory / flavor, FLAVORS[flavor])
        with self._server(project, flavor) as (server, url):
            found = self._cases(project, flavor, url)
        if flavor == "sqlite" and sys.platform == "linux" and shutil.which("gcc"):
            slow = {"LD_PRELOAD": str(slow_disk.compiled(self._directory))}
            url = f"sqlite:///{self._directory / 'slow.db'}"
            slowly = self._cases(project, flavor, url, "--adds-only", **slow)
            found[ADD_ON_SLOW_DISK] = slowly[ADD]
        self._python(project, "benchmarks.startup", flavor)  # writes the bytecode
        imports = [
            float(self._python(project, "benchmarks.startup", flavor)) for _ in range(self._imports)
        ]
        found[IMPORT] = {STORE: imports}
        return server, found

    def _cases(
        self, project: Path, flavor: str, url: str, *options: str, **environment: str
    ) -> dict[str, Figures]:
        plan = (self._length, self.rounds, self._seconds)
        arguments = (flavor, url, *map(str, plan), *options)
        found: dict[str, Figures] = json.loads(
            self._python(project, "benchmarks.flavor", *arguments, **environment)
        )
        return found

    def _python(self, project: Path, module: str, *arguments: str, **environment: str) -> str:
        path = os.pathsep.join([str(project / "src"), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", module, *arguments],
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "", **environment},
            cwd=project,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    @contextmanager
    def _server(self, project: Path, flavor: str) -> Iterator[tuple[str, str]]:
        """Run a flavor's server for the time of a block; give its version, and a URL."""
        if flavor == "sqlite":
            yield f"SQLite {sqlite3.sqlite_version}", f"sqlite:///{self._directory / 'chat.db'}"
            return
        database = server_database(FLAVORS[flavor]["store_database"])
        with database.running(import_rendered(project, "chat_store_database")) as server:
            url = database.create_database(server.url)
            [(version,)] = database.query(url, "SELECT version()")
            yield f"{database.name} {re.findall('[0-9.]+', version)[0]}", url


def main() -> int:
    """Measure what was asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, and 100,000 items")
    parser.add_argument("--only", default="", metavar="TEXT", help="flavors whose name has TEXT")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    flavors = [flavor for flavor in FLAVORS if arguments.only in flavor]
    if not flavors:
        parser.error(f"no flavor's name has {arguments.only!r}: {', '.join(FLAVORS)}")
    if arguments.write and (arguments.quick or arguments.only):
        parser.error("--write is of everything")

    start = time.monotonic()
    results: dict[str, dict[str, Figures]] = {}
    servers: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="chat_store_") as name:
        Path(name).chmod(0o755)  # PostgreSQL's account, which is not root, has to get in
        os.environ["TMPDIR"] = tempfile.tempdir = name  # or servers' data would be in memory
        run = Run(Path(name), arguments.quick)
        for flavor in flavors:
            results[flavor] = {}
            with suppress(subprocess.CalledProcessError):  # it has said what is wrong
                servers[flavor], results[flavor] = run.measure(flavor)
            print(f"{flavor}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    print(report.table(results))
    missed = report.missed(results)
    for row in missed:
        print(f"missed, or not measured: {row}")
    if arguments.write and all(results.values()):
        report.write(results, servers, run.rounds, ROOT / "docs")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
