"""PostgreSQL alone: plans, migrations outside a transaction, and what a DBA may do to a server."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from choices.database.postgresql.testing.database import DATABASE, connect, settings
from devtools.combinations import FLAVORS
from devtools.contract import migrations
from devtools.rendered import (
    MIGRATE,
    USE_EVERYTHING,
    finish_script,
    import_rendered,
    migrated,
    reads,
    run_command,
    run_script,
    start_script,
    wait_until,
)
from devtools.rendering import ROOT, render, write

query = DATABASE.query
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
def url(server: Any) -> str:
    """The URL of an empty database."""
    return DATABASE.create_database(server.url)


# --- Plans

PAGE = 21  # as the Store asks, for a page of 20
SHARE = 2**20  # a row that is larger comes without its payload
PARAMETERS: dict[str, tuple[object, ...]] = {
    "LOAD_THREAD": ("alice", "thr_1"),
    "FIND_THREAD": ("alice", "thr_1"),
    "FIRST_ITEMS": (SHARE, "alice", "thr_1", PAGE),
    "NEXT_ITEMS": (SHARE, "alice", "thr_1", "msg_500", PAGE),
    "LOAD_ATTACHMENT": ("alice", "atc_1"),
    "FIRST_THREADS": (SHARE, "alice", PAGE),
    "NEXT_THREADS": (SHARE, "alice", "thr_500", PAGE),
    "LOAD_ITEM": ("alice", "thr_1", "msg_500"),
    "EXPORT thread": ("alice", "2026-01-01", 300, PAGE),
    "EXPORT item": ("alice", "thr_1", "1970-01-01 00:00:30+0", 300, PAGE),
    "EXPORT attachment": ("alice", "atc_300", PAGE),
}
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


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the steps of a plan."""
    yield plan
    for part in plan.get("Plans", []):
        yield from steps(part)


def test_every_read_is_an_index_scan_without_a_sort_however_long_the_thread_is(
    template_files: Path, tmp_path: Path, url: str
) -> None:
    answers = {**FLAVORS[DRIVERS[0]], "store_transfer": True}
    project = render(template_files, tmp_path / "project", answers)
    statements = list(reads(project))
    with connect(migrated(project, url)) as connection:
        connection.execute(FILL_OTHERS.encode())
        for first, last in ((1, 1_000), (1_001, 1_000_000)):
            fill = FILL_ITEMS.replace("FIRST", str(first)).replace("LAST", str(last))
            connection.execute(fill.encode())
            for mode in ("force_custom_plan", "force_generic_plan"):
                connection.execute(f"SET plan_cache_mode = {mode}".encode())
                for name, statement in statements:
                    parameters = PARAMETERS.get(name) or PARAMETERS[name.split()[0]]
                    check_plan(connection, statement, parameters)


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
        assert step["Node Type"] in ("Limit", "Index Scan", "Index Only Scan")
        assert step.get("Filter") in (None, "(deleted_at IS NULL)"), (statement, plan)
        assert step["Actual Rows"] <= PAGE + 1, (statement, plan)
    assert plan["Actual Rows"] > 0
    # Blocks of 8 KiB: the depth of two indexes, and a row in each block at worst.
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 2 * PAGE + 10


FILL_THREADS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
SELECT 'alice', 'thr_' || n, '2020-01-01', '{}' FROM generate_series(1, 100000) AS n;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT owner_id, id, 'msg_1', created_at, '{}' FROM chatkit_threads;
ANALYZE chatkit_threads, chatkit_items
"""


def test_an_expiry_reads_the_threads_of_its_batch_only(
    template_files: Path, tmp_path: Path, url: str
) -> None:
    answers = {**FLAVORS[DRIVERS[0]], "store_user_data": True}
    project = render(template_files, tmp_path / "project", answers)
    expiry = import_rendered(project, "chat_store.user_data.statements")
    now = datetime.now(UTC)
    keys = [("alice", f"thr_{number}") for number in range(500, 600)]
    batch = [expiry.next_threads("alice", "thr_500", now), *expiry.delete_expired(keys, now)]
    with connect(migrated(project, url)) as connection:
        connection.execute(FILL_THREADS.encode())
        for mode in ("force_custom_plan", "force_generic_plan"):
            connection.execute(f"SET plan_cache_mode = {mode}".encode())
            for statement, parameters in batch:
                connection.execute(f"PREPARE checked AS {statement}".encode())
                literals = ", ".join(psycopg.sql.quote(parameter) for parameter in parameters)
                explain = f"EXPLAIN (FORMAT JSON) EXECUTE checked({literals})"
                [([explained],)] = connection.execute(explain.encode()).fetchall()
                connection.execute(b"DEALLOCATE checked")
                for step in steps(explained["Plan"]):
                    assert step["Node Type"] != "Seq Scan", explained
                    # One index leads to each thread, and one to its newest item.
                    is_scan = step["Node Type"].startswith("Index")
                    assert not is_scan or "Index Cond" in step, explained


# --- Migrations

# The numbers of the migrations that there are.
KNOWN = [int(name[:4]) for name in migrations(ROOT, "postgresql")]


def versions(url: str) -> list[int]:
    """Give the migrations that are recorded."""
    rows = query(url, "SELECT version FROM chatkit_migrations ORDER BY applied_at, version")
    return [version for (version,) in rows]


OUTSIDE = """-- outside a transaction
-- It can be run again: what an interruption left behind is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS chatkit_items_extra;

