# Extra "sqlalchemy": store_sqlalchemy=false deletes it, including your edits.
"""The Store's tables in a project that uses Alembic.

In `env.py`, so that `alembic revision --autogenerate` ignores the tables:

    context.configure(..., include_object=include_object)

In a revision, instead of the command `migrate`, with the numbers of the files in
`migrations/`:

    def upgrade() -> None:
        chat_store.upgrade(1, 2)

    def downgrade() -> None:
        chat_store.drop_tables()
"""

from contextlib import nullcontext

from alembic import op
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.types import NullType

from .. import migrate

metadata = MetaData()
"""The tables, only for your foreign keys: do not create them from this."""

threads, attachments = (
    Table(name, metadata, Column("owner_id", NullType), Column("id", NullType))
    for name in ("chatkit_threads", "chatkit_attachments")
)

# In the order in which they can be dropped.
_TABLES = (
    "chatkit_items",
    "chatkit_threads",
    "chatkit_attachments",
    "chatkit_migrations",
)


def include_object(
    thing: object, name: str | None, kind: str, reflected: bool, compare_to: object
) -> bool:
    """Exclude the Store's tables from Alembic's autogenerate.

    Args:
        thing: Not used.
        name: The object's name.
        kind: The object's type, such as "table".
        reflected: Not used.
        compare_to: Not used.
    """
    return not (kind == "table" and name in _TABLES)


def upgrade(*versions: int) -> None:
    """Apply the Store's migrations in a revision, online or offline.

    Args:
        versions: Their numbers: 1 and 2 for `0001_tables` and `0002_indexes`.

    Raises:
        ValueError: There is no migration with this number.
    """
    known = {migration.version: migration for migration in migrate.load()}
    if unknown := [version for version in versions if version not in known]:
        raise ValueError(
            f"There is no migration {unknown[0]}, only {', '.join(map(str, known))}"
        )
    for migration in (known[version] for version in versions):
        alembic = op.get_context()
        with alembic.autocommit_block() if migration.is_outside else nullcontext():
            for statement in migrate.split(migrate.script([migration])):
                op.execute(statement.replace(":", r"\:"))  # not a parameter


def drop_tables() -> None:
    """Drop the Store's tables and all their rows."""
    for table in _TABLES:
        op.drop_table(table)
