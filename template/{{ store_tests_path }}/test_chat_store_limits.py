"""What one caller may cost the others: R42 to R44 of the Store's contract."""

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import product
from subprocess import TimeoutExpired
from typing import Any

import pytest
from chat_store_adapter import only_own
from chat_store_database import Probe
from chat_store_tools import (
    a_message,
    a_thread,
    a_tool_call,
    a_widget,
    an_attachment,
    async_test,
    finish,
    start_python,
)
from chat_store_under_test import ChatStore, RequestContext
from chatkit.types import Page, ThreadItem, ThreadMetadata

# --- R42: the size of a row, and of a page

SIZES = [10, 5_000, 5_000, 5_000, 50_000, 10, 10, 50_000, 50_000, 9_000, 500]
PAGE = 12_000


async def fill_in_sizes(
    store: ChatStore, context: RequestContext, letter: str = "x"
) -> list[str]:
    """Save a thread and an item for each size in bytes; return the numbers of their ids."""
    numbers = [f"{number:02}" for number in range(len(SIZES))]
    for number, size in zip(numbers, SIZES):
        text = letter * (size // len(letter.encode()))
        await store.save_thread(a_thread(f"thr_{number}", title=text), context)
        item = a_message(f"msg_{number}", "thr_00", text)
        await store.add_thread_item("thr_00", item, context)
    return numbers


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
@async_test
async def test_R42_pages_are_cut_to_max_page_bytes_and_no_row_is_skipped(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    caplog: pytest.LogCaptureFixture,
    letter: str,
) -> None:
    numbers = await fill_in_sizes(store, alice, letter)
    async with ChatStore(probe.url, max_page_bytes=PAGE) as small:

        async def page(what: str, after: str | None, order: str) -> Page[Any]:
            if what == "threads":
                return await small.load_threads(4, after, order, alice)
            return await small.load_thread_items("thr_00", after, 4, order, alice)

        for what, order in product(("items", "threads"), ("asc", "desc")):
            found: list[str] = []
            one: Page[Any] = Page(has_more=True)
            while one.has_more:
                one = await page(what, one.after, order)
                sizes = [SIZES[int(row.id[-2:])] for row in one.data]
                assert 0 < sum(sizes) < PAGE or len(sizes) == 1
                found += [row.id[-2:] for row in one.data]
            assert found == (numbers if order == "asc" else numbers[::-1]), what
    cuts = [it for it in caplog.records if "max_page_bytes" in it.getMessage()]
    assert cuts
    assert {record.levelno for record in cuts} == {logging.WARNING}


@pytest.mark.parametrize("text", ["x" * 1_000, "é" * 500])
@async_test
async def test_R42_a_row_that_is_too_large_is_refused_without_a_statement(
    store: ChatStore, alice: RequestContext, probe: Probe, text: str
) -> None:
    await store.save_thread(a_thread(), alice)
    async with ChatStore(probe.url, max_item_bytes=1_000) as small:
        with probe.recorded(small) as sent:
            for call in (
                small.save_thread(a_thread(title=text), alice),
                small.add_thread_item("thr_1", a_message(text=text), alice),
                small.save_item("thr_1", a_message(text=text), alice),
                small.save_attachment(an_attachment(name=text), alice),
            ):
                with pytest.raises(ValueError, match=r"max_item_bytes\b.*1000"):
                    await call
        assert sent == []
        await small.add_thread_item("thr_1", a_message(text="x" * 500), alice)


@async_test
async def test_R42_a_row_that_several_callers_change_is_not_too_large(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    async with ChatStore(probe.url, max_item_bytes=1_000) as small:
        one, other = [await small.load_thread("thr_1", alice) for _ in range(2)]
        one.metadata["one"] = other.metadata["other"] = "x" * 500
        await small.save_thread(one, alice)
        with pytest.raises(ValueError, match=r"max_item_bytes\b.*1000"):
            await small.save_thread(other, alice)
        assert await small.load_thread("thr_1", alice) == one


# --- R43: no content costs much more than plain text

SIZE = 200_000
HOSTILE = {
    "digits": ("9" * 4_300 + " ") * (SIZE // 4_301),
    "quotes behind a NUL": "\0" + '"' * SIZE,
    "backslashes": "\\" * SIZE + "\0",
    "NULs": "\0" * SIZE,
    "stand-ins": "\ufffd" * SIZE,
    "escapes": r"\u0000" * (SIZE // 6),
    "brackets": "[" * SIZE,
    "words of JSON": "NaN Infinity " * (SIZE // 13),
    "four bytes": "\U0001f600" * (SIZE // 4),
}


HOLDERS: dict[str, Callable[[str], ThreadMetadata | ThreadItem]] = {
    "thread": lambda text: a_thread(title=text, metadata={"text": text}),
    "message": lambda text: a_message(text=text),
    "widget": lambda text: a_widget({"type": "Text", "value": text}),
    "tool call": lambda text: a_tool_call(output={"text": [text]}, status="completed"),
}


async def cost_of(
    store: ChatStore, context: RequestContext, holder: str, text: str
) -> float:
    """Return the CPU seconds that a text takes, in and out."""
    best = float("inf")
    for _ in range(3):
        model = HOLDERS[holder](text)
        began = time.process_time()
        if isinstance(model, ThreadMetadata):
            await store.save_thread(model, context)
            await store.load_threads(1, None, "desc", context)
        else:
            await store.add_thread_item("thr_1", model, context)
            await store.load_thread_items("thr_1", None, 1, "desc", context)
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("holder", HOLDERS)
@async_test
async def test_R43_no_text_takes_much_longer_than_plain_text_of_the_same_size(
    store: ChatStore, alice: RequestContext, holder: str
) -> None:
    await store.save_thread(a_thread(), alice)
    plain = await cost_of(store, alice, holder, "word " * (SIZE // 5))
    # An escape is six bytes, and each is searched several times.
    for name, text in HOSTILE.items():
        assert await cost_of(store, alice, holder, text) < 25 * plain + 0.05, name


DEEP_WIDGET = """
import warnings
from datetime import datetime

warnings.simplefilter("ignore")  # named components are deprecated

from chatkit.types import WidgetItem
from chatkit.widgets import Box, Card, Text

from chat_store_under_test import codec

inner = Text(value="deep")
for _ in range(130):
    inner = Box(children=[inner])
widget = Card(children=[inner])
item = WidgetItem(id="wig_1", thread_id="thr_1", created_at=datetime.now(), widget=widget)
try:
    codec.dump(codec.ITEM, item, "Item wig_1")
except ValueError as error:
    print(error)
"""


@only_own
def test_R43_a_widget_that_is_nested_too_deeply_is_refused_immediately() -> None:
    process = start_python(DEEP_WIDGET)
    try:
        printed, errors = process.communicate(timeout=20)
    except TimeoutExpired:
        process.kill()
        raise AssertionError("The widget is tried without end.") from None
    assert "Item wig_1 cannot be stored" in printed, errors


# --- R44: one owner's calls do not block the others'


@only_own
@pytest.mark.parametrize(("method", "count"), [("read", 600), ("write", 2_000)])
@async_test
async def test_R44_a_call_does_not_wait_for_all_calls_of_another_owner(
    store: ChatStore,
    alice: RequestContext,
    bob: RequestContext,
    method: str,
    count: int,
) -> None:
    for context in (alice, bob):
        await store.save_thread(a_thread(), context)
    for number in range(50):
        item = a_message(f"hid_{number}", text="x" * 2_000)
        await store.add_thread_item("thr_1", item, alice)
    ended = 0

    async def flood(number: int) -> None:
        nonlocal ended
        if method == "read":
            await store.load_thread_items("thr_1", None, 50, "asc", alice)
        else:
            item = a_message(f"msg_{number}")
            await store.add_thread_item("thr_1", item, alice)
        ended += 1

    calls = [asyncio.ensure_future(flood(number)) for number in range(count)]
    await asyncio.sleep(0)
    await finish(store.load_thread("thr_1", bob))
    assert ended < count / 2  # on SQLite, 64 writes share a commit
    await finish(asyncio.gather(*calls), 60)
