"""Gives each test a MySQL or MariaDB database, and looks into it around the Store.

This is the one module of the suite that knows the database; the tests are the same for all.
The server is the one that CHAT_STORE_TEST_URL names, where the suite makes a database and an
account of its own and drops them at the end; else an installed one, started privately.
"""

import atexit
import functools
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
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pymysql
import pytest
import typing_extensions
from chat_store_under_test import ChatStore, DatabaseOptions, connections
from pymysql.constants import CLIENT

TABLES = ("chatkit_threads", "chatkit_items", "chatkit_attachments")

_MANY_ROWS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data)
WITH RECURSIVE ones (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM ones WHERE n < 999)
SELECT 'many', CONCAT('thr_', thousands.n * 1000 + ones.n), 1, '{}'
FROM ones JOIN ones AS thousands WHERE thousands.n < COUNT DIV 1000;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT 'many', 'thr_1', id, 1, '{}' FROM chatkit_threads WHERE owner_id = 'many';
ANALYZE TABLE chatkit_threads, chatkit_items
"""


class Server:
    """A server of the suite's own, with its data in a directory that goes with it.

    The directory is in memory, where there is much of it and TMPDIR does not name another
    place: a commit is then cheap. What is tested is a crash of the server, not one of the
    machine.

    Args:
        program: `mariadbd` or `mysqld`.
    """

    def __init__(self, program: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="chat_store_", dir=_memory()))
        self._program = program
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        data = f"--datadir={self._directory / 'data'}"
        if (
            "mariadb"
            in subprocess.check_output([program, "--version"], text=True).lower()
        ):
            make = shutil.which("mariadb-install-db") or "mysql_install_db"
            options = ("--auth-root-authentication-method=normal", "--skip-test-db")
            made = self._run(make, "--no-defaults", data, *options)
        else:
            made = self._run(program, "--no-defaults", "--initialize-insecure", data)
        if made.wait():
            raise RuntimeError(f"The database could not be made:\n{self._log()}")

    @property
    def url(self) -> str:
        """Where the server is, for its account `root`."""
        return f"mysql://root@127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start it, on the port that it had before; wait until it answers."""
        for _ in range(5):  # another program may take the port first
            port = self._port or _free_port()
            self._process = self._run(
                self._program,
                "--no-defaults",
                f"--datadir={self._directory / 'data'}",
                f"--socket={self._directory / 'socket'}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--secure-file-priv=",  # its default may be a place of another account's
                "--loose-mysqlx=OFF",  # a second port of MySQL's
            )
            while self._process.poll() is None:
                try:
                    _connect(f"mysql://root@127.0.0.1:{port}/").close()
                except pymysql.err.OperationalError:
                    time.sleep(0.05)
                else:
                    self._port = port
                    return
        raise RuntimeError(f"The server does not start:\n{self._log()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it: SIGTERM in good order, SIGKILL as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove its data."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        account = ["--user=root"] if os.name != "nt" and not os.geteuid() else []
        # A server that starts removes what others have in the directory for temporary files.
        environment = {**os.environ, "TMPDIR": str(self._directory)}
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, *account], env=environment, stdout=log, stderr=log
            )

    def _log(self) -> str:
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace")


def _memory() -> str | None:
    if "TMPDIR" in os.environ or not os.path.isdir("/dev/shm"):
        return None
    return "/dev/shm" if shutil.disk_usage("/dev/shm").free > 4 * 2**30 else None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _connect(url: str, database: str | None = None) -> "pymysql.Connection[Any]":
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
        database=database,
        charset="utf8mb4",
        autocommit=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
    )


