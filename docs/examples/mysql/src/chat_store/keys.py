"""Validates ids and owners, and reads the owner from a request context.

Ids are opaque to the Store: clients and OpenAI send their own, so the only condition is
that every database can store them byte for byte. `ids.py` generates new ids.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, cast
from uuid import UUID

from chatkit.store import StoreItemType, default_generate_id
from chatkit.types import ThreadItem

from .errors import OwnerError

MAX_KEY_LENGTH = 255

PLACEHOLDER_ID = "__fake_id__"
"""The id under which chat-completions models stream every message; never a key.

A copy of `agents.models.fake_id.FAKE_RESPONSES_ID`, because importing the Agents SDK
takes a second.
"""

_ITEM_KINDS: dict[str, StoreItemType] = {
    "client_tool_call": "tool_call",
    "task": "task",
    "workflow": "workflow",
    "sdk_hidden_context": "sdk_hidden_context",
}


def is_key(text: str) -> bool:
    """Return whether a text can be an id or an owner in every database.

    It must have 1 to 255 characters, without U+0000 and lone surrogates.
    """
    if not 1 <= len(text) <= MAX_KEY_LENGTH or "\0" in text:
        return False
    return text.isascii() or not any(
        "\ud800" <= character <= "\udfff" for character in text
    )


def show(text: str) -> str:
    """Return a client's text as errors and logs show it.

    Long or unprintable text is cut and escaped, so that it can neither forge a line nor
    fill the log.
    """
    if len(text) <= MAX_KEY_LENGTH and text.isprintable():
        return text
    return f"{text[:40]!r}{'…' if len(text) > 40 else ''}"


def require_key(text: str) -> str:
    """Return an id, or raise a ValueError if it cannot be a key."""
    if not is_key(text):
        raise ValueError(
            f"{show(text)} cannot be an id: it has {len(text)} characters, and must have 1 to "
            f"{MAX_KEY_LENGTH}, without U+0000 or lone surrogates"
        )
    return text


def kind_of(item: ThreadItem) -> StoreItemType:
    """Return the SDK's kind of id for an item: "message" for most types."""
    return _ITEM_KINDS.get(item.type, "message")


@cache
def prefix_of(kind: str) -> str:
    """Return the prefix of the SDK's ids of a kind, such as "thr" for "thread"."""
    try:
        return default_generate_id(cast(StoreItemType, kind)).rpartition("_")[0]
    except KeyError:  # a kind that the installed SDK does not know
        return kind


def read(context: object, path: str) -> object:
    """Follow a dotted path, such as "principal.user.id", through a request context.

    Each step is an attribute or a key. If one is missing, the value is None.
    """
    value = context
    for name in path.split("."):
        value = _step(value, name)
    return value


def read_owner(context: object, path: str) -> str:
    """Read the owner of a request's rows from its context; arguments as for `read`.

    Integers and UUIDs are converted to text.

    Raises:
        OwnerError: The owner is missing or empty (there is no shared default), of
            another type, or cannot be a key.
    """
    value = read(context, path)
    if value is None or value == "":
        problem = "is missing or empty. Set it for every request."
    elif isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        problem = f"is a {type(value).__name__}; it must be a str, an int or a UUID."
    elif not is_key(owner := str(value)):
        problem = (
            f"must have 1 to {MAX_KEY_LENGTH} characters, without U+0000 or lone "
            f"surrogates; it has {len(owner)}."
        )
    else:
        return owner
    where = f"{path!r} of the request context ({type(context).__name__})"
    raise OwnerError(f"No owner: {where} {problem}")


def _step(value: Any, name: str) -> object:
    if isinstance(value, Mapping):
        return cast(Mapping[str, object], value).get(name)
    with suppress(AttributeError):
        return getattr(value, name)
    with suppress(AttributeError, IndexError, KeyError, TypeError):
        return value[name]
    return None