CREATE INDEX CONCURRENTLY chatkit_items_extra ON chatkit_items (created_at);
"""
EXTRA_INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'chatkit_items_extra'::regclass"


@pytest.fixture
def with_index(project: Path, tmp_path: Path) -> Path:
    """A render with one more migration, which does not run in a transaction."""
    copy = shutil.copytree(project, tmp_path / "copy")
    write(copy, {"src/chat_store/migrations/9001_extra.sql": OUTSIDE})
    return copy


def test_a_migration_outside_a_transaction_is_applied_once_by_five_processes(
    project: Path, with_index: Path, url: str
) -> None:
    migrated(project, url)
    for process in [start_script(with_index, MIGRATE, url) for _ in range(5)]:
        finish_script(process)
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


def test_a_migration_outside_a_transaction_runs_on_a_pool_that_begins_transactions(
    project: Path, with_index: Path, url: str
) -> None:
    driver = FLAVORS[project.name]["store_driver"]
    migrate = "await ChatStore(pool=pool).migrate()"
    run_script(with_index, DATABASE.pools[driver].replace("USE_POOL", migrate), url, "other")
    assert versions(url) == [*KNOWN, 9001]


# --- What a DBA has set up


def test_a_schema_of_ones_own_is_used_where_the_url_names_it(project: Path, url: str) -> None:
    query(url, "CREATE SCHEMA chat")
    in_schema = f"{url}?options=-csearch_path%3Dchat"
    run_script(project, USE_EVERYTHING, migrated(project, in_schema))
    tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'chatkit%'"
    assert query(url, tables) == [("chat",)]


# Around the Store.
OTHERS = """
import psycopg


def others(connection):
    return connection.execute(
        "SELECT pid, wait_event_type, state, query FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall()


def waiting(connection):
    return [pid for pid, waits_for, *_ in others(connection) if waits_for == "Lock"]

"""

OPEN_LATIN1 = (
    OTHERS
    + """
error = await fails(open_and_close(url, auto_migrate=True))
assert isinstance(error, SchemaError), error
assert "LATIN1" in str(error) and "ENCODING 'UTF8'" in str(error), error
with psycopg.connect(url, autocommit=True) as connection:
    await eventually(lambda: not others(connection))
"""
)


def test_a_database_that_is_not_utf8_is_refused_with_what_to_do(project: Path, server: Any) -> None:
    run_script(
        project, OPEN_LATIN1, DATABASE.create_database(server.url, "ENCODING 'LATIN1' LOCALE 'C'")
    )


FULL = (
    OTHERS
    + """
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
)


def test_a_call_waits_for_a_server_that_is_full_and_then_says_so(
    project: Path, server: Any, url: str
) -> None:
    with settings(server, max_connections="8"):
        printed = run_script(project, FULL, url).splitlines()
    for line in printed:
        assert re.search("too many clients|No connection became available", line), line


