"""Provides an empty MySQL or MariaDB database for each test, and direct access to it.

This is the one module of the suite that knows the database.
The server is the one that CHAT_STORE_TEST_URL names, where the suite makes a database
and an account of its own and drops them at the end; else an installed one, started
privately (CHAT_STORE_TEST_SERVER names its program, where there are several).
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
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import urlsplit

import pymysql
from chat_store_under_test import ChatStore, DatabaseOptions, connections, statements
from pymysql.constants import CLIENT

TABLES = ("chatkit_threads", "chatkit_items", "chatkit_attachments")
SHUT_DOWN = signal.SIGTERM

# What differs between servers.
_SCHEME = "mysql"
_DAMAGED = "damaged"
_LOCK_WRITES = f"LOCK TABLES {', '.join(f'{table} READ' for table in TABLES)}"
_LOCK_ALL = f"LOCK TABLES {', '.join(f'{table} WRITE' for table in TABLES)}"
_UNLOCK = "UNLOCK TABLES"
_REFUSE = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused';"
_REFUSE_AND_QUOTE = (
    "SET @text = SUBSTRING(NEW.data, LOCATE('\"text\"', NEW.data), 128);"
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = @text;"
)

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
    """A MySQL or MariaDB server that the suite starts; its account is `root`.

    Args:
        program: `mariadbd` or `mysqld`.
    """

    def __init__(self, program: str) -> None:
        self._directory = _directory()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._program = program
        self._data = f"--datadir={self._directory / 'data'}"
        version = subprocess.check_output([program, "--version"], text=True)
        if "mariadb" in version.lower():
            make = shutil.which("mariadb-install-db") or "mysql_install_db"
            options = ("--auth-root-authentication-method=normal", "--skip-test-db")
            made = self._run(make, "--no-defaults", self._data, *options)
        else:
            made = self._run(
                program, "--no-defaults", "--initialize-insecure", self._data
            )
        if made.wait():
            raise RuntimeError(f"The database could not be made:\n{self._log()}")

    @property
    def url(self) -> str:
        """Where the server is, for its account `root`."""
        return f"mysql://root@127.0.0.1:{self.port}/"

    def _start(self) -> "subprocess.Popen[bytes]":
        return self._run(
            self._program,
            "--no-defaults",
            self._data,
            f"--socket={self._directory / 'socket'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--secure-file-priv=",  # its default may be a place of another account's
            "--loose-mysqlx=OFF",  # a second port of MySQL's
        )

    def _is_up(self) -> bool:
        with suppress(pymysql.err.OperationalError):
            _connect(self.url).close()
            return True
        return False

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        account = ["--user=root"] if os.name != "nt" and not os.geteuid() else []
        # A server that starts removes what others have in the directory for temporary files.
        environment = {**os.environ, "TMPDIR": str(self._directory)}
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, *account], env=environment, stdout=log, stderr=log
            )

{% include "choices/database/server/process.py" %}


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
    if chosen := os.environ.get("CHAT_STORE_TEST_SERVER"):
        return chosen
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
    """Return the URL of an account that may create databases and accounts."""
    return os.environ.get("CHAT_STORE_TEST_URL") or own_server().url


@functools.cache
def own_account() -> tuple[str, str]:
    """Create the account of this process, dropped at its end; return its name and password."""
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

    # Modules whose functions must not run on the thread of the event loop: the drivers
    # wait for nothing.
    BLOCKING_MODULES = ()

    # Options of this database's that ChatStore must refuse.
    BAD_OPTIONS: tuple[dict[str, Any], ...] = ({"statement_timeout": 0},)

    # Short timeouts, for tests in which they expire.
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

{% include "choices/database/server/probe.py" %}

    def _reset_time_zone(self) -> None:
        [(time_zone,)] = self.query("SELECT @@GLOBAL.time_zone")
        if time_zone != self._time_zone:  # the server may be somebody's
            self.execute(f"SET GLOBAL time_zone = '{self._time_zone}'")

    def is_untouched(self) -> bool:
        """Return whether the database has no tables of the Store."""
        return not self.query("SHOW TABLES")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a SELECT on a connection of its own."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return [
                tuple(it.decode() if isinstance(it, bytes) else it for it in row)
                for row in cursor.fetchall()
            ]

    def execute(self, sql: str) -> int:
        """Run and commit one other statement; return the number of rows changed."""
        with self._connection.cursor() as cursor:
            return int(cursor.execute(sql))

    def run_script(self, sql: str) -> None:
        """Run any number of statements, as a DBA would."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass

    def age_deletions(self, duration: timedelta) -> None:
        """Move the deletion time of every deleted thread back by a duration."""
        microseconds = duration // timedelta(microseconds=1)
        self.execute(
            f"UPDATE chatkit_threads SET deleted_at = deleted_at - {microseconds}"
        )

    async def flaws_in_durability(self, store: ChatStore) -> list[str]:
        """Return the settings by which the Store may lose what it has acknowledged."""
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

    def flaws_in_plan(self, statement: str) -> list[str]:
        """Return the steps of a statement's plan other than an index range scan."""
        values = ["'many'", "'thr_1'", "'thr_450'", "20"]
        if "chatkit_items" not in statement:
            values.pop(1)
        if " <= ?" in statement:  # how large a row may be
            values.insert(0, "9")
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

    @contextmanager
    def _session(self) -> Generator[Callable[[str], object], None, None]:
        with (
            closing(_connect(server_url(), self._name)) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor.execute

    def _empty(self) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {self._name}")
        # The Store must not depend on the default.
        self.execute(f"CREATE DATABASE {self._name} CHARACTER SET latin1")
        self.execute(f"USE {self._name}")

    def _others(self) -> list[int]:
        # MySQL's own information_schema.processlist fails at statements in utf8mb4.
        rows = self.query(
            "SELECT id FROM /*M! information_schema. */ /*!80022 performance_schema. */ "
            f"processlist WHERE user = '{self._name}'"
        )
        return [number for (number,) in rows]

    def _disconnect(self, number: int) -> None:
        with suppress(pymysql.err.OperationalError):  # it has gone by itself
            self.execute(f"KILL {number}")

    def _add_trigger(self, when: str, body: str) -> None:
        name = f"t_{secrets.token_hex(4)}"
        self.execute(f"CREATE TRIGGER {name} {when} FOR EACH ROW BEGIN {body} END")
{% include "choices/database/" ~ store_database ~ "/probe_in_depth.py" if store_tests == "full" else "includes/nothing" %}
