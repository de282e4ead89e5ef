"""What may be a key, and what kinds of ids there are.

Ids are opaque to the Store: clients and OpenAI send their own, so only what every
database can keep byte for byte is asked of them (R11). How a *new* id looks is the
business of `ids.py`.
"""

from functools import cache
from typing import cast

from chatkit.store import StoreItemType, default_generate_id
from chatkit.types import ThreadItem

MAX_KEY_LENGTH = 255

PLACEHOLDER_ID = "__fake_id__"
"""`agents.models.fake_id.FAKE_RESPONSES_ID`, which stands for "no id" and is never a
key (R06).

It is written out here because importing the Agents SDK takes a second, and the command
line and the Store need nothing else of it.
"""


def is_key(text: str) -> bool:
    """Tell whether an id or an owner can be stored and found again exactly (R11).

    Args:
        text: The id or owner.

    Returns:
        True for 1 to 255 characters without U+0000 and without lone surrogates.
    """
    if not 1 <= len(text) <= MAX_KEY_LENGTH or "\0" in text:
        return False
    return text.isascii() or not any(
        "\ud800" <= character <= "\udfff" for character in text
    )


@cache
def prefix_of(kind: str) -> str:
    """Give the prefix that the installed SDK puts before ids of a kind.

    Args:
        kind: A `chatkit.store.StoreItemType`, such as "thread" or "message".

    Returns:
        Such as "thr" or "msg"; the kind itself where the SDK knows none.
    """
    try:
        return default_generate_id(cast(StoreItemType, kind)).rpartition("_")[0]
    except KeyError:
        return kind


def kind_of(item: ThreadItem) -> StoreItemType:
    """Give the kind of id that the SDK mints for an item of this type.

    Args:
        item: Any thread item. Widgets, images and types that are new here count as
            messages, as they do in the SDK.

    Returns:
        The kind to pass to `generate_item_id`.
    """
    return _KINDS.get(item.type, "message")


_KINDS: dict[str, StoreItemType] = {
    "client_tool_call": "tool_call",
    "task": "task",
    "workflow": "workflow",
    "sdk_hidden_context": "sdk_hidden_context",
}
