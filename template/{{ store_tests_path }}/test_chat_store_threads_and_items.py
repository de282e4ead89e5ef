"""Threads and items: R01 to R11 of the Store's contract.

What `stream_agent_response` does for R06 is tested in `test_chat_store_agents.py`.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from chat_store_adapter import only_own
from chat_store_database import TABLES, Probe
from chat_store_tools import (
    NOON,
    READS,
    WRITES,
    a_message,
    a_thread,
    a_tool_call,
    an_attachment,
    async_test,
    count_rows,
    fill,
    finish,
    later,
    save_one_of_each,
    walk,
)
from chat_store_under_test import (
    TOMBSTONE_LIFETIME,
    ChatStore,
    DatabaseError,
    RequestContext,
    keys,
    owner_id,
)
from chatkit.store import NotFoundError
from chatkit.types import Page, Thread, ThreadItem, ThreadMetadata

DELETIONS = [call for name, call in WRITES.items() if name.startswith("delete")]

each_save_method = pytest.mark.parametrize("method", ["add_thread_item", "save_item"])


async def save(
    store: ChatStore, method: str, item: ThreadItem, context: RequestContext
) -> None:
    """Save an item in its thread by the method of that name."""
    await getattr(store, method)(item.thread_id, item, context)


async def load_items(
    store: ChatStore, context: RequestContext, thread_id: str = "thr_1"
) -> list[ThreadItem]:
    """Load the oldest items of a thread."""
    page = await store.load_thread_items(thread_id, None, 20, "asc", context)
    return page.data


async def load_threads(
    store: ChatStore, context: RequestContext
) -> list[ThreadMetadata]:
    """Load the oldest threads of an owner."""
    return (await store.load_threads(20, None, "asc", context)).data


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": ""},
        {"status": {"type": "locked", "reason": "being reviewed"}},
        {"metadata": {"tags": ["a", None, 1.5, True], "nested": {"": {}}}},
        {"title": "Lunch", "allowed_image_domains": ["example.com", "example.org"]},
    ],
    ids=str,
)
@async_test
async def test_R01_load_thread_returns_what_was_saved(
    store: ChatStore, alice: RequestContext, fields: dict[str, Any]
) -> None:
    thread = a_thread(**fields)
    await store.save_thread(thread, alice)
    assert await store.load_thread("thr_1", alice) == thread
    assert await load_threads(store, alice) == [thread]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("load_thread", "Thread thr_1"),
        ("load_item", "Item msg_1"),
        ("load_attachment", "Attachment atc_1"),
    ],
)
@async_test
async def test_R02_loading_a_missing_deleted_or_other_owners_row_raises_not_found(
    store: ChatStore, alice: RequestContext, bob: RequestContext, method: str, name: str
) -> None:
    load, message = READS[method], f"^{name} not found$"
    with pytest.raises(NotFoundError, match=message):
        await load(store, alice)
    await save_one_of_each(store, alice)
    await load(store, alice)
    with pytest.raises(NotFoundError, match=message):
        await load(store, bob)
    for deletion in DELETIONS:
        await deletion(store, alice)
    with pytest.raises(NotFoundError, match=message):
        await load(store, alice)


@async_test
async def test_R03_save_thread_inserts_and_then_updates(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(title="first", metadata={"a": 1}), alice)
    changed = a_thread(title="second", metadata={"b": 2}, status={"type": "closed"})
    await store.save_thread(changed, alice)
    assert await store.load_thread("thr_1", alice) == changed
    assert count_rows(probe, "chatkit_threads") == 1


@async_test
async def test_R03_a_new_empty_thread_never_overwrites_one_that_exists(
    store: ChatStore, alice: RequestContext
) -> None:
    kept = a_thread(title="kept", metadata={"a": 1})
    await store.save_thread(kept, alice)
    for _ in range(2):
        await store.save_thread(a_thread(created_at=later(60)), alice)
    assert await store.load_thread("thr_1", alice) == kept


@async_test
async def test_R03_save_thread_stores_only_the_metadata_of_a_thread_with_items(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    metadata = a_thread(title="Lunch")
    items = Page[ThreadItem](data=[a_message(text="quiche")])
    thread = Thread(**metadata.model_dump(), items=items)
    before = thread.model_copy(deep=True)
    await store.save_thread(thread, alice)
    assert thread == before
    [(payload,)] = probe.query("SELECT data FROM chatkit_threads")
    assert "Lunch" in str(payload)
    assert "items" not in str(payload)
    assert "quiche" not in str(payload)
    assert count_rows(probe, "chatkit_items") == 0
    assert await store.load_thread("thr_1", alice) == metadata


@pytest.mark.parametrize("seconds", [-100, 100])
@async_test
async def test_R04_saving_a_thread_again_keeps_its_place_owner_and_items(
    store: ChatStore, probe: Probe, alice: RequestContext, seconds: float
) -> None:
    for number in range(3):
        await store.save_thread(a_thread(f"thr_{number}"), alice)
    await store.add_thread_item("thr_1", a_message(), alice)
    changed = a_thread("thr_1", title="changed", created_at=later(seconds))
    await store.save_thread(changed, alice)
    first, third = a_thread("thr_0"), a_thread("thr_2")
    assert await load_threads(store, alice) == [first, changed, third]
    assert await load_items(store, alice) == [a_message()]
    owners = probe.query("SELECT owner_id FROM chatkit_threads")
    assert owners == [(owner_id(alice),)] * 3


@each_save_method
@pytest.mark.parametrize("seconds", [-100, 100])
@async_test
async def test_R04_saving_an_item_again_keeps_its_place_and_owner(
    store: ChatStore, probe: Probe, alice: RequestContext, method: str, seconds: float
) -> None:
    await fill(store, alice, 3, created_at=lambda number: NOON)
    changed = a_message("msg_0001", text="changed", created_at=later(seconds))
    await save(store, method, changed, alice)
    first, second, third = await load_items(store, alice)
    assert (first.id, second, third.id) == ("msg_0000", changed, "msg_0002")
    owners = probe.query("SELECT owner_id FROM chatkit_items")
    assert owners == [(owner_id(alice),)] * 3


@async_test
async def test_R05_adding_an_item_again_updates_it_in_place(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    call = a_tool_call()
    await store.save_thread(a_thread(), alice)
    await store.add_thread_item("thr_1", call, alice)
    await store.add_thread_item("thr_1", a_message(), alice)
    continued = a_tool_call(output="done")
    for _ in range(2):
        await store.add_thread_item("thr_1", continued, alice)
    assert await load_items(store, alice) == [continued, a_message()]
    assert await store.load_item("thr_1", "tc_1", alice) == continued
    assert count_rows(probe, "chatkit_items") == 2


@each_save_method
@async_test
async def test_R06_each_item_with_the_placeholder_id_is_stored_under_a_new_id(
    store: ChatStore, probe: Probe, alice: RequestContext, method: str
) -> None:
    await store.save_thread(a_thread(), alice)
    for text in ("first", "second"):
        message = a_message(keys.PLACEHOLDER_ID, text=text)
        await save(store, method, message, alice)
        assert message == a_message(keys.PLACEHOLDER_ID, text=text)
    items = await load_items(store, alice)
    ids = [item.id for item in items]
    assert len(set(ids)) == 2
    assert keys.PLACEHOLDER_ID not in ids
    assert items == [a_message(ids[0], text="first"), a_message(ids[1], text="second")]
    assert [await store.load_item("thr_1", item_id, alice) for item_id in ids] == items
    assert sorted(probe.query("SELECT id FROM chatkit_items")) == sorted(
        (item_id,) for item_id in ids
    )


@async_test
async def test_R07_save_item_inserts_a_new_item_and_updates_it(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    await store.save_item("thr_1", a_message(text="new"), alice)
    assert await store.load_item("thr_1", "msg_1", alice) == a_message(text="new")
    await store.save_item("thr_1", a_message(text="changed"), alice)
    assert await load_items(store, alice) == [a_message(text="changed")]
    assert count_rows(probe, "chatkit_items") == 1


@each_save_method
@pytest.mark.parametrize("thread", ["absent", "foreign", "deleted"])
@async_test
async def test_R08_adding_an_item_to_a_missing_thread_is_refused(
    store: ChatStore,
    probe: Probe,
    alice: RequestContext,
    bob: RequestContext,
    method: str,
    thread: str,
) -> None:
    if thread == "foreign":
        await store.save_thread(a_thread(), bob)
    if thread == "deleted":
        await store.save_thread(a_thread(), alice)
        await store.delete_thread("thr_1", alice)
    threads_before = probe.query("SELECT owner_id, id FROM chatkit_threads")
    with pytest.raises(NotFoundError, match="^Thread thr_1 not found$"):
        await save(store, method, a_message(), alice)
    assert count_rows(probe, "chatkit_items") == 0
    assert probe.query("SELECT owner_id, id FROM chatkit_threads") == threads_before


@async_test
async def test_R09_deleting_a_missing_or_other_owners_row_changes_nothing(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    for deletion in DELETIONS:
        await deletion(store, bob)
    await store.delete_thread_item("thr_1", "msg_absent", alice)
    await store.delete_thread_item("thr_absent", "msg_1", alice)
    await store.delete_thread("thr_absent", alice)
    await store.delete_attachment("atc_absent", alice)
    assert await load_threads(store, alice) == [a_thread(title="hello")]
    assert await load_items(store, alice) == [a_message()]
    assert await store.load_attachment("atc_1", alice) == an_attachment(name="hello")
    assert count_rows(probe, "chatkit_threads") == 1


async def assert_is_gone(
    store: ChatStore, probe: Probe, context: RequestContext
) -> None:
    """Check that nothing is left of the thread thr_1, in the Store or around it."""
    with pytest.raises(NotFoundError):
        await store.load_thread("thr_1", context)
    assert "thr_1" not in [thread.id for thread in await load_threads(store, context)]
    assert await load_items(store, context) == []
    items = probe.query("SELECT id FROM chatkit_items WHERE thread_id = 'thr_1'")
    assert items == []
    # The row that refuses late writes holds nothing that a user wrote.
    rows = probe.query("SELECT data FROM chatkit_threads WHERE id = 'thr_1'")
    assert [data for (data,) in rows if data is not None] == []


@async_test
async def test_R10_delete_thread_deletes_its_items_and_nothing_else(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    for thread_id in ("thr_1", "thr_2"):
        await fill(store, alice, 3, thread_id=thread_id)
    kept = await load_items(store, alice, "thr_2")
    await store.delete_thread("thr_1", alice)
    await assert_is_gone(store, probe, alice)
    assert await load_threads(store, alice) == [a_thread("thr_2")]
    assert await load_items(store, alice, "thr_2") == kept
    assert len(kept) == 3


@async_test
async def test_R10_delete_thread_is_atomic(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    await fill(store, alice, 3)
    probe.refuse_deleting_items()
    with pytest.raises(DatabaseError):
        await store.delete_thread("thr_1", alice)
    assert await store.load_thread("thr_1", alice) == a_thread()
    assert len(await load_items(store, alice)) == 3


@pytest.mark.parametrize("method", ["save_thread", "add_thread_item", "save_item"])
@async_test
async def test_R10_a_late_write_does_not_bring_a_deleted_thread_back(
    store: ChatStore, probe: Probe, alice: RequestContext, method: str
) -> None:
    await save_one_of_each(store, alice)
    await store.delete_thread("thr_1", alice)
    for _ in range(2):
        with pytest.raises(NotFoundError, match="^Thread thr_1 not found$"):
            await WRITES[method](store, alice)
        await assert_is_gone(store, probe, alice)


@async_test
async def test_R10_adding_an_item_during_the_deletion_of_its_thread_is_refused(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    with probe.deleting_threads():
        call = asyncio.ensure_future(store.add_thread_item("thr_1", a_message(), alice))
        await asyncio.wait({call}, timeout=0.2)
    with pytest.raises(NotFoundError):
        await finish(call)
    assert count_rows(probe, "chatkit_items") == 0


@only_own
@async_test
async def test_R10_tombstones_are_purged_after_their_lifetime(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    await fill(store, alice, 1, thread_id="thr_live")
    for thread_id, age, left in (
        ("thr_0", TOMBSTONE_LIFETIME * 0.9, ["thr_0"]),
        ("thr_1", TOMBSTONE_LIFETIME * 0.2, ["thr_0", "thr_1"]),
        ("thr_2", TOMBSTONE_LIFETIME * 0.2, ["thr_1", "thr_2"]),
    ):
        # A deletion by any owner purges the tombstones of all owners.
        context = bob if thread_id == "thr_2" else alice
        await store.save_thread(a_thread(thread_id), context)
        await store.delete_thread(thread_id, context)
        rows = probe.query("SELECT id FROM chatkit_threads WHERE data IS NULL")
        assert sorted(rows) == [(deleted_id,) for deleted_id in left]
        probe.age_deletions(age)
    assert await load_threads(store, alice) == [a_thread("thr_live")]
    assert len(await load_items(store, alice, "thr_live")) == 1


LOOKALIKES = ["A", "a", "a ", " a", "a\t", "\u00e9", "e\u0301", "e", "\u00df", "ss"]

GOOD_IDS = [
    *("x", " ", "x" * 255, "\U0001f600" * 255, "\U0001f469\u200d\U0001f467", "\u0645"),
    *("it's", 'say "x"', "100%s %(id)s %%", "? $1 :id", "_", "a\\b\\", "a\nb\r\n"),
    *("../../etc/passwd", "0012", "'; DROP TABLE chatkit_items; --"),
]

BAD_IDS = {
    "empty": "",
    "256 characters": "x" * 256,
    "256 emoji": "\U0001f600" * 256,
    "NUL and a line break": "a\0\nb",
    "lone surrogate": "a\ud800",
}


def with_id(row: Any, row_id: str) -> Any:
    """Return a copy of a model with an id that pydantic itself might refuse."""
    return row.model_copy(update={"id": row_id})


@pytest.mark.parametrize(
    ("saved", "late"), [([0], -1), ([0], 0), ([0, 10], 10), ([10, 0], 10)]
)
@async_test
async def test_R10_a_save_as_old_as_any_of_the_deleted_thread_is_refused(
    store: ChatStore, probe: Probe, alice: RequestContext, saved: list[int], late: int
) -> None:
    for seconds in saved:
        await store.save_thread(a_thread(created_at=later(seconds)), alice)
    await store.delete_thread("thr_1", alice)
    with pytest.raises(NotFoundError, match="^Thread thr_1 not found$"):
        await store.save_thread(a_thread(created_at=later(late).astimezone()), alice)
    await assert_is_gone(store, probe, alice)


@async_test
async def test_R11_any_text_of_1_to_255_characters_is_a_distinct_id(
    store: ChatStore, alice: RequestContext
) -> None:
    ids = LOOKALIKES + GOOD_IDS
    threads = [a_thread(row_id, title=ascii(row_id)[:99]) for row_id in ids]
    items = [a_message(row_id, "A", text=ascii(row_id)) for row_id in ids]
    files = [an_attachment(row_id, name=ascii(row_id)) for row_id in ids]
    for thread in threads:
        await store.save_thread(thread, alice)
    for item, file in zip(items, files):
        await store.add_thread_item("A", item, alice)
        await store.save_attachment(file, alice)
    assert await walk(store, alice, thread_id="A", limit=1) == items
    for row_id, thread, item, file in zip(ids, threads, items, files):
        assert await store.load_thread(row_id, alice) == thread
        assert await store.load_item("A", row_id, alice) == item
        assert await store.load_attachment(row_id, alice) == file
    for row_id, following in zip(ids, threads[1:]):
        page = await store.load_threads(1, row_id, "asc", alice)
        assert page.data == [following]
    for row_id in ids[1::2]:
        await store.delete_thread(row_id, alice)
        await store.delete_thread_item("A", row_id, alice)
        await store.delete_attachment(row_id, alice)
    assert await load_threads(store, alice) == threads[::2]
    assert await load_items(store, alice, "A") == items[::2]
    for file in files[::2]:
        assert await store.load_attachment(file.id, alice) == file


@pytest.mark.parametrize("row_id", BAD_IDS.values(), ids=BAD_IDS)
@async_test
async def test_R11_writing_under_any_other_id_raises_value_error(
    store: ChatStore, probe: Probe, alice: RequestContext, row_id: str
) -> None:
    await store.save_thread(a_thread(), alice)
    calls = [
        store.save_thread(with_id(a_thread(), row_id), alice),
        store.add_thread_item("thr_1", with_id(a_message(), row_id), alice),
        store.save_item("thr_1", with_id(a_message(), row_id), alice),
        store.add_thread_item(row_id, a_message(), alice),
        store.save_item(row_id, a_message(), alice),
        store.save_attachment(with_id(an_attachment(), row_id), alice),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="cannot be an id") as caught:
            await call
        assert len(str(caught.value)) < 200
        assert str(caught.value).isprintable()
    assert count_rows(probe, "chatkit_threads") == 1
    assert count_rows(probe, "chatkit_items") == 0
    assert count_rows(probe, "chatkit_attachments") == 0


@pytest.mark.parametrize("row_id", BAD_IDS.values(), ids=BAD_IDS)
@async_test
async def test_R11_loading_an_invalid_id_raises_not_found_and_deleting_does_nothing(
    store: ChatStore, probe: Probe, alice: RequestContext, row_id: str
) -> None:
    await save_one_of_each(store, alice)
    loads: list[Awaitable[object]] = [
        store.load_thread(row_id, alice),
        store.load_item(row_id, "msg_1", alice),
        store.load_item("thr_1", row_id, alice),
        store.load_attachment(row_id, alice),
        store.load_thread_items("thr_1", row_id, 20, "asc", alice),
        store.load_threads(20, row_id, "asc", alice),
    ]
    for load in loads:
        with pytest.raises(NotFoundError):
            await load
    for after in (None, "msg_1", row_id):
        page = await store.load_thread_items(row_id, after, 20, "asc", alice)
        assert page == Page()
    await store.delete_thread(row_id, alice)
    await store.delete_thread_item(row_id, "msg_1", alice)
    await store.delete_thread_item("thr_1", row_id, alice)
    await store.delete_attachment(row_id, alice)
    for table in TABLES:
        assert count_rows(probe, table) == 1
