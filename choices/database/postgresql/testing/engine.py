"""A pytest plugin that has every Store of a rendered suite use an SQLAlchemy engine.

For `-p choices.database.postgresql.testing.engine`, with the render and its tests on PYTHONPATH. Each
Store gets an engine of its own, which is disposed of when the Store disconnects.
"""

import importlib
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

# They end because the Store closes its connections, and an engine stays with its owner.
NOT_OF_ENGINES = {"test_R40_closing_ends_when_the_network_loses_everything"}

_connections: Any = importlib.import_module("chat_store.connections")
_database: Any = importlib.import_module("chat_store.database")
_dialect: Any = importlib.import_module("chat_store.dialect")
_engine: Any = importlib.import_module("chat_store.sqlalchemy.engine")
_set_up = _database.Database.__init__


class OwnEngine(_engine.EngineConnections):  # type: ignore[misc]
    """Makes an engine when it is opened, as large as the Store's pool would be."""

    def __init__(self, url: str, size: int) -> None:
        _dialect.parse_url(url)
        own = make_url(url.strip()).set(drivername=f"postgresql+{_connections.DRIVER}")
        self.url = own.difference_update_query(["application_name"])  # asyncpg's has none
        self.size = size

    async def open(self) -> None:
        """Connect."""
        self.engine = create_async_engine(self.url, pool_size=self.size, max_overflow=0)
        super().__init__(self.engine)
        try:
            await super().open()
        except BaseException:
            await self.engine.dispose()
            raise

    async def close(self) -> None:
        """Disconnect."""
        await self.engine.dispose()


def set_up(self: object, url: str, **options: Any) -> None:
    """Stand in for Database.__init__."""
    if not {"pool", "connections"} & options.keys():
        options["connections"] = OwnEngine(url, options.get("pool_size", 10))
    _set_up(self, url, **options)


_database.Database.__init__ = set_up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what no engine can do."""
    items[:] = [item for item in items if item.name not in NOT_OF_ENGINES]
