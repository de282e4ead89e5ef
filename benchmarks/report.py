"""Writes the table and the plots."""

import importlib.metadata
import os
import platform
import re
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

from .measuring import Figures
from .plots import bars
from .table import (
    ADD,
    ADD_ON_SLOW_DISK,
    FLAVORS,
    ROWS,
    STALL,
    TURN,
    Results,
    Row,
)

TITLES = {
    "sqlite": "SQLite",
    "postgresql-psycopg": "PostgreSQL, psycopg",
    "postgresql-asyncpg": "PostgreSQL, asyncpg",
    "mysql": "MariaDB",
}
_PACKAGES = (
    *("openai-chatkit", "pydantic", "psycopg", "psycopg-pool", "asyncpg", "asyncmy", "aiosqlite"),
    *("openai-agents", "SQLAlchemy", "langgraph-checkpoint-postgres"),
)
_GENERATED = re.compile(
    r"(?<=<!-- written by `make bench` -->\n\n).*?(?=\n<!-- end -->)", re.DOTALL
)


def missed(results: Results) -> list[str]:
    """Name the rows that a flavor misses, or that were not measured."""
    found: list[str] = []
    for row in ROWS:
        for flavor in results:
            if flavor in row.flavors:
                figure = row.figure(results[flavor])
                if figure is None or row.is_missed(figure):
                    found.append(f"{row.text}: {TITLES[flavor]}")
    return found


def table(results: Results) -> str:
    """Write the table of all rows in Markdown: the median of each flavor, and the quartiles."""
    flavors = [flavor for flavor in FLAVORS if flavor in results]
    lines = [["", "wanted", *(TITLES[flavor] for flavor in flavors)], ["---"] * (len(flavors) + 2)]
    for row in ROWS:
        wanted = f"at {'most' if row.is_most else 'least'} {row.limit:g} {row.unit}"
        cells = [_cell(row, results[flavor]) if flavor in row.flavors else "" for flavor in flavors]
        if any(cells):
            lines.append([row.text, wanted, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(row: Row, found: Mapping[str, Figures]) -> str:
    figure = row.figure(found)
    if figure is None:
        return "not measured"
    median = f"{figure.median:.3g}"
    shown = f"**missed: {median}**" if row.is_missed(figure) else median
    return f"{shown} ({figure.low:.3g}–{figure.high:.3g})"


def write(results: Results, servers: Mapping[str, str], rounds: int, docs: Path) -> None:
    """Write the table into docs/performance.md, and the plots beside it."""
    page = docs / "performance.md"
    written = f"{table(results)}\n{_machine(servers, rounds)}\n"
    text, places = _GENERATED.subn(lambda _: written, page.read_text("utf-8"))
    if places != 1:
        raise SystemExit(f"{page.name} has {places} places for the table, and not 1")
    page.write_text(text, "utf-8")
    for name, plot in _drawings(results).items():
        (docs / f"performance-{name}.svg").write_text(plot, "utf-8")


def _machine(servers: Mapping[str, str], rounds: int) -> str:
    cpu = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists() and (named := re.search(r"model name\s*: (.+)", about.read_text())):
        cpu = named[1]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    return (
        f"{time.strftime('%Y-%m-%d')}, {rounds} rounds, {os.cpu_count()} × {cpu}, "
        f"{platform.system()}, Python {platform.python_version()}; "
        f"{', '.join([*dict.fromkeys(servers.values()), *versions])}."
    )


def _drawings(results: Results) -> dict[str, str]:
    def medians(case: str, more: str = "") -> dict[str, dict[str, float]]:
        return {
            TITLES[flavor] + more: {
                name: statistics.median(values) for name, values in cases[case].items()
            }
            for flavor, cases in results.items()
            if case in cases
        }

    pages = {
        title: {name: 1000 / rate for name, rate in rates.items()}
        for title, rates in medians("middle page").items()
    }
    adding = medians(ADD) | medians(ADD_ON_SLOW_DISK, ", 4 ms more for each fsync")
    return {
        "add": bars("Adding an item of 1 KB, items a second", adding, "/s"),
        "turn": bars("A whole turn, 16 tasks, turns a second", medians(TURN), "/s"),
        "page": bars("A page of twenty from the middle of a thread", pages, "ms"),
        "stall": bars("Longest stall of the event loop under load", medians(STALL), "ms"),
    }
