"""The flavors with a server: what they promise and the rendered suite cannot show.

That is what takes a server of the test's own, which is crashed, set otherwise, or asked for other
accounts and certificates. What is about one database only stands with it, in
`choices/database/NAME/testing`.
"""

import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.combinations import FLAVORS
from devtools.databases import ServerDatabase, server_database, servers
from devtools.rendered import (
    STREAMS,
    USE_EVERYTHING,
    check_items,
    finish_script,
    migrated,
    run_command,
    run_script,
    start_script,
    wait_until,
)

PASSWORD = "s3cret-passw0rd"
ON_SERVERS = [name for name, way in FLAVORS.items() if way["store_database"] in servers()]


@pytest.fixture(params=ON_SERVERS)
def flavor(request: pytest.FixtureRequest) -> str:
    """One flavor after the other."""
    name: str = request.param
    return name


@pytest.fixture
def project(flavor: str, project_of: Callable[[str], Path]) -> Path:
    """Its render."""
    return project_of(flavor)


@pytest.fixture
def database(flavor: str) -> ServerDatabase:
    """Its database."""
    return server_database(FLAVORS[flavor]["store_database"])


@pytest.fixture
def server(flavor: str, server_of: Callable[[str], Any]) -> Any:
    """A running server."""
    return server_of(FLAVORS[flavor]["store_database"])


@pytest.fixture
def url(database: ServerDatabase, server: Any) -> str:
    """The URL of an empty database."""
    return database.create_database(server.url)


# --- A server that goes away

WALK = """
async with ChatStore(url) as store:
    threads = (await store.load_threads(1000, None, "asc", alice)).data
    for thread in threads:
        items = await walk(store, alice, thread_id=thread.id, limit=1000)
        print(json.dumps([(thread.id, item.id) for item in items]))
"""


