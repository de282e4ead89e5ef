"""What tests and scripts of the template have to know of SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from devtools.databases import Database, Place, PlaceMaker


class SQLite(Database):
    """SQLite."""

    time = "INTEGER"
    tables = ("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name",)
    slow_migration = (
        "CREATE TABLE slow (n INTEGER);\nINSERT INTO slow WITH RECURSIVE many (n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < LONG) SELECT sum(n) FROM many;\n"
    )
    long = 300_000_000

    @property
    def places(self) -> dict[str, PlaceMaker]:
        """Where CI runs the suite: there is but the one that comes with Python."""

        @contextmanager
        def embedded(suite: Any) -> Iterator[Place]:
            yield Place(f"SQLite {sqlite3.sqlite_version}")

        return {"embedded": embedded}


DATABASE = SQLite()
