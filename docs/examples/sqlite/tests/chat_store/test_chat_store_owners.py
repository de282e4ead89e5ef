"""Owners: R12 to R16 of the Store's contract."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from chat_store_adapter import make_context, only_own
from chat_store_contexts import IS_FROZEN, OWNER, make_lookalikes
from chat_store_database import TABLES, Probe
from chat_store_tools import (
    CALLS,
    READS,
    WRITES,
    a_message,
    a_thread,
    an_attachment,
    async_test,
    count_rows,
    fill,
    save_one_of_each,
)
from chat_store_under_test import ChatStore, OwnerError, RequestContext, owner_id
from chatkit.store import NotFoundError
from chatkit.types import Page


async def see_everything(store: ChatStore, context: RequestContext) -> list[object]:
    """Return what an owner sees of the rows of `save_one_of_each`, by every method."""
    return [await read(store, context) for read in READS.values()]


@async_test
async def test_R12_two_owners_see_their_own_rows_under_the_same_ids(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice, "of alice")
    await save_one_of_each(store, bob, "of bob")
    for context, text in ((alice, "of alice"), (bob, "of bob")):
        thread, item = a_thread(title=text), a_message(text=text)
        assert await store.load_thread("thr_1", context) == thread
        assert await store.load_item("thr_1", "msg_1", context) == item
        attachment = await store.load_attachment("atc_1", context)
        assert attachment == an_attachment(name=text)
        for order in ("asc", "desc"):
            items = await store.load_thread_items("thr_1", None, 9, order, context)
            assert items == Page(data=[item])
            threads = await store.load_threads(9, None, order, context)
            assert threads == Page(data=[thread])
            # Nor does the other owner's row follow on the next page.
            items = await store.load_thread_items("thr_1", "msg_1", 9, order, context)
            assert items == Page()
            threads = await store.load_threads(9, "thr_1", order, context)
            assert threads == Page()
    owners = sorted([(owner_id(alice),), (owner_id(bob),)])
    for table in TABLES:
        assert sorted(probe.query(f"SELECT owner_id FROM {table}")) == owners


@pytest.mark.parametrize("rows_of_bob", ["absent", "present"])
@pytest.mark.parametrize("method", WRITES)
@async_test
async def test_R12_writes_do_not_affect_other_owners(
    store: ChatStore,
    alice: RequestContext,
    bob: RequestContext,
    method: str,
    rows_of_bob: str,
) -> None:
    await save_one_of_each(store, alice, "of alice")
    before = await see_everything(store, alice)
    if rows_of_bob == "present":
        await save_one_of_each(store, bob, "of bob")
    try:
        await WRITES[method](store, bob)
    except NotFoundError:
        assert rows_of_bob == "absent"  # there is no thread for his item (R08)
    assert await see_everything(store, alice) == before


@pytest.mark.parametrize("order", ["asc", "desc"])
@async_test
async def test_R12_a_page_starts_after_the_owners_own_row(
    store: ChatStore, alice: RequestContext, bob: RequestContext, order: str
) -> None:
    for context, numbers in ((alice, "123"), (bob, "2")):
        for number in numbers:
            await store.save_thread(a_thread(f"thr_{number}"), context)
        for number in numbers:
            item = a_message(f"msg_{number}", "thr_2")
            await store.add_thread_item("thr_2", item, context)
    items = await store.load_thread_items("thr_2", "msg_2", 9, order, bob)
    assert items == Page()
    assert await store.load_threads(9, "thr_2", order, bob) == Page()


@only_own
@async_test
async def test_R13_the_database_refuses_an_item_for_another_owners_thread(
    store: ChatStore, probe: Probe, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    await store.save_thread(a_thread("thr_of_alice"), alice)
    await store.save_thread(a_thread("thr_of_bob"), bob)
    # By plain SQL, an item can only go to another thread of its own owner.
    for change in (
        f"owner_id = '{owner_id(bob)}'",
        "thread_id = 'thr_of_bob'",
        "thread_id = 'thr_absent'",
    ):
        with pytest.raises(probe.CONSTRAINT_ERROR):
            probe.execute(f"UPDATE chatkit_items SET {change}")
    assert await store.load_item("thr_1", "msg_1", alice) == a_message()
    moved = probe.execute("UPDATE chatkit_items SET thread_id = 'thr_of_alice'")
    assert moved == 1
    assert await store.load_item("thr_of_alice", "msg_1", alice) == a_message()


@pytest.mark.parametrize("thread", ["absent", "foreign", "deleted"])
@async_test
async def test_R14_the_items_of_a_missing_thread_are_an_empty_page(
    store: ChatStore, alice: RequestContext, bob: RequestContext, thread: str
) -> None:
    if thread == "foreign":
        await fill(store, bob, 3)
    if thread == "deleted":
        await fill(store, alice, 3)
        await store.delete_thread("thr_1", alice)
    for order in ("asc", "desc"):
        for after in (None, "msg_0001", "msg_absent"):
            page = await store.load_thread_items("thr_1", after, 20, order, alice)
            assert page == Page()


OWNERLESS: list[Any] = [object(), {}, make_context(None), make_context("")]


class Attributes(SimpleNamespace):
    """A context that has attributes, and is of no class that the Store could know."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(**fields)


