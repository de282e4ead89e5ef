"""Provides an empty SQLite database for each test, and direct access to it.

This is the one module of the suite that knows the database; the tests are the same for all.
"""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from chat_store_under_test import ChatStore, DatabaseOptions

TABLES = ("chatkit_threads", "chatkit_items", "chatkit_attachments")


class Probe:
    """A database of one test's own."""

    CONSTRAINT_ERROR: type[Exception] = sqlite3.IntegrityError

    # Modules whose functions must not run on the thread of the event loop.
    BLOCKING_MODULES = ("sqlite3", "_sqlite3")

    # Options of this database's that ChatStore must refuse.
    BAD_OPTIONS: tuple[dict[str, Any], ...] = ({"synchronous": "off"},)

    # Short timeouts, for tests in which they expire.
    HASTY = DatabaseOptions(pool_size=1, pool_timeout=0.5)

    def __init__(self, directory: Path) -> None:
        self.path = directory / "chat.db"
        self.url = f"sqlite:///{self.path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass  # pytest removes the directory

    def is_untouched(self) -> bool:
        """Return whether the database has no tables of the Store."""
        return not self.path.exists()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a SELECT on a connection of its own."""
        with closing(self._connect()) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> int:
        """Run and commit one other statement; return the number of rows changed."""
        with closing(self._connect()) as connection:
            return connection.execute(sql).rowcount

    def run_script(self, sql: str) -> None:
        """Run any number of statements, as a DBA would."""
        with closing(self._connect()) as connection:
            connection.executescript(sql)

    def damage_item(self, item_id: str) -> None:
        """Make an item's payload unreadable: it is not even UTF-8."""
        damaged = "data = CAST(x'64616d61676564ff' AS TEXT)"
        self.execute(f"UPDATE chatkit_items SET {damaged} WHERE id = '{item_id}'")

    def refuse_items(self) -> None:
        """Make every insertion of an item fail."""
        self.execute(
            "CREATE TRIGGER refuse_items BEFORE INSERT ON chatkit_items "
            "BEGIN SELECT raise(ABORT, 'refused'); END"
        )

    def forbid_attachments(self) -> None:
        """Make every insertion of an attachment break a constraint."""
        self.execute("DELETE FROM chatkit_attachments")
        self.execute("CREATE UNIQUE INDEX one ON chatkit_attachments (created_at > 0)")
        self.execute(
            "INSERT INTO chatkit_attachments (owner_id, id, created_at, data) "
            "VALUES ('other', 'atc_0', 1, '{}')"
        )

    def refuse_deleting_items(self) -> None:
        """Make every deletion of an item fail."""
        self.execute(
            "CREATE TRIGGER refuse_deleting BEFORE DELETE ON chatkit_items "
            "BEGIN SELECT raise(ABORT, 'refused'); END"
        )

    def age_deletions(self, duration: timedelta) -> None:
        """Move the deletion time of every deleted thread back by a duration."""
        microseconds = duration // timedelta(microseconds=1)
        self.execute(
            f"UPDATE chatkit_threads SET deleted_at = deleted_at - {microseconds} "
            "WHERE deleted_at IS NOT NULL"
        )

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Keep every write of the Store waiting."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    @contextmanager
    def migrating(self) -> Generator[None, None, None]:
        """Hold the lock that a process holds while it migrates."""
        with self.locked():
            yield

    @contextmanager
    def deleting_threads(self) -> Generator[None, None, None]:
        """Delete all threads, as another process does, but commit only after the block."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "UPDATE chatkit_threads SET deleted_at = created_at, data = NULL"
            )
            yield
            connection.execute("COMMIT")

    def break_connections(self, store: ChatStore) -> None:
        """Terminate the Store's connections.

        There is no server to kill: the nearest thing is a handle that became invalid.
        """
        for connection in connections_of(store):
            connection.close()

    @contextmanager
    def stalled(self, store: ChatStore) -> Generator[None, None, None]:
        """Block every read and write of the Store."""
        go_on = threading.Event()

        def wait(statement: str) -> None:
            go_on.wait()

        for connection in connections_of(store):
            connection.set_trace_callback(wait)
        try:
            yield
        finally:
            go_on.set()

    def count_connections(self, store: ChatStore) -> int:
        """Count the connections that an idle Store holds."""
        return sum(len(workers.idle) for workers in _workers(store))

    async def flaws_in_durability(self, store: ChatStore) -> list[str]:
        """Return the settings by which the Store may lose what it has acknowledged."""
        flaws: list[str] = []
        for connection in connections_of(store):
            for setting, safe in (("synchronous", 2), ("journal_mode", "wal")):
                row = connection.execute(f"PRAGMA {setting}").fetchone()
                if row[0] != safe:
                    flaws.append(f"{setting} is {row[0]}")
        return flaws

    def urls_with(self, password: str) -> list[str]:
        """Return URLs that carry a password, and that no Store can open."""
        return [
            f"sqlite://user:{password}@localhost/chat.db",
            f"nosuchdb://user:{password}@localhost/chat",
        ]

    @contextmanager
    def recorded(self, store: ChatStore) -> Generator[list[str], None, None]:
        """Collect the statements that the Store sends, without BEGIN and COMMIT."""
        statements: list[str] = []

        def note(statement: str) -> None:
            if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
                statements.append(statement)

        connections = connections_of(store)
        for connection in connections:
            connection.set_trace_callback(note)
        try:
            yield statements
        finally:
            for connection in connections:
                connection.set_trace_callback(None)

    def fill(self, count: int) -> None:
        """Make some thousands of threads, and as many items in one, with statistics."""
        self.run_script(_MANY_ROWS.replace("COUNT", str(count)))

    def flaws_in_plan(self, statement: str) -> list[str]:
        """Return the steps of a statement's plan other than an index range scan."""
        with closing(self._connect()) as connection:
            params = [None] * statement.count("?")
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", params)
            steps = [step for *_, step in plan]
        values = ("SCAN CONSTANT ROW", "SCAN new")  # the parameters, as a table
        flaws = ("SCAN", "TEMP B-TREE", "AND created_at>", "AND created_at<")
        found = [
            step
            for step in steps
            if step not in values and any(flaw in step for flaw in flaws)
        ]
        if "AS cursor" in statement and "(created_at,position)" not in str(steps):
            found.append("does not begin at the cursor")
        return found

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        # A damaged text is read as it is.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        return connection
{% include "choices/database/" ~ store_database ~ "/probe_in_depth.py" if store_tests == "full" else "includes/nothing" %}


def _workers(store: ChatStore) -> list[Any]:
    database = store._database  # pyright: ignore[reportPrivateUsage]
    return list({database._writers, database._readers})  # pyright: ignore[reportPrivateUsage]


def connections_of(store: ChatStore) -> list[sqlite3.Connection]:
    """Have an idle Store make all the connections that it may, and give them."""
    for workers in _workers(store):
        connections = [workers.acquire() for _ in range(workers.threads)]
        workers.idle = connections
    return [connection for workers in _workers(store) for connection in workers.idle]


_MANY_ROWS = """
INSERT INTO chatkit_threads (owner_id, id, created_at, position, data)
WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < COUNT)
SELECT 'many', 'thr_' || n, 1, n, '{}' FROM many;
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, position, data)
SELECT 'many', 'thr_1', id, 1, position, '{}' FROM chatkit_threads;
ANALYZE
"""
