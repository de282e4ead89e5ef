"""Compares ways to reach SQLite from asyncio: the measurement behind decision 0002.

Run it with `python benchmarks/sqlite_drivers.py`, after
`pip install aiosqlite apsw` (neither is needed for anything else). All ways run the same
statements on files of their own in one directory, with WAL and synchronous=FULL, in interleaved
rounds; the figures are operations a second, medians over the rounds.
"""

import argparse
import asyncio
import itertools
import queue
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite
import apsw
import apsw.aio  # makes Connection.as_async work

DDL = """
CREATE TABLE items (
    position INTEGER PRIMARY KEY, owner TEXT, thread TEXT, id TEXT, created INTEGER, data TEXT,
    UNIQUE (owner, thread, id)
);
CREATE INDEX page ON items (owner, thread, created, position);
"""
INSERT = """
INSERT INTO items (owner, thread, id, created, data) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (owner, thread, id) DO UPDATE SET data = excluded.data
"""
SELECT = """
SELECT id, data FROM items WHERE owner = ? AND thread = ?
ORDER BY created DESC, position DESC LIMIT 21
"""
PAYLOAD = "x" * 1024
SCOPE = ("owner", "thread")

_numbers = itertools.count()


def a_row() -> tuple[str, str, str, int, str]:
    number = next(_numbers)
    return (*SCOPE, f"msg_{number}", number, PAYLOAD)


class Threads:
    """Threads of our own with the standard library's sqlite3, which share transactions."""

    def __init__(self, path: Path, begin: str, count: int, most: int) -> None:
        self.jobs: queue.SimpleQueue[tuple[str, tuple[object, ...], asyncio.Future[object]]]
        self.jobs = queue.SimpleQueue()
        self.loop = asyncio.get_running_loop()
        for _ in range(count):
            threading.Thread(target=self.serve, args=(path, begin, most), daemon=True).start()

    def serve(self, path: Path, begin: str, most: int) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        while True:
            batch = [self.jobs.get()]
            try:
                while len(batch) < most:
                    batch.append(self.jobs.get_nowait())
            except queue.Empty:
                pass
            connection.execute(begin)
            results = [
                (future, connection.execute(sql, row).fetchall()) for sql, row, future in batch
            ]
            connection.execute("COMMIT")
            self.loop.call_soon_threadsafe(self.answer, results)

    @staticmethod
    def answer(results: list[tuple[asyncio.Future[object], list[object]]]) -> None:
        for future, rows in results:
            future.set_result(rows)

    def run(self, sql: str, row: tuple[object, ...]) -> Awaitable[object]:
        future: asyncio.Future[object] = self.loop.create_future()
        self.jobs.put((sql, row, future))
        return future


def new_file(directory: Path, name: str, rows: int = 200) -> Path:
    path = directory / name
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(DDL)
    connection.executemany(INSERT, [a_row() for _ in range(rows)])
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()
    return path


async def rate(call: Callable[[], Awaitable[object]], tasks: int, calls: int) -> float:
    todo = iter(range(calls))

    async def work() -> None:
        for _ in todo:
            await call()

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return calls / (time.perf_counter() - start)


async def measure(directory: Path, tasks: int, calls: int, rounds: int) -> None:
    ours = new_file(directory, f"ours{tasks}.db")
    writer = Threads(ours, "BEGIN IMMEDIATE", 1, 64)
    readers = {count: Threads(ours, "BEGIN", count, 64) for count in (1, 2, 4)}
    aio = await aiosqlite.connect(new_file(directory, f"aio{tasks}.db"), isolation_level=None)
    await aio.execute("PRAGMA synchronous = FULL")
    lock = asyncio.Lock()
    native = await apsw.Connection.as_async(str(new_file(directory, f"apsw{tasks}.db")))
    await native.pragma("synchronous", "full")

    async def aio_transaction() -> None:
        async with lock:
            await aio.execute("BEGIN")
            await aio.execute(INSERT, a_row())
            await aio.execute("COMMIT")

    async def apsw_select() -> None:
        await (await native.execute(SELECT, SCOPE)).fetchall()

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "insert: aiosqlite, BEGIN INSERT COMMIT": aio_transaction,
        "insert: aiosqlite, autocommit": lambda: aio.execute(INSERT, a_row()),
        "insert: apsw's asyncio, autocommit": lambda: native.execute(INSERT, a_row()),
        "insert: sqlite3, a thread that shares commits": lambda: writer.run(INSERT, a_row()),
        "select: aiosqlite": lambda: aio.execute_fetchall(SELECT, SCOPE),
        "select: apsw's asyncio": apsw_select,
        "select: sqlite3, 1 thread": lambda: readers[1].run(SELECT, SCOPE),
        "select: sqlite3, 2 threads": lambda: readers[2].run(SELECT, SCOPE),
        "select: sqlite3, 4 threads": lambda: readers[4].run(SELECT, SCOPE),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            rates[name].append(await rate(call, tasks, calls))
    print(f"\n{tasks} tasks, operations a second (median of {rounds} rounds, min to max)")
    for name, values in rates.items():
        low, high = min(values), max(values)
        print(f"  {name:48} {statistics.median(values):8,.0f}  ({low:,.0f} to {high:,.0f})")
    await aio.close()
    await native.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000, help="calls of each way in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", help="where to put the files (default: a temporary one)")
    arguments = parser.parse_args()
    print(f"SQLite {sqlite3.sqlite_version} (apsw: {apsw.sqlite_lib_version()})")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        for tasks in (1, 16, 64):
            asyncio.run(measure(Path(directory), tasks, arguments.calls, arguments.rounds))


if __name__ == "__main__":
    main()
