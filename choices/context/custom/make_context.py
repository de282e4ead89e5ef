"""Creates request contexts for the tests of the chat store."""

from typing import Any, cast

from chat_store_under_test import RequestContext

OWNER = "{{ store_context_owner }}"
IS_FROZEN = False


class StandIn:
    """Stands in for a context or one of its attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def make_context(owner: Any, request_id: str | None = None) -> RequestContext:
    """Return a context with an owner; with None or "", one without an owner.

    It is a stand-in with the attributes that the Store reads, since only your code can
    create a real one.
    """
    first, *rest = OWNER.split(".")
    value = owner
    for name in reversed(rest):
        value = StandIn(**{name: value})
    context = StandIn(**{first: value, "request_id": request_id})
    return cast(RequestContext, context)


def make_lookalikes() -> list[RequestContext]:
    """Return contexts of different owners that are easy to confuse."""
    return [
        make_context(owner) for owner in ("a", "A", "a ", " a", "a:b", "ａ", "1", "01")
    ]
