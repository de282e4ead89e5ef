"""PostgreSQL: servers that are replaced, become read-only, or end sessions; networks that cut."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from choices.database.postgresql.testing.database import DATABASE, settings
from devtools.combinations import FLAVORS
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
pytestmark = pytest.mark.cluster  # run by `make cluster`

DRIVERS = [name for name, way in FLAVORS.items() if way["store_database"] == "postgresql"]


@pytest.fixture(params=DRIVERS)
def project(request: pytest.FixtureRequest, project_of: Callable[[str], Path]) -> Path:
    """A render for each driver."""
    return project_of(request.param)


@pytest.fixture
def server(server_of: Callable[[str], Any]) -> Any:
    """A running server."""
    return server_of("postgresql")


@pytest.fixture
def url(project: Path, server: Any) -> str:
    """The URL of a database with the Store's tables."""
    return migrated(project, DATABASE.create_database(server.url))


# --- A standby

COUNT_ITEMS = "SELECT count(*) FROM chatkit_items"
ITEMS = "SELECT thread_id, id FROM chatkit_items ORDER BY owner_id, thread_id, created_at, position"


@contextmanager
def standby_of(server: Any, project: Path) -> Iterator[Any]:
    """Run a standby, for whose answer the server waits before it acknowledges a write."""
    suite = import_rendered(project, "chat_store_database")
    standby = suite.Server(DATABASE.find(suite))
    try:
        shutil.rmtree(standby._data)
        copied = standby._run(
            *("pg_basebackup", "--pgdata", standby._data, "--write-recovery-conf"),
            *("--checkpoint=fast", "--no-sync", "--dbname", server.url),
        )
        assert copied.wait() == 0, standby._log()
        standby.start()
        query(server.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        query(server.url, "SELECT pg_reload_conf()")
        replicating = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: query(server.url, replicating))
        yield standby
    finally:
        standby.remove()
        server.stop(signal.SIGQUIT)
        server.start()
        query(server.url, "ALTER SYSTEM RESET synchronous_standby_names")
        query(server.url, "SELECT pg_reload_conf()")


def test_a_standby_that_takes_over_behind_the_same_name_has_all_and_no_call_fails(
    project: Path, server: Any, url: str, record_property: Callable[[str, object], None]
) -> None:
    with standby_of(server, project) as standby, Forwarder(url) as name:
        there = f"{standby.url.rpartition('/')[0]}/{url.rpartition('/')[2]}"
        process = start_script(project, STREAMS, name.url(url), "a")

        def wait_for_more(than: int) -> int:
            wait_until(lambda: query(there, COUNT_ITEMS)[0][0] > than + 300, process)
            return int(query(there, COUNT_ITEMS)[0][0])

        try:
            before = wait_for_more(0)
            server.stop(signal.SIGQUIT)  # without a farewell to the standby
            killed = time.monotonic()
            query(there, "SELECT pg_promote()")
            name.turn_to(there)
            wait_for_more(before)
            took = time.monotonic() - killed
            acknowledged = json.loads(finish_script(process, "end\n").splitlines()[-1])
        finally:
            process.kill()
            process.communicate()
        record_property("measured", f"300 more items {took:.1f} s after the primary was killed")
        assert (
            check_items(query(there, ITEMS), [(thread, item) for thread, item in acknowledged])
            == 2 * 50
        )


# --- Sessions that are not what they were

# Around the Store. Every connection that the pool may have is made: all are used at once.
FILL = """
import time

import psycopg

around = psycopg.connect(arguments[1], autocommit=True)


async def fill(store, size):
    with psycopg.connect(arguments[1], options="-c default_transaction_read_only=off") as locker:
        # A call under way may have to end first.
        await asyncio.to_thread(locker.execute, "LOCK TABLE chatkit_threads")
        reads = [asyncio.ensure_future(store.load_thread("thr_1", alice)) for _ in range(size)]
        await eventually(lambda: sessions("wait_event_type = 'Lock'") >= size)
        locker.rollback()
        await asyncio.gather(*reads)


def sessions(condition):
    [(count,)] = around.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        f"AND pid <> pg_backend_pid() AND {condition}"
    )
    return count


async def timed(call):
    began = time.monotonic()
    await finish(call, 60)
    return time.monotonic() - began


async with ChatStore(url) as store:
    await save_one_of_each(store, alice)
"""

READ_ONLY = (
    FILL
    + """
alter = f"ALTER DATABASE {around.info.dbname}"
write = WRITES["save_thread"]
around.execute(f"{alter} SET default_transaction_read_only = on")
async with ChatStore(url, pool_size=5) as store:
    await fill(store, 5)
    under_way = asyncio.ensure_future(write(store, alice))
    await asyncio.sleep(0.2)
    assert not under_way.done()
    await fill(store, 4)
    around.execute(f"{alter} RESET default_transaction_read_only")
    took = [await timed(under_way)]
    for _ in range(5):
        took.append(await timed(asyncio.gather(*(write(store, alice) for _ in range(5)))))
    print(max(took))
"""
)


def test_a_pool_that_was_filled_while_the_server_was_read_only_writes_once_it_is_not(
    project: Path, url: str, record_property: Callable[[str, object], None]
) -> None:
    took = float(run_script(project, READ_ONLY, url, url))
    record_property("measured", f"the longest of the writes after that took {took:.2f} s")
    assert took < 3


