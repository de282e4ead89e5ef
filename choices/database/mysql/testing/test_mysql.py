"""MySQL and MariaDB alone: a cluster, plans, interrupted migrations, and what a server is set to.

The server is MariaDB, for the cluster needs it.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from choices.database.mysql.testing.database import DATABASE, connect, options
from choices.database.mysql.testing.galera import Cluster, find_library
from devtools.databases import give_up
from devtools.rendered import (
    USE_EVERYTHING,
    check_items,
    finish_script,
    import_rendered,
    imported,
    migrated,
    reads,
    run_command,
    run_script,
    start_script,
    wait_until,
)
from devtools.rendering import render

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
def url(server: Any) -> str:
    """The URL of an empty database, for its own account."""
    return DATABASE.create_database(server.url)


def need(what: object, name: str, package: str) -> None:
    """Fail in CI where a program is missing; skip the test elsewhere."""
    if not what:
        give_up(f"{name} is missing: apt-get install {package}")


def items_in(url: str) -> list[tuple[str, str]]:
    """Give all items in the order of their threads, around the Store."""
    return query(
        url,
        "SELECT CONVERT(thread_id USING utf8mb4), CONVERT(id USING utf8mb4) FROM chatkit_items "
        "ORDER BY owner_id, thread_id, created_at, position",
    )


# --- A cluster

# One node is kept from applying what another acknowledges, until it has been asked for it.
BEHIND = """
import pymysql

_, here, there, port = arguments
async with ChatStore(here, auto_migrate=True) as first, ChatStore(there) as second:
    connection = pymysql.connect(host="127.0.0.1", port=int(port), user="root")
    with connection.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        await save_one_of_each(first, alice)
        reading = [asyncio.ensure_future(call(second, alice)) for call in READS.values()]
        await asyncio.sleep(0.3)
        cursor.execute("UNLOCK TABLES")
    connection.close()
    _, items, *_, threads = await asyncio.gather(*reading)
    assert items.data == [a_message(text="hello")] and threads.data == [a_thread(title="hello")]
"""

# Three processes, each at a node of its own until that is lost. They append to threads of their
# own and to a shared one; and they pass a token on: the process that gets it reads what the one before
# has written, at another node, and writes what the next one has to read.
CLUSTER = """
import itertools
import time

from chatkit.types import ThreadItem

_, *urls = arguments
fork = multiprocessing.get_context("fork")
ready = fork.Barrier(len(urls) + 1)
ending = fork.Event()
results = [fork.Pipe() for _ in urls]
ring = [fork.Pipe() for _ in urls]


def start(number):
    name = "abc"[number]
    before, after = ring[number][0], ring[(number + 1) % len(ring)][1]
    acknowledged = []
    times = []

    async def add(store, thread, item_id, **fields):
        started = time.time()
        await store.add_thread_item(thread, a_message(item_id, thread, **fields), alice)
        acknowledged.append((thread, item_id))
        times.append((started, time.time()))

    async def stream(store, task):
        own = f"thr_{name}_{task}"
        await store.save_thread(a_thread(own), alice)
        for turn in itertools.count():
            item_id = f"msg_{name}_{task}_{turn:06}"
            await add(store, own, item_id, created_at=datetime.now())
            assert (await store.load_item(own, item_id, alice)).id == item_id
            await add(store, "thr_shared", item_id)
            if ending.is_set():
                break

    async def relay(store):
        while True:
            while not before.poll():
                await asyncio.sleep(0.002)
            turn = before.recv()
            if turn is None:
                break
            if turn:
                last = f"msg_{turn - 1:06}"
                assert (await store.load_item("thr_relay", last, alice)).id == last
                page = await store.load_thread_items("thr_relay", None, 1, "desc", alice)
                assert [item.id for item in page.data] == [last], (last, page.data)
            if ending.is_set():
                break
            await add(store, "thr_relay", f"msg_{turn:06}")
            after.send(turn + 1)
        after.send(None)

    async def use():
        # A machine may be slow, and this is no test of how long the cluster takes.
        waits = {"pool_timeout": 60, "write_timeout": 90}
        async with ChatStore(urls[number], auto_migrate=True, **waits) as store:
            for thread in ("thr_shared", "thr_relay"):
                await store.save_thread(a_thread(thread), alice)
            await asyncio.to_thread(ready.wait, 120)
            await asyncio.gather(relay(store), *(stream(store, task) for task in range(15)))

    asyncio.run(use())
    results[number][1].send((acknowledged, times))


