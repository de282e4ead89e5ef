"""Measures how much room the rendered tables and indexes take.

    python scripts/measure_schema.py                  a million items: the table of docs/schema.md
    python scripts/measure_schema.py --items 100000   sooner

The items have 1 KB of JSON and are spread over threads of twenty; an owner has fifty threads, and
ids are as UUIDv7 has them. They are inserted as time goes on: owners take turns, in hundreds that
come and go.
"""

import argparse
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from matrix import embedded, mariadb, postgresql
from rendered import import_rendered, run_command
from rendering import copy_tree, render

from benchmarks.workload import FIRST_SECOND, a_message, a_thread

AT_ONCE = 100  # owners who take turns
THREADS = 50  # of an owner, one after the other
ITEMS = 20  # of a thread
PIECE = 5_000  # rows that are inserted together

Row = tuple[object, ...]

SERVERS = {"sqlite": embedded, "postgresql": postgresql, "mysql": mariadb}

TABLES = {
    "chatkit_threads": ("owner_id", "id", "created_at", "position", "data"),
    "chatkit_items": ("owner_id", "thread_id", "id", "created_at", "position", "data"),
}

SIZES = {
    "sqlite": "SELECT name, sum(pgsize) FROM dbstat GROUP BY name",
    "postgresql": "SELECT relname, CASE relkind WHEN 'r' THEN pg_table_size(oid) "
    "ELSE pg_relation_size(oid) END FROM pg_class WHERE relkind IN ('r', 'i')",
    # InnoDB keeps the rows in the primary key.
    "mysql": "SELECT CASE index_name WHEN 'PRIMARY' THEN table_name ELSE index_name END, "
    "stat_value * @@innodb_page_size FROM mysql.innodb_index_stats "
    "WHERE stat_name = 'size' AND database_name = DATABASE()",
}


def main() -> None:
    """Measure all databases, and print what each table and index takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only", choices=SERVERS, help="one database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chat_store_") as name:
        template = copy_tree(Path(name) / "template")
        for database in [arguments.only] if arguments.only else SERVERS:
            answers = {"store_database": database}
            project = render(template, Path(name) / database, answers)
            suite = import_rendered(project, "chat_store_database")
            with SERVERS[database](suite) as server:
                url = server.url or f"sqlite:///{Path(name) / 'chat.db'}"
                sizes = measure(project, database, url, arguments.items)
            print(f"\n{server.version}, {arguments.items:,} items, MB:\n")
            for table in sorted(sizes):
                print(f"    {table:45} {sizes[table] / 1e6:8.1f}")
            print(f"    {'all':45} {sum(sizes.values()) / 1e6:8.1f}", flush=True)


def measure(project: Path, database: str, url: str, count: int) -> dict[str, int]:
    """Fill the tables, and give the size of each and of its indexes."""
    if database == "mysql":
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE chat")
        url += "chat"
    migrated = run_command(project, "migrate", "--url", url)
    if migrated.returncode:
        raise RuntimeError(migrated.stdout)
    with closing(connect(url)) as connection:
        cursor = connection.cursor()
        for table, make in (("chatkit_threads", threads), ("chatkit_items", items)):
            rows = make(database, count)
            while piece := list(islice(rows, PIECE)):
                insert(database, cursor, table, piece)
        for statement in {
            "sqlite": ["PRAGMA wal_checkpoint(TRUNCATE)"],
            "postgresql": ["VACUUM ANALYZE"],
            "mysql": [f"ANALYZE TABLE {', '.join(TABLES)}"],
        }[database]:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()
        cursor.execute(SIZES[database])
        return {name: int(size) for name, size in cursor.fetchall() if "chatkit" in name}


def connect(url: str) -> Any:
    """Make a connection whose statements commit by themselves."""
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    if url.startswith("postgresql"):
        return psycopg.connect(url, autocommit=True)
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        user=parts.username or "root",
        database=parts.path[1:] or None,
        autocommit=True,
    )


def places(count: int, per_thread: int) -> Iterator[tuple[str, str, int]]:
    """Give owner, thread and second of each row, as time goes on."""
    owners = count // (THREADS * ITEMS)
    second = FIRST_SECOND
    for first in range(0, owners, AT_ONCE):
        for thread in range(THREADS):
            for _ in range(per_thread):
                for owner in range(first, min(first + AT_ONCE, owners)):
                    yield f"user_{owner:08}", new_id("thr", first * THREADS + thread, owner), second
                    second += 1


def threads(database: str, count: int) -> Iterator[Row]:
    """Make the rows of threads."""
    payload = a_thread("#").model_dump_json()
    for position, (owner, thread, second) in enumerate(places(count, 1)):
        data = payload.replace("#", thread)
        yield owner, thread, moment(database, second), position, data


def items(database: str, count: int) -> Iterator[Row]:
    """Make the rows of items."""
    payload = a_message("#", "##", "1 KB").model_dump_json()
    for position, (owner, thread, second) in enumerate(places(count, ITEMS)):
        item = new_id("msg", second, position)
        data = payload.replace("##", thread).replace("#", item)
        yield owner, thread, item, moment(database, second), position, data


def new_id(prefix: str, time: int, number: int) -> str:
    """Make an id that looks like a UUIDv7, and is the same for the same arguments."""
    return f"{prefix}_{time:012x}{uuid.uuid5(uuid.NAMESPACE_OID, f'{time} {number}').hex[12:]}"


def moment(database: str, second: int) -> object:
    """Write a time as the tables hold it."""
    if database == "postgresql":
        return datetime.fromtimestamp(second, timezone.utc)
    return second * 1_000_000


def insert(database: str, cursor: Any, table: str, rows: list[Row]) -> None:
    """Insert rows."""
    names = ", ".join(TABLES[table])
    if database == "postgresql":
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join(["?" if database == "sqlite" else "%s"] * len(TABLES[table]))
    cursor.execute("BEGIN")
    cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
    cursor.execute("COMMIT")


if __name__ == "__main__":
    main()
