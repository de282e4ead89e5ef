"""The PostgreSQL flavor: what it promises and the rendered suite, the same for all, cannot show.

These tests take the server away, fill it, lock it and close it, under both drivers. With
CHAT_STORE_LONG_TESTS=1 in the environment, those that break it again and again do so for longer.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import give_up

from devtools.contract import migrations
from devtools.rendered import (
    STREAMS,
    check_items,
    connect,
    finish_script,
    import_rendered,
    query,
    run_command,
    run_script,
    running,
    settings,
    start_script,
    wait_until,
)
from devtools.rendering import ROOT, render, run, write

LONG = os.environ.get("CHAT_STORE_LONG_TESTS") == "1"
DRIVERS = ["psycopg", "asyncpg"]
PASSWORD = "s3cret-passw0rd"


@pytest.fixture(scope="session")
def renders(
    template_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Render for a driver, once."""
    directory = tmp_path_factory.mktemp("postgresql")

    def give(driver: str) -> Path:
        project = directory / driver
        answers = {"store_database": "postgresql", "store_driver": driver}
        return project if project.exists() else render(template_files, project, answers)

    return give


@pytest.fixture(params=DRIVERS)
def project(request: pytest.FixtureRequest, renders: Callable[[str], Path]) -> Path:
    """A render, for one driver and for the other."""
    return renders(request.param)


@pytest.fixture(scope="session")
def server(renders: Callable[[str], Path]) -> Iterator[Any]:
    """A running server of our own."""
    places = import_rendered(renders("psycopg"), "chat_store_database").find_binaries()
    if not places:
        give_up("A PostgreSQL server is missing: apt-get install postgresql")
    with running(renders("psycopg"), places[0]) as started:
        yield started


@pytest.fixture
def url(server: Any) -> str:
    """The URL of an empty database."""
    return create_database(server)


def create_database(server: Any, how: str = "ENCODING 'UTF8'") -> str:
    """Create a database, and give its URL."""
    name = f"chat_{secrets.token_hex(4)}"
    query(server.url, f"CREATE DATABASE {name} {how} TEMPLATE template0")
    return str(server.url).removesuffix("postgres") + name


def create_role(url: str, name: str = "app", rights: str = "") -> str:
    """Create a role that may log in and no more; give the URL by which it does."""
    unique = f"{name}_{secrets.token_hex(4)}"
    query(url, f"CREATE ROLE {unique} LOGIN {rights}")
    return url.replace("//postgres@", f"//{unique}@")


def role_of(url: str) -> str:
    """Give the role's name in a URL."""
    return url.partition("//")[2].partition("@")[0]


MIGRATE = "await ChatStore(url).migrate()"


def migrated(project: Path, url: str) -> str:
    """Make the tables, and give the URL again."""
    run_script(project, MIGRATE, url)
    return url


# --- Plans

