"""Creates request contexts for the tests of the chat store."""

from typing import Any

from chat_store_under_test import RequestContext

OWNER = "user_id"
IS_FROZEN = True


def make_context(owner: Any, request_id: str | None = None) -> RequestContext:
    """Return a context with an owner; with None or "", one without an owner."""
    return RequestContext(user_id=owner, request_id=request_id)


def make_lookalikes() -> list[RequestContext]:
    """Return contexts of different owners that are easy to confuse."""
    return [
        make_context(owner) for owner in ("a", "A", "a ", " a", "a:b", "ａ", "1", "01")
    ]
