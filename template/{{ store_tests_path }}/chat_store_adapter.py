"""Chooses the Store that the suite tests: this project's own, or any other.

A Store that somebody wrote by hand is tested through an adapter, a class like `Adapter` below,
which the environment variable CHAT_STORE_TEST_ADAPTER names: `my_app.store_adapter:MyAdapter`.
It may also have what `Probe` in `chat_store_database.py` has, `query` before all, by which the
suite reads rows directly. A test that needs what the adapter lacks is skipped.
"""

import importlib
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import chat_store_contexts
import pytest
from chat_store_database import Probe
from chat_store_under_test import ChatStore, RequestContext
from chatkit.store import Store


class Adapter(Protocol):
    """What the suite has to know of a Store; there is a new one for each test.

    Args:
        directory: An empty directory, for files.
    """

    def __init__(self, directory: Path) -> None: ...

    async def open_store(self) -> Store[Any]:
        """Open the Store; a second call opens another one on the same rows."""
        ...

    async def close_store(self, store: Store[Any]) -> None:
        """Return back what the Store holds."""
        ...

    @staticmethod
    def make_context(owner: str | None, request_id: str | None) -> Any:
        """Return the context of an owner's request; None and "" mean no owner."""
        ...


def _load(name: str) -> type[Adapter]:
    module, _, attribute = name.partition(":")
    try:
        found: type[Adapter] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(
            f"CHAT_STORE_TEST_ADAPTER={name} cannot be imported: {error}. It must be "
            "module:class, and the module be on PYTHONPATH."
        ) from error
    return found


_NAME = os.environ.get("CHAT_STORE_TEST_ADAPTER", "")
_ADAPTER = _load(_NAME) if _NAME else None

_ABOUT_THIS_STORE = (
    *("agents", "agents_in_depth", "budgets", "faults", "id_format", "ids", "transfer"),
    *(
        "alembic",
        "attachments",
        "command_line",
        "engine",
        "example_server",
        "user_data",
        "web",
    ),
)
IGNORED = [
    path.relative_to(Path(__file__).parent).as_posix()
    for path in Path(__file__).parent.rglob("test_chat_store_*.py")
    if _ADAPTER and path.stem.removeprefix("test_chat_store_") in _ABOUT_THIS_STORE
]
"""Test files to skip with an adapter, since they test this package only."""

only_own = pytest.mark.skipif(
    _ADAPTER is not None, reason="This test is about this project's own Store."
)
"""Marks tests that would say nothing about another Store."""


def make_context(owner: Any, request_id: str | None = None) -> RequestContext:
    """Make the context of a request by an owner; None and "" make one without an owner."""
    source = _ADAPTER or chat_store_contexts
    return cast(RequestContext, source.make_context(owner, request_id))


class _PartialProbe:
    """What an adapter has of a Probe."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._adapter, name):
            pytest.skip(f"The adapter {_NAME} has no `{name}`.")
        return getattr(self._adapter, name)


@contextmanager
def open_probe(directory: Path) -> Generator[Probe, None, None]:
    """Provide an empty database for a block, with direct access that bypasses the Store."""
    if _ADAPTER is None:
        with Probe(directory) as probe:
            yield probe
    else:
        yield cast(Probe, _PartialProbe(_ADAPTER(directory)))


@asynccontextmanager
async def open_store(probe: Probe) -> AsyncGenerator[ChatStore, None]:
    """Open a Store for the time of a block, on the probe's database."""
    if _ADAPTER is None:
        async with ChatStore(probe.url, auto_migrate=True) as store:
            yield store
    else:
        adapter = cast(Adapter, probe)
        other = await adapter.open_store()
        try:
            yield cast(ChatStore, other)
        finally:
            await adapter.close_store(other)
