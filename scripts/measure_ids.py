"""Measures what each id format does to an index, on PostgreSQL and on SQLite.

    python scripts/measure_ids.py                 prints the table of docs/choose.md
    python scripts/measure_ids.py --rows 20000    sooner, and less telling

The ids are the rendered `ids.py`'s own, made five milliseconds apart by a clock that is moved on,
and inserted in that order. There are two indexes: of ids alone, and of the Store's key for items,
in which the owner and the thread come first; there, owners take turns, each in one thread at a time.

For each index: its bytes by row, how full its leaves are, and how many of its pages the last
hundredth of the rows changed, which have to be in memory then, and go to the disk. It takes
PostgreSQL with its extensions, as Debian installs it.
"""

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from chatkit.types import ThreadMetadata
from matrix import postgresql
from rendered import import_rendered
from rendering import copy_tree, questions, render

STEP = 5_000_000  # nanoseconds between two ids
OWNERS = 200  # who take turns
ITEMS = 20  # of a thread, before its owner begins another

Row = tuple[str, ...]

KINDS = {"alone": ("id",), "Store's key": ("owner_id", "thread_id", "id")}
"""The indexes, and the columns of each."""


@dataclass(frozen=True)
class Index:
    """What was found of an index.

    Attributes:
        size: Its bytes for each row.
        density: How full its leaves are, in percent.
        touched: How many of its pages the last rows changed.
    """

    size: float
    density: float
    touched: int


def main() -> None:
    """Measure all formats, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="chat_store_") as name:
        directory = Path(name)
        template = copy_tree(directory / "template")
        project = render(template, directory / "any", {"store_database": "postgresql"})
        with postgresql(import_rendered(project, "chat_store_database")) as server:
            print(
                f"{count:,} rows; {server.version}, SQLite {sqlite3.sqlite_version}. "
                f"Bytes a row, how full the leaves are, pages that the last {count // 100:,} rows changed.\n"
            )
            databases = {
                "PostgreSQL": partial(in_postgresql, server.url),
                "SQLite": partial(in_sqlite, directory / "measured.db"),
            }
            names = [f"{database}, {kind}" for kind in KINDS for database in databases]
            print(f"| `store_id_format` | {' | '.join(names)} |")
            print("|---|" + "---|" * len(names))
            for choice in questions()["store_id_format"]["choices"].values():
                if choice != "custom":  # which is what somebody makes of it
                    answers = {"store_id_format": choice}
                    project = render(template, directory / choice, answers)
                    rows = make_rows(project, count)
                    print(f"| `{choice}` | {' | '.join(measure(databases, rows))} |", flush=True)


def measure(
    databases: Mapping[str, Callable[[Sequence[str], list[Row]], Index]], rows: list[Row]
) -> Iterator[str]:
    """Measure the rows' indexes in each database, as cells of the table."""
    for columns in KINDS.values():
        # Of two equal ids, the index takes one.
        keys = list(dict.fromkeys(row[-len(columns) :] for row in rows))
        met = f", {len(rows) - len(keys)} met" if len(keys) < len(rows) else ""
        for measure_in in databases.values():
            index = measure_in(columns, keys)
            yield f"{index.size:.0f} B, {index.density:.0f} %, {index.touched:,}{met}"


def make_rows(project: Path, count: int) -> list[Row]:
    """Make rows of owner, thread and id, as time goes on."""
    ids: Any = import_rendered(project, "chat_store.ids")
    context: Any = import_rendered(project, "chat_store.context").RequestContext
    now = 1_767_225_600_000_000_000
    rows: list[Row] = []
    with patch("time.time_ns", lambda: now):
        threads: dict[str, str] = {}
        for number in range(count):
            turn, who = divmod(number, OWNERS)
            owner = f"user_{who:08}"
            asks = context(user_id=owner, request_id=f"{owner} {turn}")
            if turn % ITEMS == 0:
                threads[owner] = ids.new_id("thread", None, asks)
            now += STEP
            thread = ThreadMetadata.model_construct(id=threads[owner])
            rows.append((owner, threads[owner], ids.new_id("message", thread, asks)))
    return rows


def in_postgresql(url: str, columns: Sequence[str], rows: list[Row]) -> Index:
    """Build the index on PostgreSQL."""
    with psycopg.connect(url, autocommit=True) as connection:

        def run(statement: str) -> tuple[Any, ...]:
            cursor = connection.execute(statement.encode())
            return cursor.fetchone() or () if cursor.description else ()

        def insert(some: list[Row]) -> None:
            with connection.cursor() as cursor, cursor.copy("COPY measured FROM STDIN") as copy:
                for row in some:
                    copy.write_row(row)

        for extension in ("pageinspect", "pgstattuple"):
            run(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        fields = ", ".join(f'{column} text COLLATE "C"' for column in columns)
        run("DROP TABLE IF EXISTS measured")
        run(f"CREATE TABLE measured ({fields}, PRIMARY KEY ({', '.join(columns)}))")
        last = len(rows) // 100
        insert(rows[:-last])
        (before,) = run("SELECT pg_current_wal_insert_lsn()")
        insert(rows[-last:])
        (touched,) = run(
            "SELECT count(*) FROM generate_series(1, pg_relation_size('measured_pkey') / 8192 - 1) "
            "AS page, page_header(get_raw_page('measured_pkey', page::int)) "
            f"WHERE lsn > '{before}'"
        )
        size, density = run("SELECT index_size, avg_leaf_density FROM pgstatindex('measured_pkey')")
    return Index(size / len(rows), density, touched)


def in_sqlite(path: Path, columns: Sequence[str], rows: list[Row]) -> Index:
    """Build the index on SQLite, where a table without a rowid is nothing but its index."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:

        def run(statement: str) -> tuple[Any, ...]:
            return connection.execute(statement).fetchone() or ()

        def insert(some: list[Row]) -> None:
            run("BEGIN")
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO measured VALUES ({marks})", some)
            run("COMMIT")

        run("PRAGMA journal_mode = WAL")
        run("PRAGMA cache_size = -1000000")  # kB; or a page may be written more than once
        fields = ", ".join(f"{column} TEXT" for column in columns)
        run(f"CREATE TABLE measured ({fields}, PRIMARY KEY ({', '.join(columns)})) WITHOUT ROWID")
        last = len(rows) // 100
        insert(rows[:-last])
        run("PRAGMA wal_checkpoint(TRUNCATE)")
        insert(rows[-last:])
        touched = path.with_name(f"{path.name}-wal").stat().st_size // (4096 + 24)
        (size,) = run("SELECT sum(pgsize) FROM dbstat WHERE name = 'measured'")
        (density,) = run(
            "SELECT 100.0 * sum(pgsize - unused) / sum(pgsize) FROM dbstat "
            "WHERE name = 'measured' AND pagetype = 'leaf'"
        )
    return Index(size / len(rows), density, touched)


if __name__ == "__main__":
    main()
