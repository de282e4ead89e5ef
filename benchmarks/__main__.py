"""Measures the rendered Store beside what people would use instead, and writes docs/performance.md.

    make bench                                   everything; 25 minutes
    make bench BENCH="--quick"                   the table of targets, on shorter threads
    make bench BENCH="--quick --only asyncpg"    flavors whose name holds a text

The servers are private, and gone at the end; their data is on disk unless --memory is given. The
exit status is 1 where a row of the table is missed, or a flavor could not be measured.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

from devtools.combinations import FLAVORS
from devtools.rendered import import_rendered
from devtools.rendering import copy_tree, files_of, render

from . import report
from .cases import Plan, plan
from .copy_speed import in_turns, static_template
from .drivers import connect
from .targets import judge

VERSIONS_OF = (
    *("openai-chatkit", "pydantic", "psycopg", "psycopg-pool", "asyncpg", "asyncmy", "aiosqlite"),
    *("openai-agents", "SQLAlchemy", "langgraph", "langgraph-checkpoint-postgres"),
    "langgraph-checkpoint-sqlite",
)


class Run:
    """A run: its renders, its servers and its results.

    Args:
        directory: Where renders and data go.
        plan: How thoroughly to measure.
    """

    def __init__(self, directory: Path, plan: Plan) -> None:
        self._directory = directory
        self._plan = plan
        self._template = copy_tree(directory / "template")

    def measure(self, flavor: str) -> dict[str, Any]:
        """Measure a flavor."""
        project = render(self._template, self._directory / flavor, FLAVORS[flavor])
        with self._server(project, flavor) as (server, url):
            asked = {"flavor": flavor, "url": url, "plan": dataclasses.asdict(self._plan)}
            output = self._process(project, "benchmarks.flavor", asked=json.dumps(asked))
            return {
                "server": server,
                "figures": json.loads(output),
                "starts": self._starts(project, flavor, url),
            }

    def measure_copy(self) -> dict[str, Any]:
        """Measure how long it takes to copy the template."""
        project = self._directory / "copied"
        files = files_of(render(self._template, project, {}))
        shutil.rmtree(project)
        static = static_template(self._directory / "static", files)
        return {"copy": in_turns(self._template, static, {}, self._plan.rounds, project)}

    def _starts(self, project: Path, flavor: str, url: str) -> list[dict[str, float]]:
        def start(*more: str) -> dict[str, float]:
            output = self._process(project, "benchmarks.startup", flavor, url, *more)
            found: dict[str, float] = json.loads(output)
            return found

        start()  # writes the bytecode
        load = str(4 * self._plan.seconds)
        return [start() for _ in range(self._plan.starts - 1)] + [start("--load", load)]

    def _process(self, project: Path, module: str, *arguments: str, asked: str = "") -> str:
        path = [str(project / "src"), str(ROOT)]
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", module, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            cwd=project,
            input=asked,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            check=True,
        ).stdout

    @contextmanager
    def _server(self, project: Path, flavor: str) -> Iterator[tuple[str, str]]:
        """Run a flavor's server for the time of a block; give its version, and a URL."""
        database = FLAVORS[flavor]["store_database"]
        if database == "sqlite":
            yield f"SQLite {sqlite3.sqlite_version}", f"sqlite:///{self._directory / 'chat.db'}"
            return
        suite = import_rendered(project, "chat_store_database")
        found = suite.find_binaries()[0] if database == "postgresql" else suite.find_program()
        if found is None:
            raise RuntimeError("mariadb-server is missing")
        server = suite.Server(found)
        try:
            server.start()
            url = server.url.removesuffix("postgres").rstrip("/")
            with connect(server.url) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT version()")
                version = str(cursor.fetchone()[0]).split(" on ")[0].partition("-Debian")[0]
                cursor.execute("CREATE DATABASE chat")
            yield version, f"{url}/chat"
        finally:
            server.remove()


def machine() -> dict[str, str]:
    """Say what the machine is, and which versions are installed."""
    cpu = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        named = [line for line in about.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    versions = [f"{name} {importlib.metadata.version(name)}" for name in VERSIONS_OF]
    return {
        "machine": f"{os.cpu_count()} × {cpu}; {platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "versions": ", ".join(versions),
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> int:
    """Measure what was asked for; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--only", default="", metavar="TEXT", help="flavors whose name holds TEXT")
    parser.add_argument("--case", default="", metavar="TEXT", help="cases whose name holds TEXT")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each contestant in a round")
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[], help="of threads, powers of ten, if not all"
    )
    parser.add_argument("--memory", action="store_true", help="the servers' data in memory")
    parser.add_argument("--directory", type=Path, help="for all data (default: a temporary one)")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where to write")
    arguments = parser.parse_args()
    chosen = [flavor for flavor in FLAVORS if arguments.only in flavor]
    if not chosen:
        parser.error(f"no flavor's name holds {arguments.only!r}: {', '.join(FLAVORS)}")
    planned = plan(arguments.quick, arguments.lengths, arguments.rounds, arguments.seconds)
    cases = [case for case in planned.cases if arguments.case in case.name]
    planned = dataclasses.replace(planned, cases=cases)

    results: dict[str, Any] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="chat_store_", dir=arguments.directory) as name:
        Path(name).chmod(0o755)  # PostgreSQL's account, which is not root, has to get in
        run = Run(Path(name), planned)
        if not arguments.memory:  # the servers' data is there where TMPDIR says
            os.environ["TMPDIR"] = tempfile.tempdir = name
        results["template"] = run.measure_copy()
        for flavor in chosen:
            print(flavor, file=sys.stderr, flush=True)
            try:
                results[flavor] = run.measure(flavor)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                failed.append(f"{flavor}: {error}")
    settings = {
        "rounds": planned.rounds,
        "other rounds": planned.other_rounds,
        "seconds": planned.seconds,
        "data": "in memory" if arguments.memory else "on disk",
        "mode": "quick" if arguments.quick else "full",
    }
    verdicts = judge(results)
    found = {"machine": machine(), "settings": settings, "results": results}
    report.write(found, verdicts, arguments.docs)
    for verdict in verdicts:
        unit = verdict.target.unit
        print(
            f"{verdict.text:12} {verdict.flavor:20} {verdict.target.text}: {verdict.figure} {unit}"
        )
    for failure in failed:
        print(f"NOT MEASURED: {failure}")
    return 1 if failed or any(verdict.text == "MISSED" for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
