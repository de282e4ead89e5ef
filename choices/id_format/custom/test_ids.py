"""Ids of new rows, as `{{ store_id_callable }}` makes them.

What that function makes is up to you; these tests see how the Store calls and checks it, with
stand-ins for it. That its ids can be stored and are distinct is seen in `test_chat_store_ids.py`.
"""

import re
from collections.abc import Callable

import pytest
from chat_store_tools import a_thread
from chat_store_under_test import ChatStore, RequestContext

from {{ store_module }} import ids
from {{ store_module }}.ids import IdError


def test_the_function_is_given_the_kind_the_thread_and_the_context(
    store: ChatStore, alice: RequestContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []

    def make_id(*arguments: object) -> str:
        calls.append(arguments)
        return f"id-{len(calls)}"

    monkeypatch.setattr(ids, "make_id", make_id)
    monkeypatch.setattr(ids, "_PATTERN", re.compile("id-[0-9]"), raising=False)
    thread = a_thread()
    assert store.generate_thread_id(alice) == "id-1"
    assert store.generate_item_id("tool_call", thread, alice) == "id-2"
    assert store.generate_attachment_id("text/plain", alice) == "id-3"
    assert calls == [
        ("thread", None, alice),
        ("tool_call", thread, alice),
        ("attachment", None, alice),
    ]


def always(made: object) -> Callable[..., object]:
    """Stand in for the function, with one answer."""

    def make_id(*arguments: object) -> object:
        return made

    return make_id


@pytest.mark.parametrize("made", [None, 7, "", "x" * 256, "a\0b", "a\ud800b"])
def test_what_cannot_be_an_id_is_an_error_that_shows_it(
    store: ChatStore,
    alice: RequestContext,
    monkeypatch: pytest.MonkeyPatch,
    made: object,
) -> None:
    monkeypatch.setattr(ids, "make_id", always(made))
    monkeypatch.setattr(ids, "_PATTERN", re.compile(".*"), raising=False)
    with pytest.raises(IdError) as caught:
        store.generate_thread_id(alice)
    function = "{{ store_id_callable }}"
    assert function in str(caught.value)
    assert repr(made) in str(caught.value)
{% if store_id_pattern %}


@pytest.mark.parametrize("made", ["thr_12", "thr_12345", "x thr_1234", "thr_1234\n"])
def test_a_violation_of_the_pattern_is_an_error_that_shows_both(
    store: ChatStore, alice: RequestContext, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    monkeypatch.setattr(ids, "make_id", always(made))
    monkeypatch.setattr(ids, "_PATTERN", re.compile("[a-z]+_[0-9]{4}"))
    with pytest.raises(IdError) as caught:
        store.generate_thread_id(alice)
    assert repr(made) in str(caught.value)
    assert "'[a-z]+_[0-9]{4}'" in str(caught.value)
{% endif %}
