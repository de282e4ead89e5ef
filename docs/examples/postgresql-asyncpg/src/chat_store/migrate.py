"""Keeps the tables at a version that fits this code.

The schema is a row of numbered SQL files in `migrations/`, applied in order and never
changed once released: `0001_what_it_does.sql` makes version 1. A first line
`-- runs with code from: 3` says that code which knows only version 3 still works on the
result (a new index, a column with a default); without it, older code is refused.

The database applies each file at most once, under a lock, together with the row that
records it. So any number of processes may migrate at once, and one that is killed half
way can be run again.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING

from . import statements
from .errors import SchemaError

if TYPE_CHECKING:
    from .database import Database

_PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class Migration:
    """One step of the schema.

    Attributes:
        version: The schema's version after it, from 1.
        name: The file's name without its ending, such as "0001_tables".
        runs_with: The oldest version whose code still runs on the result.
        sql: The file's text.
    """

    version: int
    name: str
    runs_with: int
    sql: str

    @property
    def is_outside(self) -> bool:
        """Whether it must not run in a transaction: its text says so."""
        return "-- outside a transaction" in self.sql.splitlines()


@dataclass(frozen=True)
class SchemaStatus:
    """How the tables and this code relate.

    Attributes:
        database: What messages call the database.
        applied: The version of the tables; 0 where there are none.
        known: The version of this code.
        runs_with: The oldest code that the tables still serve, where this code is too
            old for them; otherwise 0.
        pending: The migrations that are missing, oldest first.
    """

    database: str
    applied: int
    known: int
    runs_with: int
    pending: list[Migration]

    @property
    def problem(self) -> str | None:
        """Why this code must not use the tables, and what to do; None where it may."""
        if self.pending:
            found = f"at version {self.applied}" if self.applied else "missing"
            return (
                f"The chat store's tables are {found} in {self.database}; this code needs "
                f"version {self.pending[-1].version}. Run `python -m {_PACKAGE} migrate`, or "
                "`alembic upgrade head` if Alembic creates them."
            )
        if self.runs_with:
            return (
                f"The chat store's tables are at version {self.applied}, too new for this code, "
                f"which knows {self.known}. Deploy code of version {self.runs_with} or later."
            )
        return None


def load() -> list[Migration]:
    """Read the SQL files.

    Returns:
        The migrations, oldest first.

    Raises:
        SchemaError: There are none (the package was installed without them), or two have
            one number.
    """
    directory = files(_PACKAGE) / "migrations"
    found = directory.iterdir() if directory.is_dir() else ()
    migrations: list[Migration] = []
    for file in found:
        if match := re.fullmatch(r"((\d{4})_\w+)\.sql", file.name):
            sql = file.read_text(encoding="utf-8")
            version = int(match[2])
            header = re.match(r"-- runs with code from: (\d+)$", sql, re.MULTILINE)
            runs_with = int(header[1]) if header else version
            migrations.append(Migration(version, match[1], runs_with, sql))
    if not migrations:
        raise SchemaError(
            f"{_PACKAGE}/migrations/*.sql are not installed. Have your project's build include "
            "them; in pyproject.toml, for setuptools: "
            f'[tool.setuptools.package-data] "{_PACKAGE}" = ["migrations/*.sql"]'
        )
    migrations.sort(key=lambda migration: migration.version)
    for one, other in pairwise(migrations):
        if one.version == other.version:
            raise SchemaError(
                f"Two migrations have one number: {one.name} and {other.name}. Number your own "
                "from 1001."
            )
    return migrations


async def status(database: "Database") -> SchemaStatus:
    """Compare the tables of a connected database with this code; change nothing."""
    migrations = await asyncio.to_thread(load)
    applied = await database.applied_migrations()
    versions = {migration.version for migration in migrations}
    # Not the highest number of all: yours, from 1001, say nothing of ours.
    unknown = [need for version, need in applied.items() if version not in versions]
    return SchemaStatus(
        database=database.name,
        applied=max(applied, default=0),
        known=migrations[-1].version,
        runs_with=max((need for need in unknown if need not in versions), default=0),
        pending=[
            migration for migration in migrations if migration.version not in applied
        ],
    )


async def require_current(database: "Database") -> None:
    """Refuse tables that this code must not use.

    Raises:
        SchemaError: They are outdated or too new; the message says what to run.
    """
    if problem := (await status(database)).problem:
        raise SchemaError(problem)


async def apply_pending(
    database: "Database", on_progress: Callable[[str], None] | None = None
) -> list[str]:
    """Apply the migrations that are missing, oldest first.

    Args:
        database: A connected database.
        on_progress: Is given the name of each migration before it is applied.

    Returns:
        The names of those that this call applied; another process may apply some.
    """
    applied: list[str] = []
    for migration in (await status(database)).pending:
        if on_progress is not None:
            on_progress(migration.name)
        if await database.apply(migration):
            applied.append(migration.name)
    return applied


def split(sql: str) -> list[str]:
    """Divide SQL into its statements, for what runs one at a time.

    Args:
        sql: A migration's, or a `script`; a line that ends with a semicolon ends a
            statement.

    Returns:
        The statements, without their semicolons.
    """
    parts = re.split(r";$", sql, flags=re.MULTILINE)
    return [part.strip() for part in parts if part.strip()]


def script(migrations: Sequence[Migration]) -> str:
    """Write migrations as SQL, for a DBA or another migration tool.

    Args:
        migrations: The migrations, oldest first; `load()` gives all of them.

    Returns:
        The statements, with those that record each migration; no BEGIN and no COMMIT.
    """
    parts = [f"{statements.CREATE_MIGRATIONS.strip()};\n"]
    for migration in migrations:
        parts.append(
            f"-- {migration.name}\n\n{migration.sql}\n"
            "INSERT INTO chatkit_migrations (version, name, runs_with) VALUES "
            f"({migration.version}, '{migration.name}', {migration.runs_with});\n"
        )
    return "\n".join(parts)
