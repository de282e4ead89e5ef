"""What one caller may cost the others: R43 of the Store's contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

import asyncio
import time
from typing import Any

import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_tools import a_message, a_thread, async_test, finish, walk
from chat_store_under_test import ChatStore, RequestContext, codec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_chat_store_limits import PAGE, fill_in_sizes

SIZE = 100_000

PARTS = st.sampled_from(
    [*"0123456789\0\"'\\/\ufffd\ufeff\u2028[]{}:,.-+eE\n ", "NaN", r"\u0000"]
)
TEXTS = st.lists(PARTS | st.characters(exclude_categories=["Cs"]), min_size=1).map(
    "".join
)


def cost_of(text: str) -> float:
    """Return the CPU seconds that it takes to write and to read a text."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        thread = a_thread(title=text, metadata={text[:100]: text})
        payload = codec.dump(codec.THREAD, thread, "Thread")
        assert codec.load(codec.THREAD, payload, "Thread") == thread
        item = a_message(text=text)
        payload = codec.dump(codec.ITEM, item, "Item")
        assert codec.load_all(codec.ITEM, [("msg_1", payload)], "Item") == [item]
        best = min(best, time.process_time() - began)
    return best


@only_own
@async_test
async def test_R42_the_database_never_gives_much_more_than_a_page_may_hold(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill_in_sizes(store, alice)
    async with ChatStore(probe.url, max_page_bytes=PAGE) as small:
        database = small._database  # pyright: ignore[reportPrivateUsage]
        read = database.read
        given: list[int] = []  # in each answer of several rows

        async def read_and_measure(*args: Any, **options: Any) -> list[Any]:
            rows = await read(*args, **options)
            if len(rows) > 1:
                given.append(sum(len(payload or "") for _, payload in rows))
            return rows

        monkeypatch.setattr(database, "read", read_and_measure)
        await small.load_thread_items("thr_00", None, 20, "asc", alice)
        await small.load_thread_items("thr_00", "msg_03", 20, "asc", alice)
        await small.load_threads(20, None, "desc", alice)
        await small.load_threads(20, "thr_09", "desc", alice)
    assert len(given) == 4
    assert max(given) < PAGE


@only_own
@settings(max_examples=200, deadline=None, database=None)
@given(TEXTS)
def test_R43_no_text_that_is_made_up_costs_much_more_than_plain_text(part: str) -> None:
    plain = cost_of("word " * (SIZE // 5))
    text = (part * (SIZE // len(part)))[:SIZE]
    # A character may have four bytes, and its escape six.
    assert cost_of(text) < 25 * plain + 0.05


@async_test
async def test_R43_nesting_that_json_cannot_be_written_for_is_refused(
    store: ChatStore, alice: RequestContext
) -> None:
    nested: dict[str, Any] = {}
    for _ in range(10_000):
        nested = {"a": nested}
    with pytest.raises(ValueError):
        await finish(store.save_thread(a_thread(metadata=nested), alice))


@async_test
async def test_R44_an_owner_alone_gets_all_that_was_asked_for(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    items = [a_message(f"msg_{number}") for number in range(200)]
    adding = [store.add_thread_item("thr_1", item, alice) for item in items]
    await finish(asyncio.gather(*adding), 60)
    loading = [store.load_item("thr_1", item.id, alice) for item in items]
    assert await finish(asyncio.gather(*loading), 60) == items
    assert len(await walk(store, alice)) == 200