CUT = (
    OTHERS
    + """
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
)


def test_a_call_whose_connection_is_cut_while_it_waits_succeeds_on_another(
    project: Path, url: str
) -> None:
    run_script(project, CUT, url)


# --- Networks

EXPOSED = """
import socket
from urllib.parse import urlsplit

_, port = urlsplit(url).netloc.rsplit(":", 1)


async def pass_on(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def forward(reader, writer):
    # The server sees another address than its own.
    to = await asyncio.open_connection("127.0.0.1", int(port), local_addr=("127.0.0.2", 0))
    await asyncio.gather(pass_on(reader, to[1]), pass_on(to[0], writer))


async def is_exposed(url):
    store = ChatStore(url)
    async with store.connected() as database:
        return await database.is_exposed()


forwarder = await asyncio.start_server(forward, "127.0.0.1", 0)
elsewhere = forwarder.sockets[0].getsockname()[1]
print(await is_exposed(url), await is_exposed(url.replace(port, str(elsewhere))))
"""


def test_status_knows_where_a_connection_crosses_a_network_without_tls(
    project: Path, server: Any, url: str, certificates: Path
) -> None:
    account = DATABASE.create_account(url, "s3cret")  # which may come from any address
    assert run_script(project, EXPOSED, account) == "False True\n"
    with DATABASE.with_tls(server, certificates):
        assert run_script(project, EXPOSED, account) == "False False\n"


VERIFY_FULL = "print(await fails(ChatStore(url).open()))"


def test_a_certificate_to_check_without_an_authority_is_an_error_that_says_so(
    project: Path, server: Any, url: str, certificates: Path
) -> None:
    with DATABASE.with_tls(server, certificates):
        printed = run_script(project, VERIFY_FULL, f"{url}?sslmode=verify-full")
    assert "sslrootcert" in printed or "root certificate" in printed


SILENT = """
import socket

with socket.create_server(("127.0.0.1", 0)) as listener:
    silent = f"postgresql://127.0.0.1:{listener.getsockname()[1]}/chat"
    for options in arguments:
        store = ChatStore(f"{silent}?{options}", pool_timeout=2)
        print(await fails(store.open()))
"""
NAMED = """
async with ChatStore(url, auto_migrate=True) as store, store.connected() as database:
    print(await database.read("SELECT current_setting('application_name')"))
"""


def test_libpqs_connect_timeout_is_understood_by_each_driver(project: Path, url: str) -> None:
    options = ("connect_timeout=1", "connect_timeout=0")  # 0 is no limit of its own
    for printed in run_script(project, SILENT, *options).splitlines():
        assert re.search("did not answer within [12] s", printed), printed
    for query in (
        "application_name=a%20b&connect_timeout=9",
        "connect_timeout=9&application_name=a%20b",
    ):
        assert run_script(project, NAMED, f"{url}?{query}") == "[('a b',)]\n"


OPENS_FAIL = """
for wrong in arguments:
    try:
        await ChatStore(wrong).open()
    except (ValueError, DatabaseError) as error:
        print(error)
"""
LACKING = {
    *("channel_binding", "fallback_application_name", "gssdelegation", "gssencmode"),
    *("hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval"),
    *("load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id"),
    *("oauth_client_secret", "oauth_issuer", "oauth_scope", "replication", "require_auth"),
    *("requirepeer", "scram_client_key", "scram_server_key", "sslcertmode", "sslcompression"),
    *("sslcrldir", "sslkeylogfile", "sslsni", "tcp_user_timeout"),
}
# What asyncpg reads itself, or a server takes at the beginning of a session.
HAS = {
    *("application_name", "client_encoding", "connect_timeout", "dbname", "gsslib", "host"),
    *("krbsrvname", "options", "passfile", "password", "port", "service", "sslcert", "sslcrl"),
    *("sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert"),
    *("ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs", "user"),
}


def test_an_option_of_libpqs_that_asyncpg_lacks_is_refused_by_its_name(
    project_of: Callable[[str], Path],
) -> None:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    assert known <= LACKING | HAS, "A newer libpq has more: sort it in, also in connections.py."
    urls = [f"postgresql://localhost/chat?sslmode=prefer&{name}=1" for name in sorted(LACKING)]
    printed = run_script(project_of("postgresql-asyncpg"), OPENS_FAIL, *urls).splitlines()
    assert [line for line in printed if "leave it out" in line] == printed
    assert re.findall(r"option (\w+), which asyncpg lacks", "\n".join(printed)) == sorted(LACKING)


def test_a_question_mark_that_is_not_escaped_shows_nothing_of_the_password(project: Path) -> None:
    ends = ("", "=1", "=1&sslmode=disable")
    urls = [f"postgresql://u:p/x?s3cret{end}@h/chat" for end in ends]
    for printed in run_script(project, OPENS_FAIL, *urls).splitlines():
        assert "cannot read the URL" in printed
        assert "s3cret" not in printed


def test_an_option_that_libpq_does_not_know_is_named_without_the_password(
    project_of: Callable[[str], Path],
) -> None:
    wrong = "postgresql://u:s3cret@h/chat?pool_size=3"
    printed = run_script(project_of("postgresql-psycopg"), OPENS_FAIL, wrong)
    assert printed == 'libpq has no option "pool_size": use libpq\'s names in the URL\n'


# --- Row-level security, as docs/security.md has it

FENCED = """
from fenced_store import FencedStore

as_owner, as_application = arguments
async with FencedStore(as_application) as store:
    for context in (alice, bob):
        await save_one_of_each(store, context)
    for call in [*READS.values(), *WRITES.values()]:
        await call(store, bob)
    assert (await store.load_thread("thr_1", alice)).title == "hello"
    await asyncio.gather(*(store.load_thread("thr_1", alice) for _ in range(50)))
    async with store.connected() as database:
        everything = "SELECT owner_id FROM chatkit_threads"
        whose = {whose for (whose,) in await database.read(everything, owner="alice")}
        print(whose, await database.read(everything))
        stolen = "UPDATE chatkit_items SET owner_id = 'bob' WHERE owner_id = $1"
        print(await fails(database.write((stolen, ("alice",)), owner="alice")))
"""


def test_row_level_security_shows_a_call_only_its_owners_rows(project: Path, url: str) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    [policies] = re.findall("```sql\n(.*?)```", page, re.DOTALL)
    [module] = re.findall("```python\n(.*?)```", page, re.DOTALL)
    (project / "src" / "fenced_store.py").write_text(module, encoding="utf-8")
    migrated(project, url)
    query(url, policies)
    account = DATABASE.create_account(url, "s3cret")
    whose, refused = run_script(project, FENCED, url, account).splitlines()
    assert whose == "{'alice'} []"
    assert "row-level security" in refused
