"""Compares asyncio drivers for MySQL and MariaDB: speed, and what they do with values and cancels.

Run it with `python benchmarks/mysql_drivers.py --port 3306`, after
`pip install asyncmy aiomysql mysql-connector-python` (none is needed for anything else). It makes
a database of its own on that server, and drops it. All ways run the same statements over pools of
16 connections, in interleaved rounds, with autocommit; the figures are operations a second, medians
over the rounds, and this process's CPU time for one, which says more on a busy machine.

"Bound" asks the server whether it counted executions of prepared statements. The checks of cancels
stop a query in its middle, and see what the next user of the pool gets; then they stop many queries
at any moment at all.
"""

import argparse
import asyncio
import importlib.metadata
import importlib.resources
import itertools
import random
import statistics
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import aiomysql
import asyncmy
import mysql.connector.aio

DDL = """
CREATE TABLE items (
    position BIGINT AUTO_INCREMENT PRIMARY KEY,
    owner VARCHAR(190) NOT NULL, thread VARCHAR(190) NOT NULL, id VARCHAR(190) NOT NULL,
    created BIGINT NOT NULL, data LONGTEXT NOT NULL,
    UNIQUE (owner, thread, id), INDEX page (owner, thread, created, position)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
"""
UPSERT = """
INSERT INTO items (owner, thread, id, created, data) VALUES (?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE data = VALUES(data)
"""
SELECT = """
SELECT id, data FROM items WHERE owner = ? AND thread = ?
ORDER BY created DESC, position DESC LIMIT 20
"""
PAYLOAD = '{"id":"msg","text":"' + "a \\u2400 \\\" 'b' é " * 60
PAYLOAD = PAYLOAD[:1000] + '"}'
SCOPE = ("owner", "thread")
POOL = 16
SEEDED = 200
STOPS = 400
TIMEOUT = 3  # seconds, for an answer that may never come
AWKWARD = "quote ' backslash \\ percent %s question ? nul \0 emoji \N{GRINNING FACE}"

Rows = Sequence[Sequence[object]]

_numbers = itertools.count()
_random = random.Random(12)


def a_row() -> tuple[str, str, str, int, str]:
    """Every second row replaces one that is there."""
    number = next(_numbers)
    known = number >= SEEDED and number % 2
    return (*SCOPE, f"msg_{number % SEEDED if known else number}", number, PAYLOAD)


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    user: str
    password: str
    database: str

    def options(self) -> dict[str, Any]:
        """What all the drivers call by the same names."""
        return {**vars(self), "charset": "utf8mb4", "autocommit": True}


