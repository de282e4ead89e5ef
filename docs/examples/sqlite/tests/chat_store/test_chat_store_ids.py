"""Ids of new rows: what holds in every format, beside `test_chat_store_id_format.py`."""

from chat_store_tools import (
    KINDS,
    a_message,
    a_thread,
    an_attachment,
    an_id,
    async_test,
)
from chat_store_under_test import ChatStore, RequestContext


@async_test
async def test_ids_of_every_kind_can_be_stored_and_found_again(
    store: ChatStore, alice: RequestContext
) -> None:
    thread = a_thread(an_id(store, "thread", alice))
    await store.save_thread(thread, alice)
    assert await store.load_thread(thread.id, alice) == thread
    attachment = an_attachment(an_id(store, "attachment", alice))
    await store.save_attachment(attachment, alice)
    assert await store.load_attachment(attachment.id, alice) == attachment
    for kind in KINDS:
        item = a_message(an_id(store, kind, alice), thread.id)
        await store.add_thread_item(thread.id, item, alice)
        assert await store.load_item(thread.id, item.id, alice) == item


def test_1000_ids_are_distinct(store: ChatStore, alice: RequestContext) -> None:
    count = 1000 // len(KINDS)
    ids = [an_id(store, kind, alice) for kind in KINDS for _ in range(count)]
    assert len(set(ids)) == len(ids)