processes = [fork.Process(target=start, args=[number]) for number in range(len(urls))]
for process in processes:
    process.start()
ready.wait(120)
ring[0][1].send(0)
print("ready", flush=True)


asyncio.get_running_loop().add_reader(sys.stdin, ending.set)
given = []
for process, (result, _) in zip(processes, results):
    while not result.poll():
        await asyncio.sleep(0.1)
        if any(process.exitcode for process in processes):
            for process in processes:
                process.kill()
            sys.exit("A process has failed.")
    given.append(result.recv())
for process in processes:
    process.join()
print(json.dumps(given))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Galera cluster of our own."""
    need(shutil.which("mariadbd"), "MariaDB's server", "mariadb-server")
    need(find_library(), "Galera", "galera-4")
    need(shutil.which("rsync"), "rsync", "rsync")
    with Cluster() as running:
        yield running


@pytest.mark.cluster
def test_a_cluster_that_loses_a_node_loses_no_write_and_shows_each_at_every_node(
    project: Path, cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    first, second, third = cluster.nodes
    url = DATABASE.create_database(first.url)
    there = url.replace(first.place, second.place)
    run_script(project, BEHIND, "", url, there, second.place.partition(":")[2])

    url = DATABASE.create_database(first.url)
    database = url.rpartition("/")[2]
    turns = [(first, second, third), (second, third, first), (third, first, second)]
    urls = [url.replace(first.place, ",".join(node.place for node in nodes)) for nodes in turns]
    process = start_script(project, CLUSTER, "", *urls)

    def wait_for_more(node: Any) -> None:
        """Wait until each process, and the three together, have written more."""
        counts = (
            "SELECT COUNT(*) FROM chatkit_items WHERE thread_id = 'thr_relay'",
            *(f"SELECT COUNT(*) FROM chatkit_items WHERE id LIKE 'msg_{name}%'" for name in "abc"),
        )
        connection = connect(f"{node.url}{database}")
        try:

            def written() -> list[int]:
                with connection.cursor() as cursor:
                    return [int(cursor.fetchone()[0]) for count in counts if cursor.execute(count)]

            before = written()
            wait_until(
                lambda: all(now > then + 30 for then, now in zip(before, written(), strict=True)),
                process,
            )
        finally:
            connection.close()

    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            pytest.fail(process.communicate()[1])
        wait_for_more(second)
        killed = time.time()
        first.kill()
        wait_for_more(second)
        first.start()
        first.wait_until_synced()
        wait_for_more(first)
        third.isolate()
        wait_for_more(second)
        third.isolate(False)
        third.wait_until_synced()
        given = json.loads(finish_script(process, "end\n"))
    finally:
        process.kill()
        process.communicate()
    acknowledged = [(thread, item) for part, _ in given for thread, item in part]
    resumed = min(end for start, end in given[0][1] if start > killed)
    longest = max(end - start for _, times in given for start, end in times)
    record_property(
        "measured",
        f"{len(acknowledged)} acknowledged; the first by the processes of the node that was "
        f"killed {resumed - killed:.1f} s later; the longest wait {longest:.1f} s",
    )
    for node in cluster.nodes:
        check_items(items_in(f"{node.url}{database}"), acknowledged)
    assert query(url, "SELECT version FROM chatkit_migrations ORDER BY version") == [(1,), (2,)]


# --- Plans

PAGE = 21  # as the Store asks, for a page of 20
SHARE = 2**20  # a row that is larger comes without its payload


def parameters_of(name: str, count: int) -> list[tuple[object, ...]]:
    """Give what to run a statement with, where a thread has so many items."""
    # Far from both ends; an item of the time that half of them have, and one of its own.
    items = [count * 3 // 10, count * 3 // 10 + 1, count * 7 // 10, count * 7 // 10 + 1]
    parameters: dict[str, list[tuple[object, ...]]] = {
        "LOAD_THREAD": [("alice", "thr_1")],
        "FIND_THREAD": [("alice", "thr_1")],
        "FIRST_ITEMS": [(SHARE, "alice", "thr_1", PAGE)],
        "NEXT_ITEMS": [(SHARE, "alice", "thr_1", f"msg_{number}", PAGE) for number in items],
        "LOAD_ATTACHMENT": [("alice", "atc_1")],
        "FIRST_THREADS": [(SHARE, "alice", PAGE)],
        "NEXT_THREADS": [(SHARE, "alice", f"thr_{number}", PAGE) for number in (300, 700)],
        "LOAD_ITEM": [("alice", "thr_1", "msg_500")],
        "EXPORT thread": [(300, PAGE)],
        "EXPORT item": [(count // 3, PAGE)],
        "EXPORT attachment": [("alice", "alice", "atc_300", PAGE)],
    }
    return parameters.get(name) or parameters[name.split()[0]]


FILL_OTHERS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
SELECT 'alice', CONCAT('thr_', seq), IF(seq <= 500, 0, seq), '{}' FROM seq_1_to_1000;
INSERT INTO chatkit_attachments (owner_id, id, created_at, data)
SELECT 'alice', CONCAT('atc_', seq), seq, '{}' FROM seq_1_to_1000
"""
# The first 500 items are of one time, and so are half of all.
FILL_ITEMS = """
SET SESSION foreign_key_checks = 0;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT 'alice', 'thr_1', CONCAT('msg_', seq), IF(seq <= 500 OR seq MOD 2, 0, seq),
    '{"content": []}'
FROM seq_FIRST_to_LAST;
ANALYZE TABLE chatkit_threads, chatkit_items, chatkit_attachments
"""