def find_program() -> str | None:
    """Find the server's program; Debian has it where only root looks for programs."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return shutil.which("mariadbd", path=path) or shutil.which("mysqld", path=path)


@functools.cache
def own_server() -> Server:
    """Start the server of this process; it stops when the process ends."""
    program = find_program()
    if program is None:
        raise RuntimeError(
            "The tests need a MariaDB or MySQL server and found none. Install one (Debian, "
            "Ubuntu: apt-get install mariadb-server; macOS: brew install mariadb), or name one "
            "with an account that may create databases and accounts: "
            "CHAT_STORE_TEST_URL=mysql://user:password@host/"
        )
    server = Server(program)
    atexit.register(server.remove)
    server.start()
    return server


@functools.cache
def server_url() -> str:
    """Give the URL of an account that may create databases and accounts."""
    return os.environ.get("CHAT_STORE_TEST_URL") or own_server().url


@functools.cache
def own_account() -> tuple[str, str]:
    """Create the account of this process, dropped at its end; give its name and password."""
    name, password = f"chat_store_{secrets.token_hex(6)}", secrets.token_hex(12)

    def run(*commands: str) -> None:
        connection = _connect(server_url())
        with connection.cursor() as cursor:
            for command in commands:
                cursor.execute(command)
        connection.close()

    run(
        f"CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'",
        f"GRANT ALL ON {name}.* TO '{name}'@'%'",
    )
    atexit.register(run, f"DROP DATABASE IF EXISTS {name}", f"DROP USER '{name}'@'%'")
    return name, password


@functools.cache
def own_connection() -> "pymysql.Connection[Any]":
    """Connect as the account of `server_url`, once: pymysql takes long to prepare for TLS."""
    return _connect(server_url())


class Probe:
    """An empty database, for one test."""

    CONSTRAINT_ERROR: type[Exception] = pymysql.err.IntegrityError

    # Modules whose functions must not run on the thread of the event loop: the driver
    # waits for nothing.
    BLOCKING_MODULES = ()

    # Waits that are short enough for a test, whatever it is that the Store waits for.
    HASTY = DatabaseOptions(pool_size=1, pool_timeout=0.5, statement_timeout=0.5)

    def __init__(self, directory: Path) -> None:
        self._name, password = own_account()
        parts = urlsplit(server_url())
        place = f"{parts.hostname}:{parts.port or 3306}"
        self.url = f"mysql://{self._name}:{password}@{place}/{self._name}"
        try:
            own_connection().ping(reconnect=False)
        except pymysql.err.MySQLError:  # a test has restarted the server
            own_connection.cache_clear()
        self._connection = own_connection()
        [(self._time_zone,)] = self.query("SELECT @@GLOBAL.time_zone")

    def __enter__(self) -> typing_extensions.Self:
        self._disconnect_others()
        self.execute(f"DROP DATABASE IF EXISTS {self._name}")
        # The Store must not depend on the default.
        self.execute(f"CREATE DATABASE {self._name} CHARACTER SET latin1")
        self.execute(f"USE {self._name}")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disconnect_others()
        [(time_zone,)] = self.query("SELECT @@GLOBAL.time_zone")
        if time_zone != self._time_zone:  # the server may be somebody's
            self.execute(f"SET GLOBAL time_zone = '{self._time_zone}'")

    @property
    def address(self) -> tuple[str, int]:
        """Where Stores reach the server."""
        parts = urlsplit(self.url)
        return parts.hostname or "localhost", parts.port or 3306

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a SELECT on a connection of its own."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return [
                tuple(it.decode() if isinstance(it, bytes) else it for it in row)
                for row in cursor.fetchall()
            ]

    def execute(self, sql: str) -> int:
        """Run and commit one other statement; give the number of rows changed."""
        with self._connection.cursor() as cursor:
            return int(cursor.execute(sql))

    def run_script(self, sql: str) -> None:
        """Run any number of statements, as a DBA would."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass

    def damage_item(self, item_id: str) -> None:
        """Make an item's payload unreadable."""
        self.execute(
            f"UPDATE chatkit_items SET data = 'damaged' WHERE id = '{item_id}'"
        )

    def query_json(self) -> list[str]:
        """Read the ids out of all payloads by the database's own JSON functions, sorted."""
        rows = [
            self.query(
                # MariaDB answers NULL for what is nested more than 32 deep, and MySQL for
                # numbers beyond a double. MySQL fails at what is nested more than 100 deep.
                "SELECT COALESCE(CASE WHEN LENGTH(data) - "
                "LENGTH(REPLACE(REPLACE(data, '[', ''), '{', '')) <= 100 "
                "THEN JSON_VALUE(data, '$.id') END, id) "
                f"FROM {table} WHERE data IS NOT NULL"
            )
            for table in TABLES
        ]
        return sorted(row[0] for part in rows for row in part)

    def refuse_items(self) -> None:
        """Make every insertion of an item fail."""
        self._add_trigger("BEFORE INSERT ON chatkit_items", _REFUSE)

    def refuse_deleting_items(self) -> None:
        """Make every deletion of an item fail."""
        self._add_trigger("BEFORE DELETE ON chatkit_items", _REFUSE)

    def age_deletions(self, duration: timedelta) -> None:
        """Make every thread that was deleted look deleted that much earlier."""
        microseconds = duration // timedelta(microseconds=1)
        self.execute(
            f"UPDATE chatkit_threads SET deleted_at = deleted_at - {microseconds}"
        )

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Keep every write of the Store waiting."""
        with self._holding("READ"):
            yield

    @contextmanager
    def deleting_threads(self) -> Generator[None, None, None]:
        """Delete all threads, as another process does, but commit only after the block."""
        connection = _connect(server_url(), self._name)
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(_DELETE_THREADS)
            yield
            cursor.execute("COMMIT")
        connection.close()

    def break_connections(self, store: ChatStore) -> None:
        """Make the Store's connections die under it."""
        self._disconnect_others()

    def conflict_once(self) -> None:
        """Make the first write meet a deadlock, which ends it and nothing else."""
        # No transaction takes back that a number was given out.
        self.execute("CREATE TABLE conflicts (n INT AUTO_INCREMENT PRIMARY KEY)")
        body = (
            "INSERT INTO conflicts VALUES (); IF LAST_INSERT_ID() = 1 THEN "
            "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF;"
        )
        for table in TABLES:
            for event in ("INSERT", "UPDATE", "DELETE"):
                self._add_trigger(f"AFTER {event} ON {table}", body)

    def break_at_commit(self, store: ChatStore) -> None:
        """Make the first of the Store's connections that writes die when it has done so."""
        # No transaction takes back that a number was given out.
        self.execute("CREATE TABLE deaths (n INT AUTO_INCREMENT PRIMARY KEY)")
        body = (
            "INSERT INTO deaths VALUES (); "
            "IF LAST_INSERT_ID() = 1 THEN KILL CONNECTION_ID(); END IF;"
        )
        for table in TABLES:
            for event in ("INSERT", "UPDATE", "DELETE"):
                self._add_trigger(f"AFTER {event} ON {table}", body)

    def crash_server(self) -> None:
        """Kill the server of the suite's own with SIGKILL, and start it again."""
        if os.environ.get("CHAT_STORE_TEST_URL"):
            pytest.skip("The server of CHAT_STORE_TEST_URL is not ours to kill.")
        own_server().stop(signal.SIGKILL)
        own_server().start()
        self._connection.close()
        self._connection = _connect(server_url(), self._name)

    @contextmanager
    def unreachable(self, store: ChatStore) -> Generator[None, None, None]:
        """Break the Store's connections, and let it make no others."""
        self.execute(f"ALTER USER '{self._name}'@'%' ACCOUNT LOCK")
        self._disconnect_others()
        try:
            yield
        finally:
            self.execute(f"ALTER USER '{self._name}'@'%' ACCOUNT UNLOCK")

    @contextmanager
    def stalled(self, store: ChatStore) -> Generator[None, None, None]:
        """Keep all of the Store's connections busy with the next call that they get."""
        with self._holding("WRITE"):
            yield

    def count_connections(self, store: ChatStore) -> int:
        """Count the connections that the Store holds."""
        return len(self._others())

    def flaws_in_durability(self, store: ChatStore) -> list[str]:
        """Give the settings by which the Store may lose what it has acknowledged."""
        flaws: list[str] = []
        for name in ("innodb_flush_log_at_trx_commit", "innodb_doublewrite"):
            [(value,)] = self.query(f"SELECT @@{name}")
            if str(value) not in ("1", "ON"):
                flaws.append(f"{name} is {value}")
        engines = self.query(
            "SELECT table_name, engine FROM information_schema.tables "
            f"WHERE table_schema = '{self._name}'"
        )
        return flaws + [
            f"{table} is {engine}" for table, engine in engines if engine != "InnoDB"
        ]

    def urls_with(self, password: str) -> list[str]:
        """Give URLs that carry a password, and that no Store can open."""
        return [
            f"mysql://user:{password}@127.0.0.1:1/chat",
            f"mysql://user:{password}@127.0.0.1:port/chat",
            f"nosuchdb://user:{password}@localhost/chat",
        ]

    def set_time_zone(self, name: str) -> None:
        """Make a time zone the one of the sessions that begin from now on."""
        zones = {"Asia/Tokyo": "+09:00", "America/New_York": "-05:00", "UTC": "+00:00"}
        self.execute(f"SET GLOBAL time_zone = '{zones[name]}'")

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
        values = ["'many'", "'thr_1'", "'thr_450'", "20"]
        if "chatkit_items" not in statement:
            values.pop(1)
        if statement.count("?") < len(values):
            values.pop(-2)
        explained = functools.reduce(
            lambda text, value: text.replace("?", value, 1), values, statement
        )
        plan = self.query(f"EXPLAIN FORMAT = TRADITIONAL {explained}")
        found: list[str] = []
        for step in plan:
            text = " ".join(map(str, step))
            is_cursor = " const " in text.partition("chatkit_")[0]
            if (
                not re.search(r" (const|ref|range|ref_or_null) ", text)
                or re.search("filesort|temporary", text)
                or not (is_cursor or "_page" in text)
            ):
                found.append(text)
        return found

    def _others(self) -> list[tuple[Any, ...]]:
        # MySQL's own information_schema.processlist fails at statements in utf8mb4.
        return self.query(
            "SELECT id FROM /*M! information_schema. */ /*!80022 performance_schema. */ "
            f"processlist WHERE user = '{self._name}'"
        )

    def _disconnect_others(self) -> None:
        for (number,) in self._others():
            try:
                self.execute(f"KILL {number}")
            except pymysql.err.OperationalError:
                pass  # it has gone by itself
        while self._others():
            time.sleep(0.001)

    @contextmanager
    def _holding(self, mode: str) -> Generator[None, None, None]:
        connection = _connect(server_url(), self._name)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {', '.join(f'{it} {mode}' for it in TABLES)}")
            yield
            cursor.execute("UNLOCK TABLES")
        connection.close()

    def _add_trigger(self, when: str, body: str) -> None:
        name = f"t_{secrets.token_hex(4)}"
        self.execute(f"CREATE TRIGGER {name} {when} FOR EACH ROW BEGIN {body} END")


_REFUSE = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused';"
_DELETE_THREADS = "UPDATE chatkit_threads SET deleted_at = created_at, data = NULL"
