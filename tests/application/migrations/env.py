import asyncio

from alembic import context
from sqlalchemy import Connection

from my_app.database import engine
from my_app.models import Base


def run(connection: Connection | None = None) -> None:
    if connection is None:
        context.configure(dialect_name="postgresql", literal_binds=True)
    else:
        context.configure(connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    run()
else:
    asyncio.run(run_online())