class Keys:
    """A context that has keys, without being a dict or any other Mapping."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]


def fields_of(context: object) -> dict[str, Any]:
    """Return the attributes, or the keys, of a context of whatever kind."""
    if isinstance(context, Mapping):
        return dict(cast("Mapping[str, Any]", context))
    return dict(vars(context))


def copy_as(kind: Callable[[dict[str, Any]], Any], context: object) -> Any:
    """Make a context of another kind, with the same attributes or keys all through."""
    fields = fields_of(context)
    for name, value in fields.items():
        if not isinstance(value, str) and value is not None:
            fields[name] = copy_as(kind, value)
    return kind(fields)


@only_own
@pytest.mark.parametrize("method", CALLS)
@async_test
async def test_R15_without_an_owner_every_method_raises_an_error_that_names_the_field(
    store: ChatStore, probe: Probe, method: str
) -> None:
    for context in OWNERLESS:
        with (
            probe.recorded(store) as sent,
            pytest.raises(OwnerError, match=f"'{OWNER}' .* missing or empty"),
        ):
            await CALLS[method](store, context)
        assert sent == []


@only_own
@pytest.mark.parametrize("kind", [Attributes, dict, Keys])
@async_test
async def test_R15_the_owner_is_read_from_attributes_or_keys_of_any_class(
    store: ChatStore,
    alice: RequestContext,
    bob: RequestContext,
    kind: Callable[[dict[str, Any]], Any],
) -> None:
    stand_in = copy_as(kind, alice)
    await save_one_of_each(store, stand_in)
    assert await see_everything(store, stand_in) == await see_everything(store, alice)
    assert await store.load_threads(20, None, "asc", bob) == Page()
    for change in WRITES.values():
        await change(store, stand_in)
    assert await store.load_threads(20, None, "asc", alice) == Page()


@only_own
@async_test
async def test_R15_owners_that_look_alike_are_different_owners(
    store: ChatStore, probe: Probe
) -> None:
    contexts = make_lookalikes()
    assert len(contexts) > 1
    assert len({owner_id(context) for context in contexts}) == len(contexts)
    for number, context in enumerate(contexts):
        await save_one_of_each(store, context, f"of owner {number}")
    for number, context in enumerate(contexts):
        text = f"of owner {number}"
        threads = await store.load_threads(20, None, "asc", context)
        assert threads.data == [a_thread(title=text)]
        items = await store.load_thread_items("thr_1", None, 20, "asc", context)
        assert items.data == [a_message(text=text)]
        attachment = await store.load_attachment("atc_1", context)
        assert attachment == an_attachment(name=text)
    for table in TABLES:
        assert count_rows(probe, table) == len(contexts)


@only_own
def test_R15_the_owner_of_a_context_cannot_be_changed(alice: RequestContext) -> None:
    if IS_FROZEN:  # a dict is not, and your own class need not be
        with pytest.raises((AttributeError, ValueError)):
            setattr(alice, "user_id", "bob")  # noqa: B010


@only_own
@pytest.mark.parametrize("owner", [True, False, 1.5, b"alice", ["alice"], object()])
def test_R15_other_types_are_not_owners(owner: object) -> None:
    with pytest.raises(OwnerError, match=type(owner).__name__):
        owner_id(make_context(owner))


@async_test
async def test_R16_two_threads_can_have_different_items_with_the_same_id(
    store: ChatStore, probe: Probe, alice: RequestContext
) -> None:
    items = {
        thread_id: a_message("msg_1", thread_id, text=f"in {thread_id}")
        for thread_id in ("thr_1", "thr_2")
    }
    for thread_id, item in items.items():
        await store.save_thread(a_thread(thread_id), alice)
        await store.add_thread_item(thread_id, item, alice)
    for thread_id, item in items.items():
        assert await store.load_item(thread_id, "msg_1", alice) == item
        page = await store.load_thread_items(thread_id, None, 20, "asc", alice)
        assert page == Page(data=[item])
    assert count_rows(probe, "chatkit_items") == 2

    changed = a_message("msg_1", "thr_1", text="changed")
    await store.save_item("thr_1", changed, alice)
    assert await store.load_item("thr_1", "msg_1", alice) == changed
    assert await store.load_item("thr_2", "msg_1", alice) == items["thr_2"]
    await store.delete_thread_item("thr_1", "msg_1", alice)
    assert await store.load_item("thr_2", "msg_1", alice) == items["thr_2"]
    await store.delete_thread("thr_1", alice)
    assert await store.load_item("thr_2", "msg_1", alice) == items["thr_2"]
