"""Data: R26 to R30 of the Store's contract."""

import logging
import math
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from chat_store_database import Probe
from chat_store_samples import ITEM_TYPES, samples_of
from chat_store_tools import (
    SECRET,
    a_message,
    a_note,
    a_question,
    a_thread,
    a_tool_call,
    a_widget,
    an_attachment,
    async_test,
    count_rows,
    fill,
    stored_rows,
    walk,
)
from chat_store_under_test import ChatStore, RequestContext, UnreadableError
from chatkit.store import NotFoundError
from chatkit.types import (
    Attachment,
    FileAttachment,
    ImageAttachment,
    ThreadItem,
    ThreadMetadata,
)
from pydantic import BaseModel, TypeAdapter

Model: TypeAlias = ThreadMetadata | ThreadItem | Attachment

ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)


async def save(store: ChatStore, model: Model, context: RequestContext) -> None:
    """Save a thread, an attachment, or an item of thread thr_1."""
    if isinstance(model, ThreadMetadata):
        await store.save_thread(model, context)
    elif isinstance(model, (FileAttachment, ImageAttachment)):
        await store.save_attachment(model, context)
    else:
        await store.save_item("thr_1", model, context)


async def load(store: ChatStore, model: Model, context: RequestContext) -> Model:
    """Load what is stored under a model's id."""
    if isinstance(model, ThreadMetadata):
        return await store.load_thread(model.id, context)
    if isinstance(model, (FileAttachment, ImageAttachment)):
        return await store.load_attachment(model.id, context)
    return await store.load_item("thr_1", model.id, context)


def a_tagged_question(value: Any) -> ThreadItem:
    """Make a user's message whose tag carries any value."""
    tag = {"type": "input_tag", "id": "1", "text": "tag", "data": {"value": value}}
    return a_question("msg_1", content=[tag])


PLACES: dict[str, Callable[[Any], Model]] = {
    "hidden content": a_note,
    "tool arguments": lambda value: a_tool_call(arguments={"value": value}),
    "tool output": lambda value: a_tool_call(output=value),
    "tag data": a_tagged_question,
    "widget property": lambda value: a_widget({"type": "Custom", "property": value}),
    "thread metadata": lambda value: a_thread(metadata={"value": value}),
}
"""The fields that take any JSON value, each with a function that sets it."""
if "metadata" in FileAttachment.model_fields:  # since openai-chatkit 1.5.3
    PLACES["attachment metadata"] = lambda value: an_attachment(
        metadata={"value": value}
    )


@pytest.mark.parametrize("item_type", ITEM_TYPES)
@async_test
async def test_R26_every_item_type_of_the_installed_sdk_comes_back_equal(
    store: ChatStore, alice: RequestContext, item_type: type[ThreadItem]
) -> None:
    await store.save_thread(a_thread(), alice)
    samples = [
        sample.model_copy(update={"id": f"item_{number:02}", "thread_id": "thr_1"})
        for number, sample in enumerate(samples_of(item_type))
    ]
    assert samples
    for sample in samples:
        await store.add_thread_item("thr_1", sample, alice)
    expected = [ITEM.validate_json(sample.model_dump_json()) for sample in samples]
    assert {type(item) for item in expected} == {item_type}
    page = await store.load_thread_items("thr_1", None, 100, "asc", alice)
    # Only ids are asserted: pytest may take minutes to explain how two widgets differ.
    assert [item.id for item in page.data] == [item.id for item in expected]
    pairs = zip(page.data, expected, strict=True)
    assert [found.id for found, sample in pairs if found != sample] == []
    assert await store.load_item("thr_1", "item_00", alice) == expected[0]


class Order(BaseModel):
    """A model of the application's, as it may stand in a free-form field."""

    number: int
    lines: tuple[str, ...]


@pytest.mark.parametrize("place", PLACES)
@async_test
async def test_R26_tuples_and_models_in_free_form_fields_become_json(
    store: ChatStore, alice: RequestContext, place: str
) -> None:
    await store.save_thread(a_thread(), alice)
    model = PLACES[place]((1, ("a", Order(number=2, lines=("b", "c")))))
    await save(store, model, alice)
    plain = PLACES[place]([1, ["a", {"number": 2, "lines": ["b", "c"]}]])
    assert await load(store, model, alice) == plain


