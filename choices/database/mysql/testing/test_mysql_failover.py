"""MySQL and MariaDB: roles that change, servers that are full, networks that cut.

The server is MariaDB, but for Group Replication, which only MySQL has.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from choices.database.mysql.testing.database import DATABASE, options
from choices.database.mysql.testing.group import Group, Node
from devtools.databases import MissingError, give_up
from devtools.forwarder import Forwarder
from devtools.rendered import (
    STREAMS,
    check_items,
    finish_script,
    import_rendered,
    migrated,
    run_script,
    start_script,
    wait_until,
)

query = DATABASE.query


@pytest.fixture
def project(project_of: Callable[[str], Path]) -> Path:
    """A render."""
    return project_of("mysql")


@pytest.fixture
def server(server_of: Callable[[str], Any]) -> Any:
    """A running server."""
    return server_of("mysql")


@pytest.fixture
def url(project: Path, server: Any) -> str:
    """The URL of a database with the Store's tables, for its own account."""
    return migrated(project, DATABASE.create_database(server.url))


# Around the Store, as root. Every connection that the pool may have is made: all are used at once.
pytestmark = pytest.mark.cluster  # run by `make cluster`

FILL = """
import contextlib
import time
from urllib.parse import urlsplit

import pymysql

name = urlsplit(url).username


def connect(place, user="root", password=""):
    parts = urlsplit(place)
    return pymysql.connect(
        host=parts.hostname, port=parts.port, user=user, password=password, autocommit=True
    )


def ask(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


@contextlib.asynccontextmanager
async def reading(store, size):
    around, locker = connect(arguments[1]), connect(arguments[1])
    await asyncio.to_thread(ask, locker, f"LOCK TABLES {name}.chatkit_threads WRITE")
    reads = [asyncio.ensure_future(store.load_thread("thr_1", alice)) for _ in range(size)]
    waiting = (
        "SELECT id FROM information_schema.processlist "
        f"WHERE user = '{name}' AND state LIKE 'Waiting for%lock'"
    )
    await eventually(lambda: len(ask(around, waiting)) == size)
    yield
    locker.close()
    around.close()
    await asyncio.gather(*reads)


async def fill(store, size):
    async with reading(store, size):
        pass


async def timed(call):
    began = time.monotonic()
    await finish(call, 60)
    return time.monotonic() - began


def tell(line):
    print(line, flush=True)
    return asyncio.to_thread(sys.stdin.readline)


async with ChatStore(url) as store:
    await save_one_of_each(store, alice)
"""


# --- Roles that change

ITEMS = """
SELECT CONVERT(thread_id USING utf8mb4), CONVERT(id USING utf8mb4) FROM chatkit_items
ORDER BY owner_id, thread_id, created_at, position
"""