PAGE = 21  # as the Store asks, for a page of 20
PARAMETERS: dict[str, tuple[object, ...]] = {
    "LOAD_THREAD": ("alice", "thr_1"),
    "FIRST_ITEMS": ("alice", "thr_1", PAGE),
    "NEXT_ITEMS": ("alice", "thr_1", "msg_500", PAGE + 1),
    "LOAD_ATTACHMENT": ("alice", "atc_1"),
    "FIRST_THREADS": ("alice", PAGE),
    "NEXT_THREADS": ("alice", "thr_500", PAGE + 1),
    "LOAD_ITEM": ("alice", "thr_1", "msg_500"),
    "EXPORT_THREADS": ("2026-01-01", 300, "alice", PAGE),
    "EXPORT_ITEMS": ("1970-01-01 00:00:30+0", 300, "alice", "thr_1", PAGE),
    "EXPORT_ATTACHMENTS": ("atc_300", "alice", PAGE),
}
# What an export asks beside them: how many rows there are, and whose.
NOT_PAGES = {"COUNT_ROWS", "NEXT_OWNER"}
FILL_OTHERS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
SELECT 'alice', 'thr_' || n, now() + n * interval '1 s', '{}'
FROM generate_series(1, 1000) AS n;
INSERT INTO chatkit_attachments (owner_id, id, created_at, data)
SELECT 'alice', 'atc_' || n, now(), '{}' FROM generate_series(1, 1000) AS n
"""
# Ten items have the same time. The foreign key is not checked for each.
FILL_ITEMS = """
SET session_replication_role = replica;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT 'alice', 'thr_1', 'msg_' || n, to_timestamp(n / 10), '{"content": []}'
FROM generate_series(FIRST, LAST) AS n;
RESET session_replication_role;
ANALYZE
"""


def reads(statements: Any) -> list[tuple[str, str]]:
    """Give the statements that read pages and rows, each under its name."""
    found = [
        (name, statement)
        for name, value in vars(statements).items()
        if name.isupper() and name not in NOT_PAGES
        for statement in (value.values() if isinstance(value, dict) else [value])
        if re.match(r"\s*SELECT .*FROM chatkit_(?!migrations)", statement, re.DOTALL)
    ]
    assert {name for name, _ in found} == PARAMETERS.keys()
    return found


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the steps of a plan."""
    yield plan
    for part in plan.get("Plans", []):
        yield from steps(part)


def test_every_read_is_an_index_scan_without_a_sort_however_long_the_thread_is(
    renders: Callable[[str], Path], server: Any, url: str
) -> None:
    statements = import_rendered(renders("psycopg"), "chat_store.statements")
    with connect(migrated(renders("psycopg"), url)) as connection:
        connection.execute(FILL_OTHERS.encode())
        for first, last in ((1, 1_000), (1_001, 1_000_000)):
            fill = FILL_ITEMS.replace("FIRST", str(first)).replace("LAST", str(last))
            connection.execute(fill.encode())
            for mode in ("force_custom_plan", "force_generic_plan"):
                connection.execute(f"SET plan_cache_mode = {mode}".encode())
                for name, statement in reads(statements):
                    check_plan(connection, statement, PARAMETERS[name])


def check_plan(
    connection: "psycopg.Connection[Any]", statement: str, parameters: tuple[object, ...]
) -> None:
    """Run a statement, and see that it reads a range of an index and no row beside it."""
    connection.execute(f"PREPARE checked AS {statement}".encode())
    literals = ", ".join(psycopg.sql.quote(parameter) for parameter in parameters)
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE checked({literals})"
    [([explained],)] = connection.execute(explain.encode()).fetchall()
    connection.execute(b"DEALLOCATE checked")
    plan = explained["Plan"]
    for step in steps(plan):
        assert step["Node Type"] in ("Limit", "Index Scan"), (statement, plan)
        assert step.get("Filter") in (None, "(deleted_at IS NULL)"), (statement, plan)
        assert step["Actual Rows"] <= PAGE + 1, (statement, plan)
    assert plan["Actual Rows"] > 0
    # Blocks of 8 KiB: the depth of two indexes, and a row in each block at worst.
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 2 * (PAGE + 1) + 10


# --- A server that goes away

WALK = """
async with ChatStore(url) as store:
    threads = (await store.load_threads(1000, None, "asc", alice)).data
    for thread in threads:
        items = await walk(store, alice, thread_id=thread.id, limit=1000)
        print(json.dumps([(thread.id, item.id) for item in items]))
"""