def test_every_read_is_a_range_of_an_index_without_a_sort_however_long_the_thread_is(
    template_files: Path, tmp_path: Path, server: Any, url: str
) -> None:
    answers = {"store_database": "mysql", "store_transfer": True}
    project = render(template_files, tmp_path / "project", answers)
    statements = list(reads(project))
    migrated(project, url)
    as_root = f"{server.url}{url.rpartition('/')[2]}"
    # Only for filling it fast.
    query(
        server.url,
        "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
        "SET GLOBAL innodb_buffer_pool_size = 512 * 1024 * 1024",
    )
    query(url, *FILL_OTHERS.split(";"))
    for first, last in ((1, 1_000), (1_001, 1_000_000)):
        fill = FILL_ITEMS.replace("FIRST", str(first)).replace("LAST", str(last))
        query(url, *fill.split(";"))
        for name, statement in statements:
            for parameters in parameters_of(name, last):
                check_plan(as_root, statement, parameters)


def check_plan(url: str, statement: str, parameters: tuple[object, ...]) -> None:
    """Run a statement, and see that it reads a range of an index and no row beside it."""
    for parameter in parameters:
        statement = statement.replace("?", repr(parameter), 1)
    plan = query(url, f"EXPLAIN {statement}")
    for _, _, _, access, _, _, _, _, _, extra in plan:
        # None and system are the place where an export goes on: constants, as a table.
        assert access in (None, "system", "const", "ref", "range"), (statement, plan)
        assert not re.search("filesort|temporary", extra or ""), (statement, plan)
    rows = query(url, statement)
    assert rows
    counted = query(url, "FLUSH STATUS", statement, "SHOW SESSION STATUS LIKE 'Handler_read%'")
    touched = sum(int(value) for _, value in counted)
    assert touched <= len(rows) + 4, (statement, counted)


FILL_THREADS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
SELECT 'alice', CONCAT('thr_', seq), 0, '{}' FROM seq_1_to_50000;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT owner_id, id, 'msg_1', created_at, '{}' FROM chatkit_threads;
ANALYZE TABLE chatkit_threads, chatkit_items
"""


def test_an_expiry_reads_the_threads_of_its_batch_only(
    template_files: Path, tmp_path: Path, url: str
) -> None:
    answers = {"store_database": "mysql", "store_user_data": True}
    project = render(template_files, tmp_path / "project", answers)
    expiry = import_rendered(project, "chat_store.user_data.statements")
    keys = [("alice", f"thr_{number}") for number in range(500, 600)]
    batch = [expiry.next_threads("alice", "thr_500", 9), *expiry.delete_expired(keys, 9)]
    migrated(project, url)
    query(url, *FILL_THREADS.split(";"))
    for statement, parameters in batch:
        for parameter in parameters:
            statement = statement.replace("?", repr(parameter), 1)
        for row in query(url, f"EXPLAIN {statement}"):
            access, rows = row[3], int(row[8] or 0)
            assert access in ("const", "eq_ref", "ref", "range"), row
            assert rows <= 100 or "LIMIT" in statement, row


# --- Migrations

INTERRUPTED = """
import os
import re
from unittest.mock import patch

