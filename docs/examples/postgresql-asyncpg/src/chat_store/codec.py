"""Converts ChatKit models to stored rows and back.

A payload is the SDK's model as JSON, written and read by the SDK's own types, so that
item types of later SDKs need no change here. Values that JSON cannot represent are
rejected before anything is stored. Errors name an unreadable row without its content.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NoReturn, TypeVar, cast

from chatkit.types import Attachment, ThreadItem, ThreadMetadata, WidgetItem
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from .errors import UnreadableError
from .keys import show

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SDK = f"openai-chatkit {version('openai-chatkit')}"  # read once: it opens a file

# Writes NaN and infinity as such, to detect them; by default, they become null. The
# adapters are of lists, since an adapter of a model would use the model's settings.
_CONFIG = ConfigDict(ser_json_inf_nan="constants", defer_build=True)

THREAD = TypeAdapter(list[ThreadMetadata], config=_CONFIG)
ITEM = TypeAdapter(list[ThreadItem], config=_CONFIG)
ATTACHMENT = TypeAdapter(list[Attachment], config=_CONFIG)

# U+0000 is stored as U+FFFD, which replaces it in HTML, too: no database's JSON
# functions can return U+0000 as text. A real U+FFFD is stored as its escape.
_NUL, _STAND_IN, _ESCAPED_STAND_IN = r"\u0000", "\ufffd", r"\ufffd"

# Python rejects integers of this length (sys.int_info.default_max_str_digits).
_TOO_LONG = b"0" * 4301
_ALL_DIGITS_0 = bytes.maketrans(b"0123456789", b"0000000000")

# Beyond 125 levels, pydantic's validation of unions practically never ends.
_MAX_WIDGET_DEPTH = 100


def prepare() -> None:
    """Build the adapters, which the import of this module defers."""
    for adapter in (THREAD, ITEM, ATTACHMENT):
        adapter.rebuild()


def dump(adapter: TypeAdapter[list[T]], value: T, name: str) -> str:
    """Return a model's payload.

    Args:
        adapter: THREAD, ITEM or ATTACHMENT. THREAD omits the `items` of a `Thread`,
            which the server also passes to `save_thread`.
        value: The model.
        name: Its name in errors, such as "Item msg_1".

    Raises:
        ValueError: JSON cannot represent the model (a lone surrogate, NaN, infinity,
            another object), or it could not be read again.
    """
    if isinstance(value, WidgetItem) and _is_too_deep(value.widget):
        raise ValueError(
            f"{name} cannot be stored: its widget is more than {_MAX_WIDGET_DEPTH} levels deep"
        )
    try:
        payload = _dump_readable(adapter, value)
    except (PydanticSerializationError, ValidationError, RecursionError) as error:
        raise ValueError(f"{name} cannot be stored: {_reason(error)}") from None
    stored = to_payload(payload[1:-1].decode())
    if len(payload) > len(_TOO_LONG) and _TOO_LONG in payload.translate(_ALL_DIGITS_0):
        try:
            load(adapter, stored, name)
        except UnreadableError:
            raise ValueError(
                f"{name} cannot be stored: an integer is too long"
            ) from None
    if _has_constants(payload):
        raise ValueError(f"{name} cannot be stored: NaN and infinity are not JSON")
    return stored


def require_size(payload: str, max_item_bytes: int, name: str) -> None:
    """Raise a ValueError if a payload is too large."""
    size = len(payload.encode())
    if size > max_item_bytes:
        raise ValueError(
            f"{name} cannot be stored: its JSON has {size} bytes, and max_item_bytes is "
            f"{max_item_bytes}"
        )


def load(adapter: TypeAdapter[list[T]], payload: str, name: str) -> T:
    """Read a model from its payload; fields unknown to the SDK are ignored.

    Raises:
        UnreadableError: The payload is damaged, or its type is unknown to the SDK.
    """
    text = f"[{to_text(payload)}]"
    try:
        [model] = adapter.validate_json(text)
        return model
    except ValidationError as error:
        kinds = {detail["type"] for detail in error.errors(include_input=False)}
    except ValueError:  # not exactly one value
        kinds = {"json_invalid"}
    if kinds == {"json_invalid"}:
        # validate_json reads about 200 levels of nesting, dump_json writes about 250.
        with suppress(ValueError, RecursionError):
            [model] = adapter.validate_python(json.loads(text))
            return model
    raise UnreadableError(
        f"{name} is stored, but {_SDK} cannot read it "
        f"({', '.join(sorted(kinds))}). Upgrade the SDK, or repair or delete the row."
    )


def load_all(
    adapter: TypeAdapter[list[T]], rows: Sequence[tuple[str, str]], what: str
) -> list[T]:
    """Read the models of a page; unreadable ones are logged and left out.

    `rows` are ids and payloads; `what` is their name in errors, such as "Item".
    """
    with suppress(ValidationError):
        text = ",".join([to_text(payload) for _, payload in rows])
        page = adapter.validate_json(f"[{text}]")
        if len(page) == len(rows):
            return page
    models: list[T] = []
    for row_id, payload in rows:
        try:
            models.append(load(adapter, payload, f"{what} {show(row_id)}"))
        except UnreadableError as error:
            logger.error("%s It is left out of the page.", error)
    return models


def to_payload(text: str) -> str:
    """Convert JSON text to the payload that is stored."""
    if _STAND_IN in text:
        text = text.replace(_STAND_IN, _ESCAPED_STAND_IN)
    if _NUL in text:
        # An escaped backslash does not begin an escape: set these aside.
        text = text.replace(r"\\", "\0").replace(_NUL, _STAND_IN).replace("\0", r"\\")
    return text


def to_text(payload: str) -> str:
    """Convert a payload to JSON text."""
    # The test takes a tenth of the time of a futile replacement.
    return payload.replace(_STAND_IN, _NUL) if _STAND_IN in payload else payload


def sort_key(created_at: datetime, name: str) -> datetime:
    """Convert a creation time, by which rows are ordered, to UTC.

    A naive time is the local time of this process, like the SDK's `datetime.now()`.

    Raises:
        ValueError: The time is outside the years 1 to 9999 in UTC.
    """
    try:
        return created_at.astimezone(UTC)
    except (OSError, OverflowError, ValueError):
        raise ValueError(
            f"{name} has a created_at that is out of range in UTC"
        ) from None


def _is_too_deep(widget: object) -> bool:
    level = [widget]
    for _ in range(_MAX_WIDGET_DEPTH):
        level = [child for component in level for child in _children(component)]
    return bool(level)


def _children(component: object) -> list[object]:
    # Most components have none, and pydantic's `getattr` is slow to fail.
    children: object = getattr(component, "__dict__", {}).get("children") or []
    return cast(list[object], children) if isinstance(children, list) else [children]


def _dump_readable(adapter: TypeAdapter[list[T]], value: T) -> bytes:
    try:
        return adapter.dump_json([value], warnings="error")
    except PydanticSerializationError:
        # A field may have been assigned a value of another type, which pydantic does
        # not check: a tuple for a list, a str for a URL. Its JSON must be readable.
        payload = adapter.dump_json([value], warnings="none")
    adapter.validate_json(payload)
    return payload


def _has_constants(payload: bytes) -> bool:
    if b"NaN" not in payload and b"Infinity" not in payload:
        return False
    try:
        json.loads(payload, parse_constant=_refuse)
    except ValueError:
        return True
    return False  # the words are in a string


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _reason(error: Exception) -> str:
    # The error's own message may quote the value.
    for known in ("surrogates not allowed", "depth exceeded", "unknown type"):
        if known in str(error):
            return f"it is not JSON ({known})"
    return "it is not JSON, or its fields are not valid"
