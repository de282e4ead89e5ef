"""Export and import: all rows arrive in another database, equal and in order."""

import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from chat_store_contexts import make_context
from chat_store_database import Probe
from chat_store_samples import ITEM_TYPES, samples_of
from chat_store_tools import (
    NOON,
    a_message,
    a_note,
    a_thread,
    an_attachment,
    async_test,
    fill,
    later,
    run_async,
    save_one_of_each,
    walk,
)
from chat_store_under_test import (
    ChatStore,
    RequestContext,
    TransferError,
    owner_id,
    statements,
)
from chatkit.store import NotFoundError
from chatkit.types import ThreadMetadata

PACKAGE = ChatStore.__module__.rpartition(".")[0]
TABLES = ("chatkit_items", "chatkit_threads", "chatkit_attachments")


def deep(levels: int) -> Any:
    """Nest lists."""
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


async def fill_with_everything(store: ChatStore) -> list[RequestContext]:
    """Save every item type, odd texts, ties in time and colliding ids, of several owners."""
    owners = [make_context(name) for name in ("alice", "Alice", "böb", "o'☃ 😀")]
    odd = ["\0", "\ufffd", r"\u0000", "😀 \u202eright to left", "'; --", "x" * 100_000]
    free = [2**70, 0.1, -1.5e300, 1e22, 5e-324, 1.0, True, None, deep(200)]
    items = [samples_of(item_type)[-1] for item_type in ITEM_TYPES]
    items += [a_note(text) for text in odd] + [a_note({"free": free})]
    for owner in owners:
        for thread_id in ("thr_1", "thr_2", "Thr_1"):
            await store.save_thread(a_thread(thread_id, title=thread_id), owner)
            for number, item in enumerate(items):
                fields = {"id": f"item_{number}", "thread_id": thread_id}
                item = item.model_copy(update=fields)
                await store.add_thread_item(thread_id, item, owner)
        # Saved again, with another time, and so in the place that it had.
        again = a_message("item_3", "thr_1", "saved again", created_at=later(1000))
        await store.save_item("thr_1", again, owner)
        await store.save_thread(a_thread("thr_1", created_at=later(10)), owner)
        attachment = an_attachment(name="\0", metadata={"\0": 2**70})
        await store.save_attachment(attachment, owner)
    await store.save_attachment(an_attachment(), make_context("only attachments"))
    return owners


async def everything(store: ChatStore, owners: list[RequestContext]) -> list[Any]:
    """Read all that owners have, in order."""
    found: list[Any] = []
    for owner in owners:
        threads = await store.load_threads(1000, None, "asc", owner)
        for thread in threads.data:
            items = await walk(store, owner, thread_id=thread.id, limit=1000)
            found.append((thread, items))
        found.append(await store.load_attachment("atc_1", owner))
    return found


async def export(store: ChatStore) -> bytes:
    """Export into memory."""
    file = io.BytesIO()
    await store.export_rows(file)
    return file.getvalue()


def rows_of(exported: bytes) -> list[dict[str, Any]]:
    """Parse an export, but for what only serves to go on with it."""
    lines = [json.loads(line) for line in exported.splitlines()]
    return [{**line, "position": None} for line in lines]


def wipe(probe: Probe) -> None:
    """Empty the database, around the Store."""
    for table in TABLES:
        probe.execute(f"DELETE FROM {table}")


# --- what arrives


@async_test
async def test_every_row_arrives_equal_and_in_its_place(
    store: ChatStore, probe: Probe
) -> None:
    owners = await fill_with_everything(store)
    before, exported = await everything(store, owners), await export(store)
    wipe(probe)
    counts = await store.import_rows(io.BytesIO(exported))
    assert await everything(store, owners) == before
    # The sort keys too, which the payloads do not tell.
    assert rows_of(await export(store)) == rows_of(exported)
    assert (counts["thread"], counts["attachment"], counts["there"]) == (12, 5, 0)


