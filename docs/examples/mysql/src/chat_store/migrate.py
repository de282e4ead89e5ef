"""Keeps the tables at a version that fits this code.

The schema is a series of numbered SQL files in `migrations/`, applied in order and
never changed once released: `0001_what_it_does.sql` creates version 1. A first line
`-- runs with code from: 3` means that code that knows only version 3 still works on
the result (a new index, a column with a default); without it, older code is rejected.

The database applies each file at most once, under a lock, together with the row that
records it. So any number of processes may migrate at the same time, and an interrupted
migration can be run again.
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
    """One step of the schema."""

    version: int  # of the schema after it
    name: str  # of the file, such as "0001_tables"
    runs_with: int  # the oldest version whose code still runs on the result
    sql: str

    @property
    def is_outside(self) -> bool:
        """Whether it must run outside a transaction."""
        return "-- outside a transaction" in self.sql.splitlines()


@dataclass(frozen=True)
class SchemaStatus:
    """The versions of the tables and of this code."""

    database: str  # its name in messages
    applied: int  # the version of the tables; 0 if there are none
    known: int  # the version of this code
    runs_with: int  # if this code is too old: the oldest version that is not; else 0
    pending: list[Migration]  # oldest first

    @property
    def problem(self) -> str | None:
        """Why this code must not use the tables, and what to do; None if it may."""
        if self.pending:
            names = ", ".join(migration.name for migration in self.pending)
            found = f"lack {names}" if self.applied else "are missing"
            return (
                f"The chat store's tables {found} in {self.database}. Run "
                f"`python -m {_PACKAGE} migrate`, or `alembic upgrade head` if Alembic "
                "creates them."
            )
        if self.runs_with:
            return (
                f"The chat store's tables are at version {self.applied}, too new for this code, "
                f"which knows {self.known}. Deploy code of version {self.runs_with} or later."
            )
        return None


def load() -> list[Migration]:
    """Read the migrations, oldest first.

    Raises:
        SchemaError: There are none (the package was installed without them), or two have
            the same number.
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
                f"Two migrations have the same number: {one.name} and {other.name}. "
                "Number your own from 1001."
            )
    return migrations


async def status(database: "Database") -> SchemaStatus:
    """Compare the tables of a connected database with this code; change nothing."""
    migrations = await asyncio.to_thread(load)
    applied = await database.applied_migrations()
    versions = {migration.version for migration in migrations}
    # Not the highest number: your migrations, from 1001, are independent of ours.
    unknown = applied.keys() - versions
    return SchemaStatus(
        database=database.name,
        applied=max(applied, default=0),
        known=migrations[-1].version,
        runs_with=max({applied[one] for one in unknown} - versions, default=0),
        pending=[one for one in migrations if one.version not in applied],
    )


async def require_current(database: "Database") -> None:
    """Raise a SchemaError if this code must not use the tables."""
    if problem := (await status(database)).problem:
        raise SchemaError(problem)


async def apply_pending(
    database: "Database", on_progress: Callable[[str], None] | None = None
) -> list[str]:
    """Apply the pending migrations; see `ChatStore.migrate`."""
    applied: list[str] = []
    for migration in (await status(database)).pending:
        if on_progress is not None:
            on_progress(migration.name)
        if await database.apply(migration):
            applied.append(migration.name)
    return applied


def split(sql: str) -> list[str]:
    """Split a migration, or a `script`, into statements without semicolons.

    A statement ends with a line that ends with a semicolon.
    """
    parts = re.split(r";$", sql, flags=re.MULTILINE)
    return [part.strip() for part in parts if part.strip()]


def script(migrations: Sequence[Migration]) -> str:
    """Return migrations as SQL, for a DBA or another migration tool.

    The script records each migration, and has no BEGIN and no COMMIT.
    """
    parts = [f"{statements.CREATE_MIGRATIONS.strip()};\n"]
    for migration in migrations:
        parts.append(
            f"-- {migration.name}\n\n{migration.sql}\n"
            "INSERT INTO chatkit_migrations (version, name, runs_with) VALUES "
            f"({migration.version}, '{migration.name}', {migration.runs_with});\n"
        )
    return "\n".join(parts)