def append_during(
    project: Path,
    url: str,
    interruptions: list[Callable[[], None]],
    *,
    names: str,
    count: int = 300,
) -> None:
    """Append from 50 streams of each process, while the server is interrupted.

    Args:
        project: The render.
        url: An empty database.
        interruptions: What to do to the server, one after the other.
        names: For each process, a letter.
        count: How many items to wait for before, between and after the interruptions.
    """
    migrated(project, url)
    processes = [start_script(project, STREAMS, url, name) for name in names]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                pytest.fail(process.communicate()[1])
        for interrupt in [lambda: None, *interruptions]:
            interrupt()
            wait_for_items(url, count, processes)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("end\n")
            process.stdin.flush()
        outputs = [finish_script(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    acknowledged = [(thread, item) for output in outputs for thread, item in json.loads(output)]
    lines = run_script(project, WALK, url).splitlines()
    found = [(thread, item) for line in lines for thread, item in json.loads(line)]
    print(f"{len(acknowledged)} acknowledged, {len(found)} found")
    assert check_items(found, acknowledged) == 2 * 50 * len(names)


def wait_for_items(url: str, count: int, processes: "list[subprocess.Popen[str]]") -> None:
    """Wait until that many more items have been added."""
    with connect(url) as connection:

        def added() -> int:
            [(items,)] = connection.execute(b"SELECT count(*) FROM chatkit_items").fetchall()
            return int(items)

        enough = added() + count
        wait_until(lambda: added() >= enough, *processes)


def test_restarts_lose_and_duplicate_nothing_of_two_processes_with_fifty_streams_each(
    project: Path, server: Any, url: str
) -> None:
    def restart() -> None:
        server.stop()
        server.start()

    append_during(project, url, [restart] * 2, names="ab", count=10_000 if LONG else 300)


def test_kill_9_of_the_server_loses_and_duplicates_nothing_that_was_acknowledged(
    project: Path, server: Any, url: str
) -> None:
    def crash() -> None:
        children = [pid for (pid,) in query(server.url, "SELECT pid FROM pg_stat_activity")]
        server.stop(signal.SIGKILL)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(100):
            try:
                server.start()
            except RuntimeError:  # a child still holds the server's memory
                time.sleep(0.05)
            else:
                return
        raise AssertionError("The server does not start again.")

    append_during(project, url, [crash] * (20 if LONG else 3), names="a")


# --- Migrations

AT_ONCE = """
fork = multiprocessing.get_context("fork")
barrier = fork.Barrier(int(arguments[1]))


def start(number):
    async def use():
        async with ChatStore(url, auto_migrate=True, pool_size=1) as store:
            await store.save_thread(a_thread(f"thr_{number}"), alice)

    barrier.wait(60)
    asyncio.run(use())


processes = [fork.Process(target=start, args=[number]) for number in range(barrier.parties)]
for process in processes:
    process.start()
for process in processes:
    process.join()
assert {process.exitcode for process in processes} == {0}
"""
OUTSIDE = """-- outside a transaction
-- It can be run again: what an interruption left behind is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS chatkit_items_extra;

CREATE INDEX CONCURRENTLY chatkit_items_extra ON chatkit_items (created_at);
"""
EXTRA_INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'chatkit_items_extra'::regclass"


# The numbers of the migrations that there are.
KNOWN = [int(name[:4]) for name in migrations(ROOT, "postgresql")]


def versions(url: str) -> list[int]:
    """Give the migrations that are recorded."""
    rows = query(url, "SELECT version FROM chatkit_migrations ORDER BY applied_at, version")
    return [version for (version,) in rows]


def test_twenty_processes_that_start_at_once_make_one_schema(project: Path, url: str) -> None:
    run_script(project, AT_ONCE, url, 20)
    assert versions(url) == KNOWN
    assert query(url, "SELECT count(*) FROM chatkit_threads") == [(20,)]


@pytest.fixture
def with_index(project: Path, tmp_path: Path) -> Path:
    """A render with one more migration, which does not run in a transaction."""
    copy = shutil.copytree(project, tmp_path / "copy")
    write(copy, {"src/chat_store/migrations/9001_extra.sql": OUTSIDE})
    return copy


def test_a_migration_outside_a_transaction_is_applied_once_by_five_processes(
    project: Path, with_index: Path, url: str
) -> None:
    run_script(with_index, AT_ONCE, migrated(project, url), 5)
    assert versions(url) == [*KNOWN, 9001]
    assert query(url, EXTRA_INDEX) == [(True,)]


def test_a_migration_outside_a_transaction_can_be_run_again_after_an_interruption(
    project: Path, with_index: Path, url: str
) -> None:
    migrated(project, url)
    with connect(url) as connection, connection.transaction():
        connection.execute(b"LOCK TABLE chatkit_items IN ROW EXCLUSIVE MODE")
        process = start_script(with_index, MIGRATE, url)
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_until(lambda: query(url, waiting), process)
        process.kill()
        process.communicate()
        query(url, f"SELECT pg_terminate_backend(pid, 10000) FROM ({waiting}) AS waiting")
    assert query(url, EXTRA_INDEX) == [(False,)]
    assert versions(url) == KNOWN
    assert run_command(with_index, "migrate", "--url", url).returncode == 0
    assert query(url, EXTRA_INDEX) == [(True,)]
    assert versions(url) == [*KNOWN, 9001]


USE_EVERYTHING = """
async with ChatStore(url) as store:
    await save_one_of_each(store, alice)
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, alice)
"""


def test_a_role_that_may_only_read_and_write_the_rows_runs_the_store(
    project: Path, url: str
) -> None:
    restricted = create_role(migrated(project, url))
    tables = "chatkit_threads, chatkit_items, chatkit_attachments"
    role = role_of(restricted)
    query(url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}")
    query(url, f"GRANT SELECT ON chatkit_migrations TO {role}")
    run_script(project, USE_EVERYTHING, restricted)
    for command in ("status", "migrate"):
        done = run_command(project, command, "--url", restricted)
        assert done.returncode == 0, done.stdout


def test_migrating_with_a_role_that_must_not_create_tables_says_what_is_refused(
    project: Path, url: str
) -> None:
    query(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as by default since 15
    done = run_command(project, "migrate", "--url", create_role(url))
    assert done.returncode == 1
    assert "permission denied for schema public" in done.stdout
    assert len(done.stdout.splitlines()) == 2  # and where it stopped


# --- What the URL says


def test_a_schema_of_ones_own_is_used_where_the_url_names_it(project: Path, url: str) -> None:
    query(url, "CREATE SCHEMA chat")
    in_schema = f"{url}?options=-csearch_path%3Dchat"
    run_script(project, USE_EVERYTHING, migrated(project, in_schema))
    tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'chatkit%'"
    assert query(url, tables) == [("chat",)]


OPEN = "await open_and_close(url, auto_migrate=True)"
OPEN_FAILS = """
error = await fails(open_and_close(url, auto_migrate=True, pool_timeout=3600))
print(type(error).__name__, error)
"""


@pytest.fixture
def with_tls(server: Any, tmp_path: Path, tool: Callable[[str], str]) -> Iterator[Path]:
    """Let the server speak TLS; give the directory with its certificate and another."""
    if query(server.url, "SHOW ssl_library") == [("",)]:
        give_up("A PostgreSQL server that speaks TLS is missing: apt-get install postgresql")
    for name in ("right", "wrong"):
        done = run(
            *(tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout
    [(text,)] = query(server.url, "SHOW data_directory")
    data = Path(text)
    for name in ("right.key", "right.crt"):
        shutil.copyfile(tmp_path / name, data / name)
        shutil.chown(data / name, data.stat().st_uid, data.stat().st_gid)
        (data / name).chmod(0o600)
    with settings(server, ssl="on", ssl_cert_file="right.crt", ssl_key_file="right.key"):
        yield tmp_path


def test_tls_is_verified_against_the_root_that_the_url_names(
    project: Path, with_tls: Path, url: str
) -> None:
    in_tls = f"{url}?sslmode=verify-full&sslrootcert={with_tls}"
    run_script(project, OPEN, f"{in_tls}/right.crt")
    with_password = in_tls.replace("//postgres@", f"//postgres:{PASSWORD}@")
    printed = run_script(project, OPEN_FAILS, f"{with_password}/wrong.crt")
    assert printed.startswith("DatabaseError")
    assert "certificate verify failed" in printed.lower()
    assert PASSWORD not in printed


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("password", "password authentication failed"),
        ("database", 'database "chat_absent" does not exist'),
        ("host", "[Nn]ame|resolve"),
        ("port", "port 1 failed|'127.0.0.1', 1"),
    ],
    ids=["password", "database", "host", "port"],
)
def test_a_url_that_leads_nowhere_is_an_error_at_once_that_names_the_cause(
    project: Path, server: Any, url: str, wrong: str, says: str
) -> None:
    with_password = create_role(url, rights="PASSWORD 'another'")
    [(text,)] = query(server.url, "SHOW hba_file")
    access = Path(text)
    line = f"host all {role_of(with_password)} all scram-sha-256\n"
    access.write_text(line + access.read_text("utf-8"), "utf-8")
    query(server.url, "SELECT pg_reload_conf()")
    with_password = with_password.replace("@", f":{PASSWORD}@")
    urls = {
        "password": with_password,
        "database": re.sub(r"[^/]+$", "chat_absent", url.replace("@", f":{PASSWORD}@")),
        "host": with_password.replace("127.0.0.1", "no.such.host.invalid"),
        "port": re.sub(r":\d+/", ":1/", with_password),
    }
    printed = run_script(project, OPEN_FAILS, urls[wrong])
    assert printed.startswith("DatabaseError")
    assert re.search(says, printed), printed
    assert PASSWORD not in printed


OPEN_SILENT = """
error = await fails(open_and_close(url, pool_timeout=2))
print(type(error).__name__, error)
"""


def test_a_server_that_never_answers_is_an_error_that_says_so(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        printed = run_script(project, OPEN_SILENT, f"postgresql://postgres@127.0.0.1:{port}/chat")
    assert re.match("Database.*(timeout expired|did not answer)", printed), printed


OPEN_LATIN1 = """
error = await fails(open_and_close(url, auto_migrate=True))
assert isinstance(error, SchemaError), error
assert "LATIN1" in str(error) and "ENCODING 'UTF8'" in str(error), error
with psycopg.connect(url, autocommit=True) as connection:
    await eventually(lambda: not others(connection))
"""


def test_a_database_that_is_not_utf8_is_refused_with_what_to_do(project: Path, server: Any) -> None:
    run_script(project, OPEN_LATIN1, create_database(server, "ENCODING 'LATIN1' LOCALE 'C'"))


# --- A pool that is handed in

USE_POOL = """
async with ChatStore(pool=pool, auto_migrate=True) as store:
    await save_one_of_each(store, bob)
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, bob)
    await save_one_of_each(store, alice)
    assert (await store.load_thread("thr_1", alice)).title == "hello"
    assert await walk(store, alice) == [a_message(text="hello")]
"""
POOLS = {
    "psycopg": """
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

kwargs = {"autocommit": False, "row_factory": dict_row} if arguments[1] == "other" else {}
async with AsyncConnectionPool(url, kwargs=kwargs, open=False) as pool:
    USE_POOL
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT 1 AS one")
        assert await cursor.fetchall() == [{"one": 1} if kwargs else (1,)]
""",
    "asyncpg": """
import asyncpg


async def set_codec(connection):
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )


async with asyncpg.create_pool(url, init=set_codec if arguments[1] == "other" else None) as pool:
    USE_POOL
    one = await pool.fetchval("SELECT '[1]'::json")
    assert one == ([1] if arguments[1] == "other" else "[1]")
""",
}


@pytest.mark.parametrize("kind", ["plain", "other"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_pool_that_is_handed_in_is_used_and_left_open(
    renders: Callable[[str], Path], url: str, driver: str, kind: str
) -> None:
    used = "\n    ".join(USE_POOL.splitlines())
    run_script(renders(driver), POOLS[driver].replace("USE_POOL", used), url, kind)


# --- Connections that are taken, cut or locked out

FULL = """
async with ChatStore(url, auto_migrate=True, pool_timeout=3) as store:
    await save_one_of_each(store, alice)
    with psycopg.connect(url, autocommit=True) as connection:
        taken = []
        try:
            while True:
                taken.append(psycopg.connect(url))
        except psycopg.OperationalError as error:
            assert "too many clients" in str(error)
        for pid, *_ in others(connection):
            if pid not in [other.info.backend_pid for other in taken]:
                connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
                taken.append(psycopg.connect(url))
        calls = [READS["load_thread"](store, alice), WRITES["save_thread"](store, alice)]
        for error in await asyncio.gather(*map(fails, calls)):
            assert isinstance(error, DatabaseError), error
            print(error)
        waits = asyncio.ensure_future(WRITES["save_thread"](store, alice))
        await asyncio.sleep(0.1)
        assert not waits.done()
        taken.pop().close()
        await finish(waits)
"""


def test_a_call_waits_for_a_server_that_is_full_and_then_says_so(
    project: Path, server: Any, url: str
) -> None:
    with settings(server, max_connections="8"):
        printed = run_script(project, FULL, url).splitlines()
    for line in printed:
        assert re.search("too many clients|No connection to PostgreSQL became free", line), line


CUT = """
async with ChatStore(url, auto_migrate=True) as store:
    for method, call in {**READS, **WRITES}.items():
        context = make_context(method, "request")
        await save_one_of_each(store, context)
        with psycopg.connect(url, autocommit=True) as connection:
            locker = psycopg.connect(url)
            locker.execute(
                "LOCK TABLE chatkit_threads, chatkit_items, chatkit_attachments"
            )
            under_way = asyncio.ensure_future(call(store, context))
            await eventually(lambda: waiting(connection))
            [pid] = waiting(connection)
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
            await eventually(lambda: set(waiting(connection)) - {pid})
            assert not under_way.done()
            locker.close()
            await finish(under_way)
"""


def test_a_call_whose_connection_is_cut_while_it_waits_succeeds_on_another(
    project: Path, url: str
) -> None:
    run_script(project, CUT, url)


LOCKED_OUT = """
async with ChatStore(url, auto_migrate=True, statement_timeout=0.3, pool_size=2) as store:
    with psycopg.connect(url, autocommit=True) as connection:
        for method, call in {**READS, **WRITES}.items():
            context = make_context(method, "request")
            await save_one_of_each(store, context)
            locker = psycopg.connect(url)
            locker.execute(
                "LOCK TABLE chatkit_threads, chatkit_items, chatkit_attachments"
            )
            error = await fails(call(store, context))
            assert isinstance(error, DatabaseTimeoutError), error
            await eventually(lambda: not waiting(connection))
            locker.close()
            assert (await store.load_thread("thr_1", context)).title == "hello"
            await call(store, context)
"""


def test_a_statement_that_is_locked_out_ends_in_an_error_and_does_not_linger(
    project: Path, url: str
) -> None:
    run_script(project, LOCKED_OUT, url)


CANCELLED = """
async with ChatStore(url, auto_migrate=True) as store:
    with psycopg.connect(url, autocommit=True) as connection:
        await save_one_of_each(store, alice)
        for call in READS.values():
            with psycopg.connect(url) as locker:
                locker.execute(
                    "LOCK TABLE chatkit_threads, chatkit_items, chatkit_attachments"
                )
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as group:
                        group.start_soon(call, store, alice)
                        await eventually(lambda: waiting(connection))
                        scope.cancel()
                await eventually(lambda: not waiting(connection))
            await call(store, alice)
"""


def test_a_read_does_not_linger_on_the_server_when_its_caller_is_cancelled(
    project: Path, url: str
) -> None:
    run_script(project, CANCELLED, url)