@async_test
async def test_what_is_added_after_an_import_comes_behind_what_was_imported(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    ids = await fill(store, alice, 120, created_at=lambda number: later(0))
    exported = await export(store)
    wipe(probe)
    await store.import_rows(io.BytesIO(exported))
    tied = a_message("msg_new", created_at=later(0))
    await store.add_thread_item("thr_1", tied, alice)
    found = [item.id for item in await walk(store, alice, limit=50)]
    assert found == [*ids, "msg_new"]


@async_test
async def test_a_thread_still_knows_its_latest_save_when_it_is_deleted_after_an_import(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(created_at=later(0)), alice)
    await store.save_thread(a_thread(created_at=later(10)), alice)
    exported = await export(store)
    wipe(probe)
    await store.import_rows(io.BytesIO(exported))
    await store.delete_thread("thr_1", alice)
    with pytest.raises(NotFoundError):
        await store.save_thread(a_thread(created_at=later(5)), alice)


@async_test
async def test_deleted_threads_stay_behind(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    await store.delete_thread("thr_1", alice)
    kinds = [row["kind"] for row in rows_of(await export(store))]
    assert kinds == ["export", "attachment", "end"]


@async_test
async def test_an_empty_database_makes_an_empty_export(
    store: ChatStore, probe: Probe
) -> None:
    exported = await export(store)
    assert [row["kind"] for row in rows_of(exported)] == ["export", "end"]
    assert (await store.import_rows(io.BytesIO(exported))).total() == 0


@async_test
async def test_a_large_database_is_carried_in_little_memory(
    store: ChatStore, probe: Probe, alice: RequestContext, tmp_path: Path
) -> None:
    await store.save_thread(a_thread(), alice)
    for number in range(1200):
        item = a_message(f"msg_{number}", text="x" * 20_000)
        await store.add_thread_item("thr_1", item, alice)
    path = tmp_path / "rows.jsonl"
    calls: list[tuple[str, Callable[[IO[bytes]], Any]]] = [
        ("wb", store.export_rows),
        ("rb", store.import_rows),
    ]
    for mode, call in calls:
        tracemalloc.start()
        with path.open(mode) as file:
            await call(file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < path.stat().st_size / 2, mode
        wipe(probe)


# --- interruptions


class FullDisk(io.BytesIO):
    """A file that takes so many bytes, and no more until there is room again."""

    room = 0

    def write(self, data: Any) -> int:
        written = super().write(bytes(data)[: self.room])
        self.room -= written
        if written < len(data):
            raise OSError("no space left")
        return written


@async_test
async def test_an_export_goes_on_where_it_was_interrupted(
    store: ChatStore, probe: Probe
) -> None:
    for name in ("alice", "bob"):
        for thread_id in ("thr_1", "thr_2"):
            await fill(store, make_context(name), 60, thread_id=thread_id)
        for number in range(3):
            attachment = an_attachment(f"atc_{number}")
            await store.save_attachment(attachment, make_context(name))
    whole = await export(store)
    file = FullDisk()
    interruptions = 0
    while file.getvalue() != whole:
        file.room = 7001  # so the end of a line is rarely met
        try:
            await store.export_rows(file)
        except OSError:
            interruptions += 1
    assert interruptions > 5


@async_test
async def test_an_import_goes_on_where_it_was_interrupted(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    ids = await fill(store, alice, 220, created_at=lambda number: later(0))
    await save_one_of_each(store, bob)
    exported = await export(store)
    wipe(probe)

    def interrupt(done: int, total: int) -> None:
        assert total == 224
        if done == interrupted_after:
            raise KeyboardInterrupt

    for interrupted_after in (50, 150):
        with pytest.raises(KeyboardInterrupt):
            await store.import_rows(io.BytesIO(exported), interrupt)
    counts = await store.import_rows(io.BytesIO(exported))
    assert counts["there"] == 150
    assert [item.id for item in await walk(store, alice, limit=100)] == ids
    assert (await store.import_rows(io.BytesIO(exported)))["there"] == 224


@async_test
async def test_progress_is_reported_up_to_the_end(
    store: ChatStore, alice: RequestContext
) -> None:
    await fill(store, alice, 120)
    seen: list[tuple[int, int]] = []
    exported = io.BytesIO()
    await store.export_rows(exported, lambda done, total: seen.append((done, total)))
    assert (seen[0], seen[-1], len(seen)) == ((1, 121), (121, 121), 4)
    seen.clear()
    exported.seek(0)
    await store.import_rows(exported, lambda done, total: seen.append((done, total)))
    assert (seen[0], seen[-1]) == ((50, 121), (121, 121))


# --- what is refused


@async_test
async def test_an_import_overwrites_nothing(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    exported = await export(store)
    await store.save_item("thr_1", a_message(text="newer"), alice)
    await save_one_of_each(store, bob)
    with pytest.raises(TransferError, match=r"Item msg_1 \(line 3\).*other content"):
        await store.import_rows(io.BytesIO(exported))
    assert await store.load_item("thr_1", "msg_1", alice) == a_message(text="newer")
    assert await store.load_thread("thr_1", bob) == a_thread(title="hello")


@async_test
async def test_an_import_beside_other_rows_leaves_them_alone(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    exported = await export(store)
    wipe(probe)
    await save_one_of_each(store, bob, "bob's")
    await store.import_rows(io.BytesIO(exported))
    assert (await store.load_thread("thr_1", alice)).title == "hello"
    assert (await store.load_thread("thr_1", bob)).title == "bob's"


@async_test
async def test_a_thread_that_was_deleted_since_does_not_come_back_by_an_import(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    exported = await export(store)
    await store.delete_thread("thr_1", alice)
    with pytest.raises(TransferError, match=r"Thread thr_1 \(line 2\).*deleted"):
        await store.import_rows(io.BytesIO(exported))
    with pytest.raises(NotFoundError):
        await store.load_thread("thr_1", alice)


@async_test
async def test_an_item_without_its_thread_is_refused_and_named(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    header, _, *others = (await export(store)).splitlines(keepends=True)
    wipe(probe)
    with pytest.raises(TransferError, match=r"Item msg_1 \(line 2\).*its thread"):
        await store.import_rows(io.BytesIO(b"".join([header, *others])))


@async_test
async def test_a_row_that_is_not_json_stops_the_export_until_it_is_gone(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await fill(store, alice, 3)
    probe.damage_item("msg_0001")
    file = io.BytesIO()
    with pytest.raises(TransferError, match="Item msg_0001 is damaged"):
        await store.export_rows(file)
    await store.delete_thread_item("thr_1", "msg_0001", alice)
    await store.export_rows(file)
    ids = [row.get("id") for row in rows_of(file.getvalue())]
    assert ids == [None, "thr_1", "msg_0000", "msg_0002", None]


@async_test
async def test_a_row_with_a_lone_surrogate_stops_the_export_and_is_named(
    store: ChatStore, alice: RequestContext
) -> None:
    await fill(store, alice, 3)
    payload = r'{"text": "\ud800"}'
    params = ("msg_0001", NOON.astimezone(), payload, owner_id(alice), "thr_1")
    database = store._database  # pyright: ignore[reportPrivateUsage]
    await database.write((statements.SAVE_ITEM, params))
    with pytest.raises(TransferError, match="Item msg_0001 is damaged"):
        await export(store)


@async_test
async def test_a_large_file_that_is_something_else_is_not_read_whole(
    store: ChatStore,
) -> None:
    file = io.BytesIO(b"x" * 1_000_000)
    with pytest.raises(TransferError, match="not an export"):
        await store.import_rows(file)
    assert file.tell() < 10_000


def changed(exported: bytes, old: str, new: str) -> bytes:
    """Replace a text, which must be there."""
    assert old in exported.decode()
    return exported.decode().replace(old, new).encode()


def wrong_files(exported: bytes, owner: str) -> Iterator[tuple[bytes, str]]:
    """Spoil an export in many ways, and tell what has to be said of each."""
    lines = exported.splitlines(keepends=True)
    yield b"", "not an export"
    yield b"something else\n", "not an export"
    yield b'{"kind": "export"\n', "not an export"
    yield b"[]\n", "not an export"
    yield changed(exported, '"format": 1', '"format": 2'), "format 2.*reads 1"
    yield b"".join([*lines[:2], b"{\n"]), "Line 3 .*damaged"
    yield b"".join([*lines[:2], b"[]\n"]), "Line 3 .*damaged"
    yield b"".join([*lines[:2], b"[" * 100_000, b"\n"]), "Line 3 .*damaged"
    yield b"".join([*lines[:2], b"{}\n"]), "Line 3 .*not a row: .*kind"
    yield changed(exported, f'"owner": "{owner}"', '"owner": ""'), "Line 2 .*: owner"
    yield changed(exported, '"id": "msg_1"', '"id": "\\ud800"'), "Line 3 .*, id"
    yield changed(exported, '"kind": "item"', '"kind": "note"'), "Line 3 .*: kind"
    yield changed(exported, "+00:00", ""), "Line 2 .*: created_at"
    yield changed(exported, '"thread": "thr_1", ', ""), "line 3.*thread"
    yield changed(exported, '"text": "hello"', '"text": "\\ud800"'), "Line 3.*: data"
    yield b"".join(lines[:-1]), "interrupted after line 4"
    yield exported[:-20], "interrupted after line 4"
    yield b"".join([*lines[:3], lines[-1]]), "missing.*line, 4,.*attachment"


@async_test
async def test_a_file_that_is_not_a_complete_export_is_refused_with_the_line(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    exported = await export(store)
    for file, message in wrong_files(exported, owner_id(alice)):
        wipe(probe)
        with pytest.raises(TransferError, match=f"(?i){message}"):
            await store.import_rows(io.BytesIO(file))


@async_test
async def test_an_export_goes_into_no_file_that_holds_something(
    store: ChatStore, alice: RequestContext
) -> None:
    complete = io.BytesIO(await export(store))
    with pytest.raises(TransferError, match="complete export"):
        await store.export_rows(complete)
    for content in (b"precious", b"precious\n", b'{"kind": "exp', b"[" * 100_000):
        file = io.BytesIO(content)
        with pytest.raises(TransferError, match="not an export"):
            await store.export_rows(file)
        assert file.getvalue() == content


# --- the command line


def command(
    *arguments: str, input: bytes = b"", cwd: Path | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run the package's command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", PACKAGE, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=False,
        input=input,
        cwd=cwd,
    )


def test_the_command_line_carries_the_rows_through_a_file_and_through_a_pipe(
    store: ChatStore, probe: Probe, alice: RequestContext, tmp_path: Path
) -> None:
    run_async(save_one_of_each(store, alice))
    path = tmp_path / "rows.jsonl"
    done = command("export", str(path), "--url", probe.url)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"Exported 1 thread, 1 item and 1 attachment." in done.stderr
    if os.name != "nt":
        assert path.stat().st_mode & 0o077 == 0  # nobody else may read it
    piped = command("export", "-", "--url", probe.url)
    assert piped.stdout == path.read_bytes()
    wipe(probe)
    done = command("import", "-", "--url", probe.url, input=piped.stdout)
    assert (done.returncode, done.stdout) == (0, b"")
    done = command("import", str(path), "--url", probe.url)
    assert done.returncode == 0
    assert b"3 of them were there already." in done.stderr
    loaded = run_async(store.load_thread("thr_1", alice))
    assert loaded == ThreadMetadata.model_validate(a_thread(title="hello"))


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("export",), 2, "FILE"),
        (("import", "absent.jsonl"), 1, "absent.jsonl: No such file"),
        (("export", "absent/rows.jsonl"), 1, "absent/rows.jsonl: No such file"),
        (("export", "."), 1, "."),
    ],
)
def test_the_command_line_says_what_is_wrong_with_a_file(
    store: ChatStore,
    probe: Probe,
    tmp_path: Path,
    arguments: tuple[str, ...],
    status: int,
    word: str,
) -> None:
    done = command(*arguments, "--url", probe.url, cwd=tmp_path)
    assert done.returncode == status
    assert word in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["export", "import"])
def test_the_command_line_says_to_migrate_first(
    probe: Probe, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"")
    done = command(name, str(path), "--url", probe.url)
    assert done.returncode == 1
    assert f"python -m {PACKAGE} migrate" in done.stderr.decode()
