"""Rows to ChatKit models and back.

A payload is the SDK model as JSON, written and read by the SDK's own unions, so that an
item type which a later SDK adds needs no change here (R26). What JSON cannot hold is
refused before anything is stored (R28), and what cannot be read back is named without
showing it (R29, R39).
"""

import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from typing import Any, NoReturn, TypeVar

from chatkit.types import Attachment, ThreadItem, ThreadMetadata
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from .errors import UnreadableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# U+0000 is stored as U+FFFD, which stands for it in HTML and Markdown too, and read back
# as itself: no database's own JSON functions give it as text (R27). A real U+FFFD is stored
# as its escape.
_NUL, _STAND_IN, _REAL_STAND_IN = r"\u0000", "\ufffd", r"\ufffd"
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")

# Read once, here: it opens a file (R32).
_SDK = f"openai-chatkit {version('openai-chatkit')}"

UTC = timezone(timedelta(0))  # datetime.UTC, which Python 3.10 does not have yet

THREAD: TypeAdapter[ThreadMetadata] = TypeAdapter(ThreadMetadata)
# Built by `prepare`: that takes a third as long as to import all of this package.
ITEM: TypeAdapter[ThreadItem] = TypeAdapter(
    ThreadItem, config=ConfigDict(defer_build=True)
)
ATTACHMENT: TypeAdapter[Attachment] = TypeAdapter(Attachment)


def prepare() -> None:
    """Build what was left out at import, so that the first call need not."""
    ITEM.rebuild()


def dump(adapter: TypeAdapter[T], value: T, name: str) -> str:
    """Write a model as the JSON text that is stored.

    Args:
        adapter: THREAD, ITEM or ATTACHMENT. THREAD leaves out the `items` of a
            `Thread`, which the server passes to `save_thread` too (R03).
        value: The model; it is not changed.
        name: What to call it in an error, such as "Item msg_1".

    Returns:
        The JSON text.

    Raises:
        ValueError: The model holds what JSON cannot (a lone surrogate, NaN, infinity,
            an object that is not JSON), or would not validate when it is read (R28).
    """
    try:
        payload = _dump_readable(adapter, value)
        lossy = b"null" in payload and _has_non_finite(adapter, value)
    except (PydanticSerializationError, ValidationError, RecursionError) as error:
        raise ValueError(f"{name} cannot be stored: {_reason(error)}") from None
    if lossy:
        raise ValueError(f"{name} cannot be stored: NaN and infinity are not JSON")
    if _may_have_long_integer(payload) and not _is_readable(adapter, payload):
        raise ValueError(f"{name} cannot be stored: an integer is too long")
    return to_payload(payload.decode())


def load(adapter: TypeAdapter[T], payload: str, name: str) -> T:
    """Read a model from its stored JSON text.

    Args:
        adapter: As for `dump`.
        payload: The JSON text.
        name: As for `dump`.

    Returns:
        The model; fields that this SDK does not know are ignored (R29).

    Raises:
        UnreadableError: The text is damaged, or of a type that this SDK does not know.
    """
    text = to_text(payload)
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        kinds = {detail["type"] for detail in error.errors(include_input=False)}
    if kinds == {"json_invalid"}:
        # validate_json reads about 200 levels of nesting, dump_json writes about 250
        # (R27).
        try:
            return adapter.validate_python(json.loads(text))
        except (ValueError, RecursionError):
            pass
    _unreadable(name, kinds)


def load_all(
    adapter: TypeAdapter[T], rows: Sequence[tuple[str, str]], what: str
) -> list[T]:
    """Read the models of a page; one that cannot be read is logged and left out (R29).

    Args:
        adapter: As for `dump`.
        rows: The id and the JSON text of each model.
        what: What they are, such as "Item".

    Returns:
        The models.
    """
    parse = adapter.validator.validate_json
    with suppress(ValidationError):
        # Nearly always. To call `load` for each row would take as long as two more rows.
        return [parse(to_text(payload)) for _, payload in rows]
    models: list[T] = []
    for row_id, payload in rows:
        try:
            models.append(load(adapter, payload, f"{what} {row_id}"))
        except UnreadableError as error:
            logger.error("%s It is left out of the page.", error)
    return models


def to_payload(text: str) -> str:
    """Turn JSON text into the payload that stands for it in the database (R27)."""
    if _STAND_IN in text:
        text = text.replace(_STAND_IN, _REAL_STAND_IN)
    if _NUL not in text:
        return text
    # Escape by escape, since an escaped backslash may stand before a plain "u0000".
    return _ESCAPE.sub(lambda found: _STAND_IN if found[0] == _NUL else found[0], text)


def to_text(payload: str) -> str:
    """Turn a payload back into JSON text."""
    # Where there is none, to look for it takes a tenth of the time to replace it.
    return payload.replace(_STAND_IN, _NUL) if _STAND_IN in payload else payload


def sort_key(created_at: datetime, name: str) -> datetime:
    """Turn a model's creation time into the instant that orders rows (R25).

    Args:
        created_at: Naive times are local times of this process: the SDK uses
            `datetime.now()`.
        name: As for `dump`.

    Returns:
        The same instant, aware, in UTC.

    Raises:
        ValueError: The instant lies outside the years 1 to 9999 in UTC.
    """
    try:
        return created_at.astimezone(UTC)
    except (OSError, OverflowError, ValueError):
        raise ValueError(
            f"{name} has a created_at that is out of range in UTC"
        ) from None


def _dump_readable(adapter: TypeAdapter[T], value: T) -> bytes:
    try:
        return adapter.dump_json(value, warnings="error")
    except PydanticSerializationError:
        # A field may have been assigned a value of another type, which pydantic does
        # not check. It is stored if its JSON reads back all the same: a tuple for a
        # list, a str for a URL.
        payload = adapter.dump_json(value, warnings="none")
    adapter.validate_json(payload)
    return payload


def _is_readable(adapter: TypeAdapter[T], payload: bytes) -> bool:
    try:
        load(adapter, payload.decode(), "")
    except UnreadableError:
        return False
    return True


def _may_have_long_integer(payload: bytes) -> bool:
    # So many digits in a row cover four places in a row of those that are looked at first,
    # since the whole of a large payload takes long to look through.
    return bool(
        re.search(rb"[0-9]{4}", payload[999::1000])
        and re.search(rb"[0-9]{4301}", payload)
    )


def _has_non_finite(adapter: TypeAdapter[T], value: T) -> bool:
    # The SDK's serializer turns NaN into null without a word, so a payload with a null
    # in it is written once more in a way that keeps them apart.
    plain = to_json(
        adapter.dump_python(value, warnings="none"),
        inf_nan_mode="constants",
        fallback=_nothing,  # what only a serializer for JSON knows
    )
    if b"NaN" not in plain and b"Infinity" not in plain:
        return False
    try:
        json.loads(plain, parse_constant=_refuse)
    except ValueError:
        return True
    return False  # the words stand in a text


def _nothing(value: Any) -> None:
    return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _reason(error: Exception) -> str:
    # The error's own message may quote the value (R39).
    for known in ("surrogates not allowed", "depth exceeded", "unknown type"):
        if known in str(error):
            return f"it is not JSON ({known})"
    return "it is not JSON, or its fields are not valid"


def _unreadable(name: str, kinds: set[str]) -> NoReturn:
    raise UnreadableError(
        f"{name} is stored, but {_SDK} cannot read it "
        f"({', '.join(sorted(kinds))}). Upgrade the SDK, or repair or delete the row."
    )
