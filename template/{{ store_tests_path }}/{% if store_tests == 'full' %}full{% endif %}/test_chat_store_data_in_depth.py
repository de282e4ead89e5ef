"""Data: R26 to R30 of the Store's contract, in depth.

This directory exists only if the template answer store_tests is "full".
"""

import itertools
import re
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from chat_store_database import Probe
from chat_store_tools import (
    SECRET,
    a_message,
    a_note,
    a_question,
    a_thread,
    an_attachment,
    async_test,
    stored_rows,
)
from chat_store_under_test import ChatStore, RequestContext, UnreadableError
from chatkit.types import (
    Page,
    Thread,
    ThreadItem,
    ThreadMetadata,
)
from pydantic import BaseModel, ConfigDict, PlainSerializer
from test_chat_store_data import (
    ATTACHMENTS,
    NOT_JSON,
    NUMBERS,
    PLACES,
    TEXTS,
    Model,
    load,
    replace_payload,
    save,
)


class Remark(BaseModel):
    """A model with a field that may be None."""

    text: str | None = None


@async_test
async def test_R26_none_in_a_free_form_field_becomes_null(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    note = a_note([None, {"text": None}, Remark()])
    await store.add_thread_item("thr_1", note, alice)
    plain = a_note([None, {"text": None}, {"text": None}])
    assert await store.load_item("thr_1", note.id, alice) == plain


class Opaque:
    """A value that only its serializer knows."""


class WithOpaque(BaseModel):
    """A model with a field that becomes text in JSON, and stays as it is otherwise."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    value: Annotated[Any, PlainSerializer(lambda value: "text", when_used="json")]


@async_test
async def test_R26_a_model_with_a_serializer_for_json_only_becomes_json(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    note = a_note([None, WithOpaque(value=Opaque())])
    await store.add_thread_item("thr_1", note, alice)
    plain = a_note([None, {"value": "text"}])
    assert await store.load_item("thr_1", note.id, alice) == plain


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    """Wrap a value so many times."""
    value: Any = "core"
    for _ in range(depth):
        value = wrap(value)
    return value


def in_list(value: Any) -> Any:
    """Wrap a value in a list."""
    return [value]


def in_dict(value: Any) -> Any:
    """Wrap a value in a dict."""
    return {"in": value}


def deepest(place: str, wrap: Callable[[Any], Any]) -> int:
    """Return the deepest nesting that pydantic's serializer writes in a place."""
    for depth in itertools.count(1):
        try:
            PLACES[place](nested(depth, wrap)).model_dump_json()
        except ValueError:
            return depth - 1
    raise AssertionError


@pytest.mark.parametrize("wrap", [in_list, in_dict])
@pytest.mark.parametrize("place", PLACES)
@async_test
async def test_R27_nesting_is_loaded_unchanged_up_to_the_serializers_limit(
    store: ChatStore, alice: RequestContext, place: str, wrap: Callable[[Any], Any]
) -> None:
    await store.save_thread(a_thread(), alice)
    limit = deepest(place, wrap)
    assert limit > 200
    for depth in (150, 190, 200, 210, *range(limit - 6, limit + 2)):
        model = PLACES[place](nested(depth, wrap))
        try:
            await save(store, model, alice)
        except ValueError:
            # A level or two may go to how the Store calls the serializer.
            assert depth > limit - 3
        else:
            assert await load(store, model, alice) == model


@async_test
async def test_R27_the_databases_json_functions_can_read_every_row(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread("thr_deleted"), alice)
    await store.delete_thread("thr_deleted", alice)
    hard = [list(TEXTS.values()), NUMBERS, dict.fromkeys(TEXTS.values())]
    thread = a_thread(metadata={"hard": hard, "deep": nested(200, in_list)})
    await store.save_thread(thread, alice)
    # Deeper than validate_json reads.
    items = [a_note(hard, "hid_1"), a_note(nested(210, in_dict), "hid_2")]
    for item in items:
        await store.add_thread_item("thr_1", item, alice)
        assert await store.load_item("thr_1", item.id, alice) == item
    await store.save_attachment(an_attachment(metadata={"hard": hard}), alice)
    assert probe.query_json() == ["atc_1", "hid_1", "hid_2", "thr_1"]


@pytest.mark.parametrize("place", PLACES)
@async_test
async def test_R28_a_row_that_exists_stays_as_it_was(
    store: ChatStore, alice: RequestContext, probe: Probe, place: str
) -> None:
    await store.save_thread(a_thread(), alice)
    await save(store, PLACES[place]("good"), alice)
    before = stored_rows(probe)
    for value in NOT_JSON.values():
        with pytest.raises(ValueError, match="cannot be stored"):
            await save(store, PLACES[place](value), alice)
        assert stored_rows(probe) == before


@pytest.mark.parametrize(
    "model",
    [
        a_thread(title="a\ud800b"),
        a_message(text="a\ud800b"),
        a_question(text="a\ud800b"),
        an_attachment(name="a\ud800b"),
    ],
    ids=["thread", "message", "question", "attachment"],
)
@async_test
async def test_R28_a_lone_surrogate_in_a_text_is_refused(
    store: ChatStore, alice: RequestContext, probe: Probe, model: Model
) -> None:
    await store.save_thread(a_thread(), alice)
    before = stored_rows(probe)
    with pytest.raises(ValueError, match=rf"\w+ {model.id} cannot be stored"):
        await save(store, model, alice)
    assert stored_rows(probe) == before


@pytest.mark.parametrize("place", PLACES)
@async_test
async def test_R28_nesting_that_is_too_deep_is_refused_by_name(
    store: ChatStore, alice: RequestContext, place: str
) -> None:
    await store.save_thread(a_thread(), alice)
    limit = deepest(place, in_list)
    refused = 0
    for depth in range(limit - 6, limit + 2):
        model = PLACES[place](nested(depth, in_list))
        try:
            await save(store, model, alice)
        except ValueError as error:
            assert re.search(rf"{model.id} cannot be stored", str(error))
            refused += 1
    assert refused > 0


@async_test
async def test_R28_the_items_of_a_thread_are_not_looked_at(
    store: ChatStore, alice: RequestContext
) -> None:
    items = Page[ThreadItem](data=[a_note(float("nan"))])
    thread = Thread(**a_thread().model_dump(), items=items)
    await store.save_thread(thread, alice)
    assert await store.load_thread("thr_1", alice) == a_thread()


@async_test
async def test_R29_threads_that_do_not_validate_are_left_out_and_named_too(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads = [a_thread(f"thr_{number}", title="saved") for number in range(4)]
    for thread in threads:
        await store.save_thread(thread, alice)
    for bad in ("thr_1", "thr_3"):
        replace_payload(probe, "chatkit_threads", bad, f'{{"title": "{SECRET}"}}')
    before = stored_rows(probe)
    for order, expected in (("asc", threads[::2]), ("desc", threads[2::-2])):
        found: list[ThreadMetadata] = []
        after: str | None = None
        while True:
            page = await store.load_threads(1, after, order, alice)
            found += page.data
            after = page.after
            if not page.has_more:
                break
        assert found == expected
    for bad in ("thr_1", "thr_3"):
        assert f"Thread {bad}" in caplog.text
        with pytest.raises(UnreadableError, match=f"Thread {bad}"):
            await store.load_thread(bad, alice)
    assert SECRET not in caplog.text
    assert stored_rows(probe) == before
    # What this Store has saved before is merged into the row, which cannot be done (R41).
    with pytest.raises(UnreadableError, match="Thread thr_1"):
        await store.save_thread(threads[1], alice)
    assert stored_rows(probe) == before
    await store.save_thread(a_thread("thr_1", title="saved"), alice)
    assert await store.load_thread("thr_1", alice) == threads[1]
    await store.delete_thread("thr_3", alice)
    page = await store.load_threads(9, None, "asc", alice)
    assert page.data == threads[:3]


@async_test
async def test_R29_an_attachment_that_does_not_validate_is_named_too(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_attachment(an_attachment(), alice)
    payload = f'{{"type": "from_the_future", "name": "{SECRET}"}}'
    replace_payload(probe, "chatkit_attachments", "atc_1", payload)
    with pytest.raises(UnreadableError, match="Attachment atc_1") as caught:
        await store.load_attachment("atc_1", alice)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    await store.save_attachment(an_attachment(), alice)
    assert await store.load_attachment("atc_1", alice) == an_attachment()


@async_test
async def test_R30_an_attachment_in_a_users_message_keeps_its_metadata(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    question = a_question(attachments=ATTACHMENTS)
    await store.add_thread_item("thr_1", question, alice)
    assert await store.load_item("thr_1", question.id, alice) == question


@async_test
async def test_R26_a_field_assigned_a_value_of_another_type_is_stored_as_json(
    store: ChatStore, alice: RequestContext
) -> None:
    # pydantic checks neither copies nor assignments, of which the SDK makes some.
    attachment = an_attachment(upload_descriptor={"url": "https://a/", "method": "PUT"})
    assert attachment.upload_descriptor is not None
    descriptor = attachment.upload_descriptor.model_copy(update={"url": "https://b/"})
    unchecked = attachment.model_copy(update={"upload_descriptor": descriptor})
    await store.save_attachment(unchecked, alice)
    expected = an_attachment(upload_descriptor={"url": "https://b/", "method": "PUT"})
    assert await store.load_attachment("atc_1", alice) == expected