from chat_store import connections, migrate

fork = multiprocessing.get_context("fork")
done = connections.Connection.run


def start(last):
    async def run_and_die(self, statement):
        try:
            await done(self, statement)
        finally:
            if last in statement:
                os._exit(9)

    with patch.object(connections.Connection, "run", run_and_die):
        asyncio.run(ChatStore(url).migrate())


for migration in migrate.load():
    for statement in re.findall(r"(?:CREATE|ALTER) .*?(?=;\\n)", migration.sql, re.DOTALL):
        print(statement.splitlines()[0])
        process = fork.Process(target=start, args=[statement])
        process.start()
        process.join()
        assert process.exitcode == 9, process.exitcode
"""
MIGRATIONS = "SELECT version FROM chatkit_migrations ORDER BY version"


def schema(url: str) -> list[tuple[Any, ...]]:
    """Describe the tables and their indexes."""
    return [
        query(url, f"SHOW CREATE TABLE chatkit_{table}")[0]
        for table in ("threads", "items", "attachments", "migrations")
    ]


def test_a_migration_killed_after_any_of_its_statements_is_completed_by_running_it_again(
    project: Path, server: Any, url: str
) -> None:
    print(run_script(project, INTERRUPTED, url))
    assert query(url, MIGRATIONS) == [(1,)]
    done = run_command(project, "migrate", "--url", url)
    assert done.returncode == 0, done.stdout
    assert schema(url) == schema(migrated(project, DATABASE.create_database(server.url)))
    run_script(project, USE_EVERYTHING, url)


# --- What the server is set to

TOO_LARGE = """
async with ChatStore(url, auto_migrate=True, pool_size=1) as store:
    await save_one_of_each(store, alice)
    error = await fails(store.add_thread_item("thr_1", a_message("msg_2", text="x" * 2**21), alice))
    assert isinstance(error, ValueError), error
    print(error)
    # Nearly as much as there may be, in characters of four bytes.
    largest = a_message("msg_3", text="\\U0001f600" * ((2**20 - 2048) // 4))
    await store.add_thread_item("thr_1", largest, alice)
    assert await store.load_item("thr_1", "msg_3", alice) == largest
    assert [item.id for item in await walk(store, alice)] == ["msg_1", "msg_3"]
"""


def test_an_item_that_the_server_does_not_take_is_an_error_that_names_both_sizes(
    project: Path, server: Any, url: str
) -> None:
    with options(server, "--max-allowed-packet=1M"):
        printed = run_script(project, TOO_LARGE, url)
    assert re.search(r"2,097,\d{3} bytes", printed), printed
    assert "1,048,576" in printed


CLEAR_TEXT = """
import struct

received = []


async def serve(reader, writer):
    # What a server says that asks for the password as it is.
    capabilities = 0x0000_0200 | 0x0000_8000 | 0x0008_0000  # 4.1, its authentication, plugins
    greeting = b"\\x0a5.7.0\\0" + bytes(4) + b"12345678\\0" + struct.pack(
        "<HBHHB10x", capabilities & 0xFFFF, 45, 2, capabilities >> 16, 21
    ) + b"123456789012\\0mysql_native_password\\0"
    writer.write(struct.pack("<I", len(greeting)) + greeting)
    received.append(await reader.read(1000))
    switch = b"\\xfemysql_clear_password\\0"
    writer.write(struct.pack("<I", len(switch) | 2 << 24) + switch)
    received.append(await reader.read(1000))
    writer.close()


server = await asyncio.start_server(serve, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
store = ChatStore(f"mysql://app:s3cret@127.0.0.1:{port}/chat", pool_timeout=5)
print(await fails(store.open()))
assert b"mysql_native_password" in received[0]
assert b"s3cret" not in b"".join(received)
"""


def test_a_password_is_not_sent_in_clear_text_without_tls(project: Path) -> None:
    began = time.monotonic()
    printed = run_script(project, CLEAR_TEXT, "")
    assert "clear text: use ?tls=verify" in printed
    assert time.monotonic() - began < 5  # it is not tried again


PREFERRED = """
from chat_store import dialect, statements

# As if another machine were the server's.
dialect._is_this_machine = lambda host: False
store = ChatStore(arguments[1], auto_migrate=True)
async with store, store.connected() as database:
    await save_one_of_each(store, alice)
    [(_, cipher)] = await database.read(statements.TLS_CIPHER)
    print(bool(cipher), await database.is_exposed())
"""


def test_tls_is_tried_where_it_is_preferred_and_status_knows_where_it_is_missing(
    project: Path, server: Any, url: str, certificates: Path
) -> None:
    preferred = f"{url}?tls=preferred"
    assert run_script(project, PREFERRED, url, preferred) == "False True\n"
    with DATABASE.with_tls(server, certificates):
        # The default for a server that is elsewhere.
        assert run_script(project, PREFERRED, url, url) == "True False\n"
        off = f"{url}?tls=off"
        assert run_script(project, PREFERRED, url, off) == "False True\n"


HOSTILE = [
    *("--character-set-server=latin1", "--sql-mode=", "--default-storage-engine=MyISAM"),
    *("--transaction-isolation=SERIALIZABLE", "--autocommit=0", "--default-time-zone=+09:00"),
]
IN_SPITE_OF_DEFAULTS = """
async with ChatStore(url, auto_migrate=True) as store:
    await save_one_of_each(store, alice)
    ids = ["a", "A", "a ", "\\U0001f600"]
    for item_id in ids:
        await store.save_thread(a_thread(item_id, title=item_id), alice)
        item = a_message(item_id, text=item_id, created_at=datetime.now())
        await store.add_thread_item("thr_1", item, alice)
        assert await store.load_item("thr_1", item_id, alice) == item
    for item_id in ids:
        assert (await store.load_thread(item_id, alice)).title == item_id
    assert [item.id for item in await walk(store, alice)] == ["msg_1", *ids]

    async def stream(number):
        for turn in range(5):
            item = a_message(f"msg_{number:02}_{turn}", "a", created_at=datetime.now())
            await store.add_thread_item("a", item, bob)

    await store.save_thread(a_thread("a"), bob)
    await asyncio.gather(*map(stream, range(50)))
async with ChatStore(url) as store:
    found = [item.id for item in await walk(store, bob, thread_id="a", limit=7)]
    assert len(found) == 250
    for number in range(50):
        name = f"msg_{number:02}_"
        assert [it for it in found if it.startswith(name)] == [f"{name}{n}" for n in range(5)]
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, alice)
"""


def test_no_default_of_the_server_changes_what_the_store_does(project: Path, server: Any) -> None:
    with options(server, *HOSTILE):
        url = DATABASE.create_database(server.url)
        run_script(project, IN_SPITE_OF_DEFAULTS, url)
        engines = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = "
        assert query(url, f"{engines}DATABASE()") == [("InnoDB",)]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://chat@db.example.com/chat?unix_socket=", "no value"),
        ("mysql://chat@db.example.com/chat?tls=verify&tls_ca=", "no value"),
        ("mysql://chat@db.example.com/chat?tls=verify&tls=off", "given twice"),
        ("mysql://chat@db.example.com/chat?unix_socket=/run/m.sock", "both a host"),
        ("mysql://chat@db.example.com:0/chat", "port"),
        ("mysql://chat@a:3306,b:99999/chat", "port"),
    ],
)
def test_a_part_of_the_url_that_would_be_ignored_is_refused(
    project: Path, url: str, words: str
) -> None:
    with (
        imported(project, "chat_store.dialect") as dialect,
        pytest.raises(ValueError, match=words),
    ):
        dialect.parse_url(url)


def test_a_socket_needs_no_host(project: Path) -> None:
    with imported(project, "chat_store.dialect") as dialect:
        for host in ("", "localhost"):
            target = dialect.parse_url(f"mysql://chat@{host}/chat?unix_socket=/run/m.sock")
            assert target.socket == "/run/m.sock"


IN_UTF8MB3 = """
from urllib.parse import urlsplit

import asyncmy

parts = urlsplit(url)
pool = await asyncmy.create_pool(
    host=parts.hostname,
    port=parts.port,
    user=parts.username,
    password=parts.password,
    database=parts.path[1:],
    charset="utf8",
)
print(await fails(open_and_close(pool=pool)))
pool.close()
await pool.wait_closed()
"""


def test_a_pool_that_cannot_carry_every_character_is_refused(project: Path, url: str) -> None:
    assert "charset='utf8mb4'" in run_script(project, IN_UTF8MB3, url)
