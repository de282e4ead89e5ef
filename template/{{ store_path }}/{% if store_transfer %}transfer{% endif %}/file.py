# Extra "transfer": store_transfer=false deletes it, including your edits.
"""The file format: JSON Lines in UTF-8, with one line for each row.

    {"kind":"export","format":1}
    {"kind":"thread","owner":"alice","id":"thr_1","created_at":"…","data":{…}}
    {"kind":"item","owner":"alice","thread":"thr_1","id":"msg_1",…}
    {"kind":"end","rows":2}

`data` is the SDK's model. `created_at` is the sort key, which can differ from the time
in `data`, since a later save does not change it (R17).
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import IO, Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from .. import codec
from ..errors import ChatStoreError
from ..keys import PLACEHOLDER_ID, is_key

FORMAT = 1

_ADAPTERS: dict[str, TypeAdapter[list[Any]]] = {
    "thread": codec.THREAD,
    "item": codec.ITEM,
    "attachment": codec.ATTACHMENT,
}


class TransferError(ChatStoreError):
    """A file or a row cannot be exported or imported."""


def _check_key(text: str) -> str:
    if not is_key(text):
        raise ValueError("must have 1 to 255 characters, without U+0000")
    return text


def _parse_time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be a time in ISO 8601") from None
    if time.tzinfo is None:
        raise ValueError("must have an offset from UTC, such as +00:00")
    return codec.sort_key(time, "the row")


class Row(BaseModel):
    """A thread, item or attachment, validated as for a save."""

    model_config = ConfigDict(extra="forbid", strict=True)

    line: int
    kind: Literal["thread", "item", "attachment"]
    owner: Annotated[str, AfterValidator(_check_key)]
    thread: Annotated[str, AfterValidator(_check_key)] | None = None
    id: Annotated[str, AfterValidator(_check_key)]
    created_at: Annotated[datetime, BeforeValidator(_parse_time)]
    newest_created_at: Annotated[datetime, BeforeValidator(_parse_time)] | None = None
    position: int | None = None  # for continuing an export
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The row's name in errors."""
        return f"Line {self.line}: {self.kind} {shown(self.id)}"

    @cached_property
    def text(self) -> str:
        """The data as JSON text."""
        return to_json(self.data)

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        if (self.kind == "item") != (self.thread is not None):
            raise ValueError("an item needs a thread, other rows must have none")
        if self.data.get("id") != self.id:
            raise ValueError("the id in data must be the id of the row")
        if self.kind == "item" and self.id == PLACEHOLDER_ID:
            raise ValueError("the id is a placeholder; give the item a new one")
        _ = self.text  # fails for invalid JSON, even in fields that the SDK ignores
        adapter = _ADAPTERS[self.kind]
        try:
            [model] = adapter.validate_python([self.data])
        except ValidationError as error:
            detail = error.errors(include_input=False)[0]
            # Two parts are the SDK's names. Further ones can be keys in a user's data.
            field = ".".join(("data", *map(str, detail["loc"][1:3])))
            raise ValueError(
                f"the installed SDK cannot read {field} ({detail['type']})"
            ) from None
        codec.dump(adapter, model, "the row")
        return self


def shown(name: str) -> str:
    """Return a name that is safe to print on a terminal."""
    return repr(name if len(name) <= 60 else f"{name[:60]}…")


def to_json(data: Any) -> str:
    """Return JSON text; raise ValueError if the data is not valid JSON or UTF-8."""
    try:
        text = json.dumps(
            data, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    text.encode()
    return text


def parse(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object; raise ValueError if it is invalid."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # including integers of more than 4,300 digits
        raise ValueError("is not JSON that Python can parse") from None
    if isinstance(value, dict):
        return cast(dict[str, Any], value)
    raise ValueError("is not a JSON object")


def write_line(file: IO[bytes], line: dict[str, Any]) -> None:
    """Write a line; if `to_json` raises ValueError, nothing is written."""
    file.write(f"{to_json(line)}\n".encode())


def read_header(file: IO[bytes]) -> None:
    """Read the first line, and check that the file is an export."""
    raw = file.readline(1000)  # limited, since it may be any file
    try:
        header = parse(raw) if raw.endswith(b"\n") else {}
    except ValueError:
        header = {}
    if header.get("kind") != "export":
        raise TransferError("The file is not an export of a chat store.")
    if header.get("format") != FORMAT:
        raise TransferError(f"The file is not of format {FORMAT}, as required.")


def read_rows(file: IO[bytes]) -> Iterator[Row]:
    """Read and validate the rows of a complete export, after its first line."""
    number, is_complete = 1, False
    for number, raw in enumerate(file, 2):
        if not raw.endswith(b"\n"):
            break
        if is_complete:
            raise TransferError(f"Line {number} follows the end of the export.")
        try:
            line = parse(raw)
        except ValueError as error:
            raise TransferError(f"Line {number} {error}.") from None
        if line.get("kind") == "end":
            if line.get("rows") != number - 2:
                raise TransferError(
                    f"Line {number} ends the export, but its number of rows is not "
                    f"the {number - 2} rows before it."
                )
            is_complete = True
            continue
        try:
            row = Row.model_validate({**line, "line": number})
        except ValidationError as error:
            detail = error.errors(include_input=False)[0]
            field = f", {shown(str(detail['loc'][0]))}" if detail["loc"] else ""
            reason = detail["msg"].removeprefix("Value error, ")
            raise TransferError(f"Line {number}{field}: {reason}.") from None
        yield row
    if not is_complete:
        raise TransferError(
            f"The file is truncated at line {number}. If the export was interrupted, "
            "run it again to complete the file."
        )