class Pair:
    """A primary and its replica.

    Args:
        primary: The server that can be written to.
        replica: The one that gets what is written there.
    """

    def __init__(self, primary: Any, replica: Any) -> None:
        self.primary = primary
        self.replica = replica
        query(replica.url, "SET GLOBAL read_only = 1")
        self._follow()

    def url(self, url: str) -> str:
        """Give the URL that names both, first the one that now is the replica."""
        parts = urlsplit(url)
        account = parts.netloc.rpartition("@")[0]
        places = f"127.0.0.1:{self.replica.port},127.0.0.1:{self.primary.port}"
        return parts._replace(netloc=f"{account}@{places}").geturl()

    def wait_until_equal(self) -> None:
        """Wait until the replica has what the primary has."""
        [(position,)] = query(self.primary.url, "SELECT @@gtid_binlog_pos")
        assert query(self.replica.url, f"SELECT MASTER_GTID_WAIT('{position}', 60)") == [(0,)]

    def swap(self) -> None:
        """Change the roles, as for maintenance; sessions are left as they are."""
        query(self.primary.url, "SET GLOBAL read_only = 1")
        self.wait_until_equal()
        query(self.replica.url, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
        self.primary, self.replica = self.replica, self.primary

    def _follow(self) -> None:
        query(
            self.replica.url,
            f"CHANGE MASTER TO master_host = '127.0.0.1', master_port = {self.primary.port}, "
            "master_user = 'root', master_use_gtid = slave_pos",
            "START SLAVE",
        )


@pytest.fixture
def pair(project: Path, server: Any) -> Iterator[Pair]:
    """Two servers of which one follows the other."""
    suite = import_rendered(project, "chat_store_database")
    with (
        options(server, "--log-bin=log", "--server-id=1", "--gtid-strict-mode=ON"),
        second(suite, "--log-bin=log", "--server-id=2", "--log-slave-updates") as other,
    ):
        yield Pair(server, other)


@contextmanager
def second(suite: Any, *with_options: str) -> Iterator[Any]:
    """Run another server."""
    server = suite.Server(DATABASE.find(suite))
    try:
        with options(server, *with_options):
            yield server
    finally:
        server.remove()


def test_writes_go_to_the_primary_and_follow_it_without_a_failed_call(
    project: Path, pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    url = migrated(project, DATABASE.create_database(pair.primary.url))
    name = url.rpartition("/")[2]
    pair.wait_until_equal()
    process = start_script(project, STREAMS, pair.url(url), "a")

    def wait_for_more() -> None:
        count = f"SELECT COUNT(*) FROM {name}.chatkit_items"
        [(before,)] = query(pair.primary.url, count)
        wait_until(lambda: query(pair.primary.url, count)[0][0] > before + 300, process)

    try:
        wait_for_more()
        began = time.monotonic()
        pair.swap()
        wait_for_more()
        took = time.monotonic() - began
        acknowledged = json.loads(finish_script(process, "end\n").splitlines()[-1])
    finally:
        process.kill()
        process.communicate()
    record_property("measured", f"300 more items {took:.1f} s after the roles began to change")
    items = query(f"{pair.primary.url}{name}", ITEMS)
    assert check_items(items, [(thread, item) for thread, item in acknowledged]) == 2 * 50


SEE = (
    FILL
    + """
async with ChatStore(url, pool_size=5) as store:
    await fill(store, 5)
    await tell("filled")
    async with reading(store, 4):
        await store.save_thread(a_thread("thr_2"), alice)
    for _ in range(5):
        calls = [store.load_thread("thr_2", alice) for _ in range(5)]
        assert await asyncio.gather(*calls) == [a_thread("thr_2")] * 5
"""
)


def test_once_a_write_has_found_the_new_primary_every_read_is_there(
    project: Path, pair: Pair
) -> None:
    url = migrated(project, DATABASE.create_database(pair.primary.url))
    pair.wait_until_equal()
    process = start_script(project, SEE, pair.url(url), pair.primary.url)
    assert process.stdout is not None
    assert process.stdout.readline() == "filled\n", process.communicate()
    pair.swap()
    finish_script(process, "go on\n")


# --- Group Replication


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    """A group of three nodes of our own; the last test takes one away."""
    try:
        running = Group()
    except MissingError as error:
        give_up(str(error), is_excused=error.is_excused)
    with running:
        yield running


# Stores at each node save the same rows, whose transactions may not all be committed.
EVERYWHERE = """
import contextlib

async with contextlib.AsyncExitStack() as stack:
    stores = [await stack.enter_async_context(ChatStore(place)) for place in arguments]
    for store in stores:
        await save_one_of_each(store, alice)
    saves = ("save_thread", "save_item", "save_attachment", "add_thread_item")
    for _ in range(20):
        await asyncio.gather(
            *(WRITES[method](store, alice) for method in saves for store in stores)
        )
    for number, store in enumerate(stores):
        for method, call in {**READS, **WRITES}.items():
            context = make_context(f"{method}_{number}", "request")
            await save_one_of_each(store, context)
            await call(store, context)
"""


def test_a_group_where_each_node_can_be_written_to_has_tables_and_takes_each_save(
    project: Path, group: Group
) -> None:
    first, *_ = group.nodes
    first.query("SELECT group_replication_switch_to_multi_primary_mode()")
    wait_until(lambda: all(node.is_primary for node in group.nodes))
    url = migrated(project, group.url(first))
    run_script(project, EVERYWHERE, *(url.replace(first.place, it.place) for it in group.nodes))


def test_a_group_that_loses_its_primary_loses_no_write_and_fails_no_call(
    project: Path, group: Group, record_property: Callable[[str, object], None]
) -> None:
    first, second, third = group.nodes
    first.query("SELECT group_replication_switch_to_single_primary_mode(@@server_uuid)")
    wait_until(lambda: not second.is_primary and not third.is_primary)
    url = migrated(project, group.url(third, first, second))
    name = url.rpartition("/")[2]
    process = start_script(project, STREAMS, url, "a")

    def items(node: Node) -> list[tuple[Any, ...]]:
        return query(f"{node.url}{name}", ITEMS)

    def wait_for_more(node: Node) -> None:
        before = len(items(node))
        wait_until(lambda: len(items(node)) > before + 300, process)

    try:
        wait_for_more(third)
        first.kill()
        killed = time.monotonic()
        wait_until(lambda: second.is_primary or third.is_primary, process)
        elected = time.monotonic() - killed
        wait_for_more(third)
        took = time.monotonic() - killed
        acknowledged = json.loads(finish_script(process, "end\n").splitlines()[-1])
    finally:
        process.kill()
        process.communicate()
    record_property(
        "measured",
        f"another primary {elected:.1f} s after the first was killed, 300 more items {took:.1f} s",
    )
    wait_until(lambda: len(items(second)) == len(items(third)) >= len(acknowledged))
    for node in (second, third):
        assert check_items(items(node), [(thread, item) for thread, item in acknowledged])


# --- A server that is full

OPEN_FULL = (
    FILL
    + """
around = connect(arguments[1])
[(most,)] = ask(around, "SELECT @@max_connections")
ask(around, "SET GLOBAL max_connections = 10")
taken = []
try:
    try:
        while True:
            taken.append(connect(url, name, urlsplit(url).password))
    except pymysql.err.OperationalError as error:
        assert error.args[0] == 1040, error
    error = await fails(open_and_close(url, pool_timeout=0.3))
    assert isinstance(error, DatabaseError) and "1040" in str(error), error
    opening = asyncio.ensure_future(open_and_close(url))
    await asyncio.sleep(0.5)
    assert not opening.done()
    taken.pop().close()
    print(await timed(opening))
finally:
    ask(around, f"SET GLOBAL max_connections = {most}")
"""
)


def test_opening_waits_until_a_server_that_is_full_has_room(
    project: Path, server: Any, url: str
) -> None:
    assert float(run_script(project, OPEN_FULL, url, server.url)) < 3


# --- A network that cuts without telling

CUT_SILENTLY = (
    FILL
    + """
from chat_store import connections

assert 0 < connections._MAX_IDLE <= 200
connections._MAX_IDLE = 1  # some minutes are too long for a test
async with ChatStore(url, pool_size=5) as store:
    await fill(store, 5)
    await tell("filled")
    await asyncio.sleep(1.1)
    calls = asyncio.gather(*(store.load_thread("thr_1", alice) for _ in range(5)))
    print(await timed(calls))
"""
)


ONE_WAITS = (
    FILL
    + """
async with ChatStore(url, pool_size=5, statement_timeout=1.5) as store:
    await fill(store, 5)
    await tell("filled")
    took = [await timed(fails(store.load_thread("thr_1", alice)))]
    for _ in range(5):
        took.append(await timed(store.load_thread("thr_1", alice)))
    assert max(took[1:]) < 1, took
    print(took[0])
"""
)


def use_after_a_cut(project: Path, server: Any, url: str, script: str) -> float:
    """Run a script whose connections are cut when they are filled; give what it measured."""
    with Forwarder(server.url) as network:
        process = start_script(project, script, network.url(url), server.url)
        assert process.stdout is not None
        assert process.stdout.readline() == "filled\n", process.communicate()
        network.silence()
        return float(finish_script(process, "go on\n"))


def test_of_calls_after_a_silent_cut_one_waits_for_its_statement_timeout(
    project: Path, server: Any, url: str
) -> None:
    assert 1 < use_after_a_cut(project, server, url, ONE_WAITS) < 4


def test_idle_connections_that_were_cut_silently_some_minutes_ago_make_no_call_wait(
    project: Path, server: Any, url: str
) -> None:
    assert use_after_a_cut(project, server, url, CUT_SILENTLY) < 1
