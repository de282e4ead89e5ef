# Extra "sqlalchemy": store_sqlalchemy=false deletes it, including your edits.
"""The Store's tables in a project whose migrations are Alembic's.

In `env.py`, so that `alembic revision --autogenerate` leaves the tables alone:

    context.configure(..., include_object=include_object)

In a revision, in place of `migrate` on the command line, with the numbers of the files in
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
"""The tables that foreign keys of yours may refer to; nothing is created from it."""

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
    """Tell Alembic's autogenerate which objects it may compare: all but the Store's.

    Args:
        thing: The table, column or index; not used.
        name: Its name.
        kind: Such as "table".
        reflected: Whether it is the database's; not used.
        compare_to: Its counterpart; not used.
    """
    return not (kind == "table" and name in _TABLES)


def upgrade(*versions: int) -> None:
    """Apply migrations of the Store in a revision, online or offline.

    Args:
        versions: Their numbers, such as 1 and 2 for `0001_tables` and `0002_indexes`.

    Raises:
        ValueError: There is none of this number.
    """
    known = {migration.version: migration for migration in migrate.load()}
    if unknown := [version for version in versions if version not in known]:
        raise ValueError(
            f"There is no migration {unknown[0]}; known are {', '.join(map(str, known))}"
        )
    for migration in (known[version] for version in versions):
        alembic = op.get_context()
        with alembic.autocommit_block() if migration.is_outside else nullcontext():
            for statement in migrate.split(migrate.script([migration])):
                op.execute(statement.replace(":", r"\:"))  # or a parameter begins


def drop_tables() -> None:
    """Drop the Store's tables, with everything in them."""
    for table in _TABLES:
        op.drop_table(table)