IDLE = (
    FILL
    + """
around.execute(f"ALTER DATABASE {around.info.dbname} SET idle_session_timeout = '100ms'")
around.close()
around = psycopg.connect(
    arguments[1], autocommit=True, options="-c idle_session_timeout=0"
)
async with ChatStore(url, pool_size=5) as store:
    for method, call in {**READS, **WRITES}.items():
        context = make_context(method, "request")
        await save_one_of_each(store, context)
        await fill(store, 5)
        await eventually(lambda: sessions("true") == 0)
        await asyncio.gather(*(call(store, context) for _ in range(5)))
"""
)


def test_no_call_fails_where_the_server_ends_sessions_that_are_idle(
    project: Path, url: str
) -> None:
    run_script(project, IDLE, url, url)


# --- A network that cuts without telling

CUT_SILENTLY = (
    FILL
    + """
async with ChatStore(url, pool_size=5, pool_timeout=TIMEOUT) as store:
    await fill(store, 5)
    await asyncio.sleep(IDLE)
    print("filled", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.sleep(2 * IDLE)
    calls = asyncio.gather(*(store.load_thread("thr_1", alice) for _ in range(AT_ONCE)))
    print(await timed(calls))
    assert await timed(store.load_thread("thr_1", alice)) < 1
"""
)


def use_after_a_cut(project: Path, url: str, script: str) -> float:
    """Run a script whose connections are cut when they are filled; give what it measured."""
    with Forwarder(url) as network:
        process = start_script(project, script, network.url(url), url)
        assert process.stdout is not None
        assert process.stdout.readline() == "filled\n", process.communicate()
        network.silence()
        return float(finish_script(process, "go on\n"))


@pytest.mark.parametrize("project", ["postgresql-psycopg"], indirect=True)
def test_calls_whose_connections_are_cut_silently_succeed_on_others_in_time(
    project: Path, url: str
) -> None:
    """With psycopg; asyncpg sets no limits of the network."""
    script = CUT_SILENTLY.replace("TIMEOUT", "4").replace("IDLE", "0").replace("AT_ONCE", "2")
    assert 1.5 < use_after_a_cut(project, url, script) < 4


ONE_WAITS = (
    FILL
    + """
async with ChatStore(url, pool_size=5, pool_timeout=2, statement_timeout=1.5) as store:
    await fill(store, 5)
    print("filled", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    took = [await timed(fails(store.load_thread("thr_1", alice)))]
    for _ in range(5):
        took.append(await timed(store.load_thread("thr_1", alice)))
    assert max(took[1:]) < 1, took
    print(took[0])
"""
)


@pytest.mark.parametrize("project", ["postgresql-asyncpg"], indirect=True)
def test_of_calls_after_a_silent_cut_one_waits_for_its_statement_timeout(
    project: Path, url: str
) -> None:
    """With asyncpg; where psycopg's call succeeds."""
    assert 1 < use_after_a_cut(project, url, ONE_WAITS) < 4


# The limits of idle connections, for a test that cannot wait for some minutes.
HASTY = {
    "postgresql-psycopg": """
from chat_store import connections


class HastyPool(connections.AsyncConnectionPool):
    def __init__(self, *arguments, kwargs, **options):
        assert kwargs["keepalives_idle"] + 3 * kwargs["keepalives_interval"] < 200
        fast = {"keepalives_idle": 1, "keepalives_interval": 1}
        super().__init__(*arguments, kwargs={**kwargs, **fast}, **options)

    def __class_getitem__(cls, item):
        return cls


connections.AsyncConnectionPool = HastyPool
""",
    "postgresql-asyncpg": """
import asyncpg

create_pool = asyncpg.create_pool


def create_hasty_pool(*arguments, max_inactive_connection_lifetime, **options):
    assert 0 < max_inactive_connection_lifetime <= 200
    return create_pool(*arguments, max_inactive_connection_lifetime=1, **options)


asyncpg.create_pool = create_hasty_pool
""",
}


def test_idle_connections_that_were_cut_silently_some_minutes_ago_make_no_call_wait(
    request: pytest.FixtureRequest, project: Path, url: str
) -> None:
    script = CUT_SILENTLY.replace("TIMEOUT", "2").replace("IDLE", "1.5").replace("AT_ONCE", "5")
    limits = HASTY[request.node.callspec.params["project"]]
    assert use_after_a_cut(project, url, f"{limits}{script}") < 1


# --- A server that is full, or starting

OPEN_FULL = (
    FILL
    + """
taken = []
try:
    while True:
        taken.append(psycopg.connect(arguments[1]))
except psycopg.OperationalError as error:
    assert "too many clients" in str(error)
error = await fails(open_and_close(url, pool_timeout=0.3))
assert isinstance(error, DatabaseError) and "too many clients" in str(error), error
opening = asyncio.ensure_future(open_and_close(url))
await asyncio.sleep(0.5)
assert not opening.done()
taken.pop().close()
print(await timed(opening))
"""
)
OPEN_EARLY = """
# A machine may be slow to start the server.
opening = asyncio.ensure_future(open_and_close(url, pool_timeout=60))
await asyncio.sleep(0.3)
assert not opening.done(), opening.result()
print("waits", flush=True)
await opening
"""


def test_opening_waits_until_a_server_that_is_full_has_room(
    project: Path, server: Any, url: str
) -> None:
    with settings(server, max_connections="8"):
        assert float(run_script(project, OPEN_FULL, url, url)) < 3


def test_opening_waits_for_a_server_that_recovers_from_a_crash(
    project: Path, server: Any, url: str
) -> None:
    server.stop(signal.SIGQUIT)
    try:
        process = start_script(project, OPEN_EARLY, url)
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n", process.communicate()
    finally:
        server.start()
    finish_script(process)