TEXTS = {
    "NUL": "a\0b\0",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x9f",
    "emoji": "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c \u0645\u0631\u062d\u0628\u0627",
    "composed and not": "\u00e9 e\u0301 \u212b \u00c5",
    "line ends": "a\r\nb\rc\nd\u2028e\u2029f\u0085g",
    "not characters": "\ufeffa\ufffe\uffff\U0010ffff\ufffd",
    "escapes": "\\u0000 \\ufffd \\x00 \\ \\\\ \" ' ` $1 %s ? :name {} {{}}",
    "SQL": "'); DROP TABLE chatkit_threads; --",
    "JSON": '{"NaN": [NaN, Infinity, null]}',
    "spaces": "  a \t ",
    "nothing": "",
    "1 MB": "0123456789abcd\0\U0001f600" * (2**20 // 16),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@async_test
async def test_R27_text_is_loaded_unchanged(
    store: ChatStore, alice: RequestContext, text: str
) -> None:
    models: list[Model] = [
        a_thread(title=text, metadata={text: text}),
        a_message(text=text),
        a_question(text=text),
        a_note({text: [text]}),
        an_attachment(name=text, metadata={text: text}),
    ]
    for model in models:
        await save(store, model, alice)
        assert await load(store, model, alice) == model


NUMBERS = [
    *(2**63 - 1, 2**63, 2**64, -(2**64), 2**70, 10**400, 10**4000 + 1),
    *(-1.5e300, 0.1, 1 / 3, 5e-324, 2.5e-308, 1.7976931348623157e308, -0.0),
    *(1e16, 1e22, 123456789012345680.0, 9007199254740993, 9007199254740993.0),
]


@pytest.mark.parametrize("place", PLACES)
@async_test
async def test_R27_numbers_are_loaded_with_full_precision(
    store: ChatStore, alice: RequestContext, place: str
) -> None:
    await store.save_thread(a_thread(), alice)
    model = PLACES[place](NUMBERS)
    await save(store, model, alice)
    loaded = await load(store, model, alice)
    assert loaded == model
    # 1 == 1.0 and 0.0 == -0.0, but their JSON differs.
    assert loaded.model_dump_json() == model.model_dump_json()


def in_itself() -> list[Any]:
    """Make a list that contains itself."""
    endless: list[Any] = []
    endless.append(endless)
    return endless


NOT_JSON = {
    "lone surrogate": "a\ud800b",
    "lone surrogate in a key": {"a\udfffb": 1},
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": [-math.inf],
    "object": object(),
    "bytes that are no text": b"\xff",
    "endless": in_itself(),
}


@pytest.mark.parametrize("place", PLACES)
@async_test
async def test_R28_a_value_that_is_not_json_is_refused_and_nothing_is_stored(
    store: ChatStore, alice: RequestContext, probe: Probe, place: str
) -> None:
    if place != "thread metadata":
        await store.save_thread(a_thread(), alice)
    before = stored_rows(probe)
    for name, value in NOT_JSON.items():
        print(name)  # seen if what follows fails
        model = PLACES[place]({"beside": SECRET, "value": value})
        with pytest.raises(ValueError, match=f"{model.id} cannot be stored") as caught:
            await save(store, model, alice)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert stored_rows(probe) == before


@async_test
async def test_R28_null_and_the_strings_nan_and_infinity_are_accepted(
    store: ChatStore, alice: RequestContext
) -> None:
    await store.save_thread(a_thread(), alice)
    note = a_note([None, "NaN", "Infinity", {"-Infinity": None}])
    await store.add_thread_item("thr_1", note, alice)
    assert await store.load_item("thr_1", note.id, alice) == note


def replace_payload(probe: Probe, table: str, row_id: str, payload: str) -> None:
    """Put another JSON text into a row."""
    changed = probe.execute(
        f"UPDATE {table} SET data = '{payload}' WHERE id = '{row_id}'"
    )
    assert changed == 1


def with_unknown_fields(model: Model) -> str:
    """Return a model's JSON with fields that the installed SDK does not know."""
    return '{"from_the_future": {"a": [1]}, ' + model.model_dump_json()[1:]


@async_test
async def test_R28_a_field_that_would_not_validate_is_refused(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    await store.save_thread(a_thread(), alice)
    item = a_message().model_copy(update={"content": SECRET})
    with pytest.raises(ValueError, match="Item msg_1 cannot be stored") as caught:
        await store.add_thread_item("thr_1", item, alice)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert count_rows(probe, "chatkit_items") == 0


@async_test
async def test_R28_an_integer_that_could_not_be_read_again_is_refused(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    # Python, and pydantic too, read no integers of more than 4,300 digits.
    await store.save_thread(a_thread(), alice)
    with pytest.raises(ValueError, match="Item hid_1 cannot be stored"):
        await store.add_thread_item("thr_1", a_note(10**4300), alice)
    assert count_rows(probe, "chatkit_items") == 0


@async_test
async def test_R29_fields_that_this_sdk_does_not_know_are_ignored(
    store: ChatStore, alice: RequestContext, probe: Probe
) -> None:
    thread, item, attachment = a_thread(), a_message(), an_attachment()
    for model, table in (
        (thread, "chatkit_threads"),
        (item, "chatkit_items"),
        (attachment, "chatkit_attachments"),
    ):
        await save(store, model, alice)
        replace_payload(probe, table, model.id, with_unknown_fields(model))
        assert await load(store, model, alice) == model
    assert (await store.load_threads(9, None, "asc", alice)).data == [thread]
    assert await walk(store, alice) == [item]


def from_the_future(probe: Probe, item_id: str) -> None:
    """Make an item one of a type that the installed SDK does not know."""
    payload = f'{{"type": "from_the_future", "id": "{item_id}", "text": "{SECRET}"}}'
    replace_payload(probe, "chatkit_items", item_id, payload)


def half_an_item(probe: Probe, item_id: str) -> None:
    """Take the fields away that an item must have."""
    payload = f'{{"type": "assistant_message", "content": "{SECRET}"}}'
    replace_payload(probe, "chatkit_items", item_id, payload)


def damage(probe: Probe, item_id: str) -> None:
    """Make an item's payload something that is no JSON object."""
    probe.damage_item(item_id)


DAMAGES = [from_the_future, half_an_item, damage]


@pytest.mark.parametrize("bad", [[0], [1, 2], [3, 4], [0, 1, 2, 3, 4]])
@async_test
async def test_R29_pages_skip_rows_that_do_not_validate(
    store: ChatStore, alice: RequestContext, probe: Probe, bad: list[int]
) -> None:
    ids = await fill(store, alice, 5)
    for number in bad:
        DAMAGES[number % 3](probe, ids[number])
    good = [item_id for number, item_id in enumerate(ids) if number not in bad]
    for limit in (1, 2, 5):
        for order, expected in (("asc", good), ("desc", good[::-1])):
            items = await walk(store, alice, limit=limit, order=order)
            assert [item.id for item in items] == expected


@pytest.mark.parametrize("make_bad", DAMAGES)
@async_test
async def test_R29_an_invalid_row_is_logged_by_id_without_its_content_and_kept(
    store: ChatStore,
    alice: RequestContext,
    probe: Probe,
    caplog: pytest.LogCaptureFixture,
    make_bad: Callable[[Probe, str], None],
) -> None:
    ids = await fill(store, alice, 2)
    make_bad(probe, ids[0])
    make_bad(probe, ids[1])
    before = stored_rows(probe)
    await store.load_thread_items("thr_1", None, 10, "asc", alice)
    errors = [it.getMessage() for it in caplog.records if it.levelno >= logging.ERROR]
    assert [item_id in error for item_id, error in zip(ids, errors)] == [True, True]
    with pytest.raises(UnreadableError, match=f"Item {ids[0]}") as caught:
        await store.load_item("thr_1", ids[0], alice)
    assert not isinstance(caught.value, NotFoundError)
    printed = "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text + printed
    await store.save_thread(a_thread(), alice)
    assert stored_rows(probe) == before

    repaired = a_message(ids[0], text="repaired")
    await store.save_item("thr_1", repaired, alice)
    await store.delete_thread_item("thr_1", ids[1], alice)
    assert await walk(store, alice) == [repaired]
    assert count_rows(probe, "chatkit_items") == 1


ATTACHMENTS: list[Attachment] = [
    an_attachment(
        thread_id="thr_1",
        metadata={"path": "uploads/1", "size": 2**40, "nested": [{"a": None}]},
        upload_descriptor={
            "url": "https://uploads.example.com/1?signature=abc",
            "method": "PUT",
            "headers": {"x-token": "1"},
        },
    ),
    ImageAttachment.model_validate(
        {
            **an_attachment(thread_id="thr_2").model_dump(exclude={"type"}),
            "preview_url": "https://example.com/cat.png",
        }
    ),
]


@pytest.mark.parametrize("attachment", ATTACHMENTS, ids=["file", "image"])
@async_test
async def test_R30_an_attachment_keeps_metadata_upload_descriptor_and_thread_id(
    store: ChatStore, alice: RequestContext, attachment: Attachment
) -> None:
    await store.save_attachment(attachment, alice)
    assert await store.load_attachment("atc_1", alice) == attachment


@async_test
async def test_R30_save_attachment_inserts_or_updates_the_owners_row_only(
    store: ChatStore, alice: RequestContext, bob: RequestContext, probe: Probe
) -> None:
    await store.save_attachment(ATTACHMENTS[0], bob)
    for attachment in ATTACHMENTS:
        await store.save_attachment(attachment, alice)
        assert await store.load_attachment("atc_1", alice) == attachment
    assert count_rows(probe, "chatkit_attachments") == 2
    await store.delete_attachment("atc_1", alice)
    assert await store.load_attachment("atc_1", bob) == ATTACHMENTS[0]
