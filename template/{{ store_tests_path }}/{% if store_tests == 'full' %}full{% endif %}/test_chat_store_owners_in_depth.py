"""Owners: R12 to R16 of the Store's contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

from typing import Any
from uuid import UUID

import pytest
from chat_store_adapter import make_context, only_own
from chat_store_tools import (
    WRITES,
    a_message,
    a_thread,
    async_test,
    save_one_of_each,
)
from chat_store_under_test import ChatStore, OwnerError, RequestContext, owner_id
from chatkit.store import NotFoundError
from chatkit.types import Page
from test_chat_store_owners import fields_of


@async_test
async def test_R12_a_thread_that_one_owner_deleted_does_not_block_the_other(
    store: ChatStore, alice: RequestContext, bob: RequestContext
) -> None:
    await save_one_of_each(store, alice)
    await store.delete_thread("thr_1", alice)
    await save_one_of_each(store, bob)
    assert await store.load_thread("thr_1", bob) == a_thread(title="hello")
    assert await store.load_item("thr_1", "msg_1", bob) == a_message()
    with pytest.raises(NotFoundError):
        await store.load_thread("thr_1", alice)


@pytest.mark.parametrize("method", ["save_thread", "save_attachment"])
@async_test
async def test_R15_saving_without_an_owner_raises_an_error(
    store: ChatStore, method: str
) -> None:
    nobody = make_context(None)
    with pytest.raises(Exception):  # noqa: B017 - an adapter's Store may have its own
        await WRITES[method](store, nobody)


@only_own
@async_test
async def test_R15_a_context_that_lacks_a_field_is_never_another_owners(
    alice: RequestContext,
) -> None:
    fields = fields_of(alice)
    for name in fields:
        rest = {other: fields[other] for other in fields if other != name}
        lacking: list[Any] = [rest, {**rest, name: None}, {**rest, name: ""}]
        for context in lacking:
            try:
                owner = owner_id(context)
            except OwnerError:
                continue
            assert owner == owner_id(alice), name


@only_own
@pytest.mark.parametrize(
    ("owner", "other"),
    [
        (7, 8),
        (0, 1),
        (2**70, 2**70 + 1),
        (UUID(int=7), UUID(int=8)),
    ],
)
@async_test
async def test_R15_integers_and_uuids_are_owners_too(
    store: ChatStore, owner: object, other: object
) -> None:
    await save_one_of_each(store, make_context(owner))
    threads = await store.load_threads(20, None, "asc", make_context(owner))
    assert threads.data == [a_thread(title="hello")]
    assert str(owner) in owner_id(make_context(owner))
    assert await store.load_threads(20, None, "asc", make_context(other)) == Page()