def test_restarts_and_crashes_lose_and_duplicate_nothing_of_two_processes_with_many_streams(
    project: Path, database: ServerDatabase, server: Any, url: str
) -> None:
    def wait_for_items(count: int = 300) -> None:
        def added() -> int:
            [(items,)] = database.query(url, "SELECT count(*) FROM chatkit_items")
            return int(items)

        enough = added() + count
        wait_until(lambda: added() >= enough, *processes)

    migrated(project, url)
    processes = [start_script(project, STREAMS, url, name) for name in "ab"]
    try:
        for process in processes:
            wait_until_ready(process)
        for _ in range(2):
            wait_for_items()
            server.stop()
            server.start()
            wait_for_items()
            database.crash(server)
        wait_for_items()
        outputs = [finish_script(process, "end\n") for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    acknowledged = [(thread, item) for output in outputs for thread, item in json.loads(output)]
    lines = run_script(project, WALK, url).splitlines()
    found = [(thread, item) for line in lines for thread, item in json.loads(line)]
    assert check_items(found, acknowledged) == 2 * 50 * len(processes)


def wait_until_ready(process: "subprocess.Popen[str]") -> None:
    """Wait until a script says that it is ready."""
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        pytest.fail(process.communicate()[1])


# --- Who connects, where to, and how

OPENS_FAIL = """
for wrong in arguments:
    error = await fails(open_and_close(wrong, auto_migrate=True, pool_timeout=3600))
    print(type(error).__name__, error)
"""


def test_an_account_that_may_only_read_and_write_the_rows_runs_the_store(
    project: Path, database: ServerDatabase, url: str
) -> None:
    restricted = database.create_account(migrated(project, url), PASSWORD)
    run_script(project, USE_EVERYTHING, restricted)
    for command in ("status", "migrate"):
        done = run_command(project, command, "--url", restricted)
        assert done.returncode == 0, done.stdout


def test_a_url_that_is_refused_is_an_error_at_once_that_shows_no_password(
    project: Path, database: ServerDatabase, url: str
) -> None:
    right = database.create_account(url, PASSWORD)
    place = urlsplit(right).netloc.rpartition("@")[2]
    wrong = [
        right.replace(PASSWORD, f"no-{PASSWORD}"),
        re.sub(r"[^/]+$", "chat_absent", right),
    ]
    nowhere = [
        right.replace("127.0.0.1", "no.such.host.invalid"),
        right.replace(place, "127.0.0.1:1"),
    ]
    printed = run_script(project, OPENS_FAIL, *wrong)
    printed += run_script(project, OPENS_FAIL.replace("3600", "1"), *nowhere)
    assert re.findall(r"^DatabaseError .+", printed, re.MULTILINE) == printed.splitlines()
    assert len(printed.splitlines()) == len(wrong) + len(nowhere)
    assert PASSWORD not in printed


SHOWN = """
async with ChatStore(url, auto_migrate=True) as store, store.connected() as database:
    connections = database._connections
    connection = await connections.acquire()
    inside = [it for it in vars(connections).values() if not isinstance(it, str)]
    for shown in (store, database, connections, connection, connection.raw, *inside):
        print(repr(shown))
    await connections.release(connection)
"""


def test_nothing_of_the_store_shows_the_password_in_its_repr(
    project: Path, database: ServerDatabase, url: str
) -> None:
    printed = run_script(project, SHOWN, database.create_account(migrated(project, url), PASSWORD))
    assert "ChatStore" in printed
    assert PASSWORD not in printed


WITH_DRIVER = """
from chat_store.connections import DRIVER

scheme, _, rest = url.partition("://")
async with ChatStore(f"{scheme}+{DRIVER}://{rest}", auto_migrate=True) as store:
    await save_one_of_each(store, alice)
print(DRIVER)
"""


def test_a_url_may_name_the_driver_as_sqlalchemys_do(project: Path, url: str) -> None:
    assert run_script(project, WITH_DRIVER, url).strip() in ("psycopg", "asyncpg", "asyncmy")


OPEN_SILENT = """
error = await fails(open_and_close(url, pool_timeout=2))
print(type(error).__name__, error)
"""


def test_a_server_that_never_answers_is_an_error_in_time(
    project: Path, server: Any, url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        silent = url.replace(urlsplit(url).netloc.rpartition("@")[2], place)
        assert run_script(project, OPEN_SILENT, silent).startswith("Database")


def test_tls_is_verified_against_the_authority_that_the_url_names(
    project: Path, database: ServerDatabase, server: Any, url: str, certificates: Path
) -> None:
    with database.with_tls(server, certificates):
        account = database.create_account(url, PASSWORD)
        migrated(project, database.tls_url(url, certificates / "right.crt"))
        wrong = database.tls_url(account, certificates / "wrong.crt")
        printed = run_script(project, OPENS_FAIL, wrong)
    assert printed.startswith("DatabaseError")
    assert "certificate verify failed" in printed.lower()
    assert PASSWORD not in printed


# --- A pool that is handed in

USE_POOL = """
async with ChatStore(pool=pool, auto_migrate=True) as store:
    await save_one_of_each(store, bob)
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, bob)
    await save_one_of_each(store, alice)
    await asyncio.gather(*(store.load_thread("thr_1", alice) for _ in range(20)))
    assert (await store.load_thread("thr_1", alice)).title == "hello"
    assert await walk(store, alice) == [a_message(text="hello")]
    # What two change at the same time.
    one, other = [await store.load_thread("thr_1", alice) for _ in range(2)]
    one.title, other.metadata["key"] = "one", "other"
    for thread in (one, other, other):
        await store.save_thread(thread, alice)
    merged = await store.load_thread("thr_1", alice)
    assert (merged.title, merged.metadata) == ("one", {"key": "other"})
    # What is written late, and again without a change.
    thread = await store.load_thread("thr_1", alice)
    for _ in range(2):
        await store.save_thread(a_thread(title="hello"), alice)
        await store.add_thread_item("thr_1", a_message(text="hello"), alice)
    await store.delete_thread("thr_1", alice)
    for late in (thread, a_thread(title="late")):
        assert isinstance(await fails(store.save_thread(late, alice)), NotFoundError)
    late = store.add_thread_item("thr_1", a_message(text="late"), alice)
    assert isinstance(await fails(late), NotFoundError)
    assert (await store.load_threads(9, None, "asc", alice)).data == []
"""


@pytest.mark.parametrize("kind", ["plain", "other"])
def test_a_pool_that_is_handed_in_is_used_and_left_open(
    flavor: str, project: Path, database: ServerDatabase, url: str, kind: str
) -> None:
    """Whatever the pool's own connections are set to."""
    [script] = (
        script
        for driver, script in database.pools.items()
        if len(database.pools) == 1 or driver == FLAVORS[flavor]["store_driver"]
    )
    lines = re.sub(
        r"^( *)USE_POOL\n",
        lambda it: "".join(f"{it[1]}{line}\n" for line in USE_POOL.splitlines()),
        script,
        flags=re.MULTILINE,
    )
    run_script(project, lines, url, kind)