class Way(ABC):
    """A driver with a pool, and one of its ways to send a statement with values."""

    name: ClassVar[str]
    package: ClassVar[str]
    distribution: ClassVar[str]
    pool: Any

    @abstractmethod
    async def open(self, server: Server, size: int) -> None: ...

    @abstractmethod
    async def run(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        """Take a connection, run the statement (its placeholders are ?), give it back."""

    async def close(self) -> None:
        self.pool.close()
        await self.pool.wait_closed()


class AsyncmyText(Way):
    name = "asyncmy: text protocol"
    package = distribution = "asyncmy"
    cache = 0

    async def open(self, server: Server, size: int) -> None:
        options = {**server.options(), "stmt_cache_size": self.cache}
        self.pool = await asyncmy.create_pool(minsize=size, maxsize=size, **options)

    async def run(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        async with self.pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql.replace("?", "%s"), values)
            rows: Rows = await cursor.fetchall()
            return rows


class AsyncmyCached(AsyncmyText):
    name = "asyncmy: text API, stmt_cache_size=64"
    cache = 64


class AsyncmyPrepared(AsyncmyText):
    name = "asyncmy: connection.prepare"

    async def open(self, server: Server, size: int) -> None:
        await super().open(server, size)
        self.statements: dict[tuple[int, str], Any] = {}

    async def run(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        async with self.pool.acquire() as connection:
            key = connection.thread_id(), sql
            statement = self.statements.get(key)
            if statement is None:
                statement = self.statements[key] = await connection.prepare(sql)
            result = await statement.execute(values)
            return result.rows or ()


class Aiomysql(Way):
    name = "aiomysql: text protocol"
    package = distribution = "aiomysql"

    async def open(self, server: Server, size: int) -> None:
        options = server.options()
        options["db"] = options.pop("database")
        self.pool = await aiomysql.create_pool(minsize=size, maxsize=size, **options)

    async def run(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        async with self.pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql.replace("?", "%s"), values)
            rows: Rows = await cursor.fetchall()
            return rows


class ConnectorText(Way):
    """Its pool asks the server (a ping) before it hands out a connection."""

    name = "mysql.connector.aio: text protocol"
    package = "mysql.connector"
    distribution = "mysql-connector-python"

    async def open(self, server: Server, size: int) -> None:
        options = {
            **server.options(),
            "collation": "utf8mb4_bin",  # MariaDB does not know the driver's default
            "ssl_disabled": True,  # else 26.10.0 raises TypeError at a server without TLS
            "pool_reset_session": False,  # a reset would drop the prepared statements
        }
        self.pool = mysql.connector.aio.MySQLConnectionPool(pool_size=size, **options)
        await self.pool.initialize_pool()

    async def run(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        async with await self.pool.get_connection() as connection:
            cursor = await connection.cursor()
            await cursor.execute(sql.replace("?", "%s"), values)
            rows: Rows = await cursor.fetchall() if cursor.description else ()
            await cursor.close()
            return rows

    async def close(self) -> None:
        await self.pool.close_pool()


class ConnectorPrepared(ConnectorText):
    name = "mysql.connector.aio: prepared cursor"

    async def open(self, server: Server, size: int) -> None:
        await super().open(server, size)
        self.cursors: dict[tuple[int, str], Any] = {}

    async def run(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        async with await self.pool.get_connection() as connection:
            key = connection.connection_id, sql
            cursor = self.cursors.get(key)
            if cursor is None:
                cursor = self.cursors[key] = await connection.cursor(prepared=True)
            await cursor.execute(sql, values)
            rows: Rows = await cursor.fetchall() if cursor.description else ()
            return rows


WAYS: tuple[type[Way], ...] = (
    AsyncmyText,
    AsyncmyCached,
    AsyncmyPrepared,
    Aiomysql,
    ConnectorText,
    ConnectorPrepared,
)


async def rate(call: Callable[[], Awaitable[object]], tasks: int, calls: int) -> tuple[float, ...]:
    """Calls a second, and microseconds of CPU time a call."""
    todo = iter(range(calls))

    async def work() -> None:
        for _ in todo:
            await call()

    start, start_cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(tasks)))
    cpu = time.process_time() - start_cpu
    return calls / (time.perf_counter() - start), 1e6 * cpu / calls


async def measure(server: Server, calls: int, rounds: int) -> None:
    ways = [way() for way in WAYS]
    for way in ways:
        await way.open(server, POOL)
    for _ in range(SEEDED):
        await ways[0].run(UPSERT, a_row())
    rows = [[tuple(row) for row in await way.run(SELECT, SCOPE)] for way in ways]
    assert all(len(some) == 20 and some == rows[0] for some in rows), "the drivers disagree"
    actions: dict[str, Callable[[Way], Awaitable[object]]] = {
        "upsert": lambda way: way.run(UPSERT, a_row()),
        "select": lambda way: way.run(SELECT, SCOPE),
    }
    for tasks in (1, POOL):
        for title, action in actions.items():
            figures: dict[Way, list[tuple[float, ...]]] = {way: [] for way in ways}
            for _ in range(rounds + 1):
                for way in _random.sample(ways, len(ways)):
                    figures[way].append(await rate(partial(action, way), tasks, calls))
            print(
                f"\n{title}, {tasks} tasks: operations a second"
                f" (median of {rounds} rounds, min to max), CPU of one"
            )
            for way in ways:
                rates, cpus = zip(*figures[way][1:], strict=True)  # the first only warms up
                low, high = min(rates), max(rates)
                print(
                    f"  {way.name:40} {statistics.median(rates):8,.0f}"
                    f"  {f'({low:,.0f} to {high:,.0f})':20} {statistics.median(cpus):6,.0f} us"
                )
    for way in ways:
        await way.close()


async def is_bound(way: Way) -> bool:
    """Whether the server counts executions of prepared statements."""

    async def executions() -> int:
        rows = await way.run("SHOW SESSION STATUS LIKE 'Com_stmt_execute'")
        return int(str(rows[0][1]))

    calls = 10
    before = await executions()
    for _ in range(calls):
        rows = await way.run("SELECT ?", (AWKWARD,))
        assert rows[0][0] == AWKWARD, f"{way.name} changed a value: {rows[0][0]!r}"
    return await executions() - before >= calls


async def what_follows(way: Way, text: str) -> str:
    """What a user of the pool gets: "right", or what is wrong."""
    call = asyncio.wait_for(way.run("SELECT ?", (text,)), TIMEOUT)
    [outcome] = await asyncio.gather(call, return_exceptions=True)
    return judged(outcome, text)


def judged(outcome: Rows | BaseException, text: str) -> str:
    if isinstance(outcome, asyncio.TimeoutError):
        return "hangs"
    if isinstance(outcome, asyncio.CancelledError):
        return "stopped"
    if isinstance(outcome, BaseException):
        return f"error {type(outcome).__name__}: {str(outcome)[:60]}"
    if not outcome or outcome[0][-1] != text:
        return f"WRONG RESULT {[tuple(row) for row in outcome]}"
    return "right"


async def stop_in_its_middle(way: Way, sql: str, values: tuple[object, ...]) -> str:
    """What the next three users of the pool's one connection get, and when the first does."""
    await what_follows(way, "warm up")
    task = asyncio.ensure_future(way.run(sql, values))
    await asyncio.sleep(0.3)
    task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    start = time.perf_counter()
    answers = [await what_follows(way, "second")]
    seconds = time.perf_counter() - start
    answers += [await what_follows(way, text) for text in ("third", "fourth")]
    safe = set(answers) == {"right"}
    reasons = "" if safe else f": {'; '.join(answers)}"
    if not isinstance(outcome, asyncio.CancelledError):
        reasons += f" (the cancelled task got {outcome!r})"
    return f"{yes(safe)}, first answer after {seconds:.2f} s{reasons}"


async def stop_many(way: Way) -> str:
    """Cancels at any moment: in the pool, while it sends or reads, or just too late."""
    found: Counter[str] = Counter()
    speed, _ = await rate(lambda: way.run("SELECT ?", ("how long",)), 1, 50)
    for number in range(STOPS):
        task = asyncio.ensure_future(way.run("SELECT ?", (f"stopped {number}",)))
        moment = time.perf_counter() + _random.random() * 1.2 / speed
        while time.perf_counter() < moment:
            await asyncio.sleep(0)  # a timer would be too coarse
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        found[judged(outcome, f"stopped {number}")] += 1
        answer = await what_follows(way, f"next {number}")
        found[f"next: {answer}"] += answer != "right"
        if answer == "hangs":
            break
    stopped = found.pop("stopped", 0)
    right = found.pop("right", 0)
    rest = ", ".join(f"{count} {what}" for what, count in found.items() if count)
    return f"{yes(not rest)}, {stopped} stopped, {right} finished first{rest and f', {rest}'}"


def yes(answer: bool) -> str:
    return "yes" if answer else "NO"


async def check(server: Server, way: Way) -> None:
    version = importlib.metadata.version(way.distribution)
    typed = importlib.resources.files(way.package).joinpath("py.typed").is_file()
    print(f"\n{way.name} ({way.distribution} {version})")
    print(f"  {'carries types (py.typed)':36} {yes(typed)}")
    await way.open(server, 1)
    print(f"  {'values bound on the server':36} {yes(await is_bound(way))}")
    await way.close()
    for title, sql, values in (
        ("safe after a cancelled SELECT", "SELECT SLEEP(?), ?", (1, "first")),
        ("safe after a cancelled DO", "DO SLEEP(?)", (1,)),
    ):
        await way.open(server, 1)
        print(f"  {title:36} {await stop_in_its_middle(way, sql, values)}")
        await way.close()
    await way.open(server, 4)
    print(f"  {'safe after cancels at any moment':36} {await stop_many(way)}")
    await way.close()


async def run(server: Server, calls: int, rounds: int) -> None:
    admin = await asyncmy.connect(
        host=server.host, port=server.port, user=server.user, password=server.password
    )
    async with admin.cursor() as cursor:
        await cursor.execute(
            "SELECT version(), @@innodb_flush_log_at_trx_commit, @@transaction_isolation"
            if "MariaDB" not in admin.get_server_info()
            else "SELECT version(), @@innodb_flush_log_at_trx_commit, @@tx_isolation"
        )
        print("{}, innodb_flush_log_at_trx_commit {}, {}".format(*await cursor.fetchone()))
        await cursor.execute(f"CREATE DATABASE {server.database}")
        try:
            await cursor.execute(f"USE {server.database}")
            await cursor.execute(DDL)
            for way in WAYS:
                await check(server, way())
            await measure(server, calls, rounds)
        finally:
            await cursor.execute(f"DROP DATABASE {server.database}")
    await admin.ensure_closed()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--user", default="root")
    parser.add_argument("--password", default="")
    parser.add_argument("--database", default="driver_benchmark", help="made and dropped")
    parser.add_argument("--calls", type=int, default=300, help="calls of each way in a round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = vars(parser.parse_args())
    calls, rounds = arguments.pop("calls"), arguments.pop("rounds")
    asyncio.run(run(Server(**arguments), calls, rounds))


if __name__ == "__main__":
    main()
