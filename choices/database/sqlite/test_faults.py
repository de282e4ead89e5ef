"""Faults of the file and of its disk: R34 to R36 of the Store's contract."""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from chat_store_appending import append_until
from chat_store_database import Probe, connections_of
from chat_store_tools import (
    READS,
    THOROUGH,
    a_chance,
    a_message,
    a_thread,
    async_test,
    finish,
    save_one_of_each,
    walk,
)
from chat_store_under_test import (
    ChatStore,
    DatabaseError,
    DatabaseTimeoutError,
    RequestContext,
)


@contextlib.contextmanager
def full_disk(store: ChatStore) -> Generator[None, None, None]:
    """Let the file of an open Store grow no more."""
    connections = connections_of(store)
    for connection in connections:
        [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        for connection in connections:
            connection.execute("PRAGMA max_page_count = 1000000")


# --- a file that cannot be opened


def no_directory(path: Path) -> Path:
    """Make a path whose directory is missing."""
    return path / "absent" / "chat.db"


def a_directory(path: Path) -> Path:
    """Make a directory."""
    (path / "a_directory").mkdir()
    return path / "a_directory"


def another_file(path: Path) -> Path:
    """Make a file that is no database."""
    (path / "notes.txt").write_text("What I want to remember. " * 1000)
    return path / "notes.txt"


@pytest.mark.parametrize("make", [no_directory, a_directory, another_file])
@async_test
async def test_R34_a_file_that_is_no_database_is_an_error_that_names_it(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    content = path.read_bytes() if path.is_file() else None
    store = ChatStore(f"sqlite:///{path}", auto_migrate=True)
    for _ in range(2):
        with pytest.raises(DatabaseError, match=path.name):
            await finish(store.open())
    assert (path.read_bytes() if path.is_file() else None) == content


# --- a full disk


@async_test
async def test_R35_a_full_disk_loses_nothing_that_was_acknowledged(
    store: ChatStore, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    items = [a_message(f"new_{number:02}", text="a" * 10_000) for number in range(30)]
    with full_disk(store):
        outcomes = await finish(
            asyncio.gather(
                *(store.add_thread_item("thr_1", item, alice) for item in items),
                return_exceptions=True,
            )
        )
        stored = [item for item, error in zip(items, outcomes) if error is None]
        failures = [error for error in outcomes if error is not None]
        assert {type(error) for error in failures} == {DatabaseError}
        assert "full" in str(failures[0])
        assert await walk(store, alice, limit=50) == [a_message(), *stored]
        for read in READS.values():
            await finish(read(store, alice))
    for item in items:
        await finish(store.add_thread_item("thr_1", item, alice))
    found = await walk(store, alice, limit=50)
    assert sorted(found, key=lambda item: item.id) == [a_message(), *items]


# --- a file that others lock


@async_test
async def test_R36_what_was_acknowledged_is_stored_once_however_others_lock_the_file(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    chance = a_chance()
    ended = asyncio.Event()
    await store.save_thread(a_thread(), alice)
    async with ChatStore(probe.url, pool_timeout=0.5) as hasty:
        writers = [
            asyncio.ensure_future(
                append_until(ended, hasty, alice, name, DatabaseTimeoutError)
            )
            for name in "abcde"
        ]
        for _ in range(40 if THOROUGH else 4):
            await asyncio.sleep(chance.uniform(0, 0.02))
            with probe.locked():
                await asyncio.sleep(chance.uniform(0, 1))
        ended.set()
        acknowledged = await finish(asyncio.gather(*writers), 60)
    found = [item.id for item in await walk(store, alice, limit=500)]
    assert len(found) == len(set(found))
    for ids in acknowledged:
        assert [item_id for item_id in found if item_id in set(ids)] == ids
