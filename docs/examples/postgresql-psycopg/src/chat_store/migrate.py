"""Keeps the tables and the code at versions that fit each other (R37).

The database applies each migration at most once, under a lock, together with the row
that records it; so any number of processes may start at once, and one that is killed
half way leaves nothing half done.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import statements
from .database import Database
from .errors import SchemaError
from .migrations import Migration, load


@dataclass(frozen=True)
class SchemaStatus:
    """How the tables and the code relate.

    Attributes:
        applied: The version of the tables; 0 where there are none yet.
        known: The version that this code needs.
        runs_with: The oldest code that the tables still serve.
        pending: The migrations that are missing, oldest first.
    """

    applied: int
    known: int
    runs_with: int
    pending: list[Migration]

    @property
    def problem(self) -> str | None:
        """Why this code must not use the tables, and what to run; None where it may."""
        package = __name__.rpartition(".")[0]
        if self.pending:
            return (
                f"The chat store's tables are at version {self.applied}, this code needs "
                f"{self.known}. Run `python -m {package} migrate`."
            )
        if self.runs_with > self.known:
            return (
                f"The chat store's tables are at version {self.applied}, too new for this code, "
                f"which knows {self.known}. Deploy code of version {self.runs_with} or later."
            )
        return None


async def status(database: Database) -> SchemaStatus:
    """Compare the tables with the code.

    Args:
        database: An open database.

    Returns:
        The comparison; nothing is changed.
    """
    migrations = await asyncio.to_thread(load)
    applied = await database.applied_migrations()
    return SchemaStatus(
        applied=max(applied, default=0),
        known=migrations[-1].version,
        runs_with=max(applied.values(), default=0),
        pending=[
            migration for migration in migrations if migration.version not in applied
        ],
    )


async def apply_pending(
    database: Database, begin: Callable[[str], None] | None = None
) -> list[str]:
    """Apply the migrations that are missing, oldest first.

    Args:
        database: An open database.
        begin: Is told the name of each before it is applied.

    Returns:
        The names of those that this call applied; another process may have been faster.
    """
    applied: list[str] = []
    for migration in (await status(database)).pending:
        if begin is not None:
            begin(migration.name)
        if await database.apply(migration):
            applied.append(migration.name)
    return applied


def script(migrations: Sequence[Migration]) -> str:
    """Write migrations as SQL, for a DBA or for another tool that migrates.

    Args:
        migrations: The migrations, oldest first; `migrations.load()` gives all of them.

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


async def require_current(database: Database) -> None:
    """Refuse tables that this code must not use.

    Args:
        database: An open database.

    Raises:
        SchemaError: The tables are outdated or too new; the message says what to run.
    """
    if problem := (await status(database)).problem:
        raise SchemaError(problem)
