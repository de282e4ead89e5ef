"""The file and its disk, and their faults: R34 to R36 and R39 of the Store's contract."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from chat_store_appending import append_until
from chat_store_database import Probe, connections_of
from chat_store_tools import (
    READS,
    SECRET,
    THOROUGH,
    a_chance,
    a_message,
    a_thread,
    an_attachment,
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
async def test_R29_a_row_that_was_repaired_as_a_blob_is_read(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await save_one_of_each(store, alice)
    for table in ("threads", "items", "attachments"):
        probe.execute(f"UPDATE chatkit_{table} SET data = CAST(data AS BLOB)")
    [item] = await walk(store, alice)
    assert await store.load_item("thr_1", item.id, alice) == item
    assert len((await store.load_threads(9, None, "asc", alice)).data) == 1
    assert await store.load_attachment("atc_1", alice)
    thread = await store.load_thread("thr_1", alice)
    thread.title = "another"
    await store.save_thread(thread, alice)
    assert await store.load_thread("thr_1", alice) == thread


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
        assert not any("aaaa" in str(error) for error in failures)
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


# --- R39: what others could read in the file


@pytest.mark.skipif(os.name == "nt", reason="Files have no such mode there.")
@async_test
async def test_R39_files_can_be_read_by_their_owner_only(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    files = list(probe.path.parent.glob(f"{probe.path.name}*"))
    assert probe.path in files
    assert [path for path in files if path.stat().st_mode & 0o077] == []


@async_test
async def test_R39_what_was_deleted_or_replaced_is_not_left_in_a_file(
    probe: Probe, alice: RequestContext, tmp_path: Path
) -> None:
    async with ChatStore(probe.url, auto_migrate=True) as store:
        for thread_id in ("thr_1", "thr_2"):
            await store.save_thread(a_thread(thread_id, title=SECRET), alice)
            for number, size in enumerate((1, 20, 2_000)):
                item = a_message(f"msg_{number}", thread_id, SECRET * size)
                await store.add_thread_item(thread_id, item, alice)
        await store.save_attachment(an_attachment(name=SECRET), alice)
        await store.delete_attachment("atc_1", alice)
        await store.delete_thread("thr_1", alice)
        await store.save_thread(a_thread("thr_2", title="hello"), alice)
        for number in (0, 2):
            await store.delete_thread_item("thr_2", f"msg_{number}", alice)
        await store.save_item("thr_2", a_message("msg_1", "thr_2"), alice)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert [SECRET.encode() in content for content in files] == [False] * len(files)
