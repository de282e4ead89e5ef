"""Carries all rows to another database, through a file of JSON Lines.

The file has a line for each thread with a line for each of its items behind it, and one
for each attachment. An import writes them, in that order, into a database of any kind
that this package can be rendered for. The sort key travels beside the payload, since it
cannot be computed again from it (R17). Both work in pieces, whatever the size of the
database, and when they are run again, they go on where they were interrupted.

Stop the writers first: the rows are not read in one transaction, so what is written
meanwhile may be missing. The file is read and written on the event loop's thread, as
suits a command line, but not a server that is answering (R32).
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import IO, Annotated, Any, Literal, TypeAlias, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ValidationError

from . import codec, statements
from .database import Database
from .errors import DatabaseTimeoutError, TransferError
from .keys import is_key
from .migrate import require_current

Report: TypeAlias = Callable[[int, int], None]
"""Is told how many rows of the file there are so far, and how many there will be."""

_FORMAT = 1
_PIECE_ROWS, _PIECE_BYTES = 50, 2**20  # what is held in memory at a time, about
_EPOCH = datetime(1970, 1, 1, tzinfo=codec.UTC)
_START = (datetime.min.replace(tzinfo=codec.UTC), -1)


async def export_rows(
    database: Database, file: IO[bytes], report: Report | None = None
) -> Counter[str]:
    """Write all rows to a file, or those that an interrupted export has not written.

    Args:
        database: An open database; it is only read.
        file: Empty, or what an interrupted export has left; or a pipe.
        report: As above.

    Returns:
        How many rows of each kind ("thread", "item", "attachment") the file holds.

    Raises:
        SchemaError: The tables do not suit this code.
        TransferError: The file is a complete export, or none of ours; or a row is
            damaged. The file then holds what stood before that row.
    """
    await require_current(database)
    place = _read_back(file) if file.readable() and file.seekable() else _Place()
    total = await _count(database)
    if not place.has_header:
        _write(file, {"kind": "export", "format": _FORMAT, "rows": total})
    while rows := await _read_on(database, place):
        for row in rows:
            _write(file, row)
            place.pass_by(row)
        if report is not None:
            report(sum(place.counts.values()), total)
    _write(file, {"kind": "end", **place.counts})
    file.flush()
    return place.counts


async def import_rows(
    database: Database, file: IO[bytes], report: Report | None = None
) -> Counter[str]:
    """Store the rows of an export that are not there yet, and read each back.

    Nothing is overwritten: a row that is there already must be the same, as after an
    import that was interrupted.

    Args:
        database: An open database.
        file: The export, from its beginning.
        report: As above.

    Returns:
        How many rows of each kind the file holds, and how many of them were "there".

    Raises:
        SchemaError: The tables do not suit this code.
        TransferError: The file is no complete export, or a row cannot be stored; the
            message names the line. Rows before it are stored.
    """
    await require_current(database)
    total, rows = _read_header(file), _parse(file)
    is_empty = await _next_owner(database, "") is None
    counts: Counter[str] = Counter()
    for piece in _pieces(rows):
        there = [False] * len(piece) if is_empty else await _compare(database, piece)
        missing = [row for row, is_there in zip(piece, there) if not is_there]
        if missing:
            await database.write(*(step for row in missing for step in row.steps()))
        for row, is_there in zip(missing, await _compare(database, missing)):
            if not is_there:
                raise TransferError(
                    f"{row.name} was not stored: its thread is not in this database, or was "
                    "deleted from it."
                )
        counts.update(row.kind for row in piece)
        counts["there"] += sum(there)
        if report is not None:
            report(sum(counts.values()) - counts["there"], total)
    return counts


# --- what an export reads


@dataclass
class _Place:
    """How far an export has come: the last rows that are in the file."""

    has_header: bool = False
    owner: str = ""
    thread: str = ""
    thread_key: tuple[datetime, int] = _START
    item_key: tuple[datetime, int] = _START
    attachment: str = ""
    counts: Counter[str] = field(default_factory=Counter[str])

    def enter(self, owner: str) -> None:
        """Go before the first of an owner's rows."""
        self.owner, self.thread, self.attachment = owner, "", ""
        self.thread_key = self.item_key = _START

    def pass_by(self, row: dict[str, Any]) -> None:
        """Go behind a row of the file."""
        if row["owner"] != self.owner:
            self.enter(row["owner"])
        key = datetime.fromisoformat(row["created_at"]), row.get("position", -1)
        if row["kind"] == "thread":
            self.thread, self.thread_key, self.item_key = row["id"], key, _START
        elif row["kind"] == "item":
            self.item_key = key
        else:
            self.attachment = row["id"]
        self.counts[row["kind"]] += 1


async def _count(database: Database) -> int:
    try:
        [(total,)] = await database.read(statements.COUNT_ROWS)
    except DatabaseTimeoutError:  # only those who watch need it
        return 0
    return int(total)


async def _read_on(database: Database, place: _Place) -> list[dict[str, Any]]:
    owner: str | None = place.owner
    while owner is not None:
        for kind, statement, params in (
            ("item", statements.EXPORT_ITEMS, (*place.item_key, owner, place.thread)),
            ("thread", statements.EXPORT_THREADS, (*place.thread_key, owner)),
            ("attachment", statements.EXPORT_ATTACHMENTS, (place.attachment, owner)),
        ):
            if kind == "item" and not place.thread:
                continue
            # The items of a thread come before the next thread.
            limit = 1 if kind == "thread" else _PIECE_ROWS
            if rows := await database.read(statement, (*params, limit)):
                thread = place.thread if kind == "item" else None
                return [_line(kind, owner, thread, row) for row in rows]
        if (owner := await _next_owner(database, owner)) is not None:
            place.enter(owner)
    return []


async def _next_owner(database: Database, owner: str) -> str | None:
    found: str | None
    [(found,)] = await database.read(statements.NEXT_OWNER, (owner, owner))
    return found


def _line(
    kind: str, owner: str, thread: str | None, row: Sequence[Any]
) -> dict[str, Any]:
    row_id, created_at, position, newest_created_at, payload = row
    data = _parse_object(codec.to_text(payload))
    try:
        "".join((owner, row_id, _compact(data))).encode()
    except UnicodeEncodeError:
        data = None  # bytes that are no UTF-8
    if data is None:
        raise TransferError(
            f"{kind.title()} {row_id} is damaged. Repair or delete its row, then run the export "
            "again: it goes on from here."
        )
    line = {
        "kind": kind,
        "owner": owner,
        "thread": thread,
        "id": row_id,
        "created_at": _time(created_at),
        "newest_created_at": _time(newest_created_at),
        "position": position,  # where an interrupted export goes on
        "data": data,
    }
    return {name: value for name, value in line.items() if value is not None}


def _time(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


# --- what an import stores


def _check_key(text: str) -> str:
    if not is_key(text):
        raise ValueError("not a key")
    return text


def _check_data(data: dict[str, Any]) -> dict[str, Any]:
    _compact(data).encode()  # a lone surrogate is a ValueError (R28)
    return data


_Key: TypeAlias = Annotated[str, AfterValidator(_check_key)]
_Data: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_data)]


class _Row(BaseModel):
    """A thread, an item or an attachment, as a line of the file has it."""

    number: int
    kind: Literal["thread", "item", "attachment"]
    owner: _Key
    thread: _Key | None = None
    id: _Key
    created_at: AwareDatetime
    newest_created_at: AwareDatetime | None = None
    data: _Data

    @property
    def name(self) -> str:
        """What to call it in an error."""
        return f"{self.kind.title()} {self.id} (line {self.number})"

    @cached_property
    def text(self) -> str:
        """The payload as JSON."""
        return _compact(self.data)

    def lookup(self) -> tuple[str, Sequence[object]]:
        """Give the statement that loads it."""
        if self.kind == "thread":
            return statements.LOAD_THREAD, (self.owner, self.id)
        if self.kind == "item":
            return statements.LOAD_ITEM, (self.owner, self.thread, self.id)
        return statements.LOAD_ATTACHMENT, (self.owner, self.id)

    def steps(self) -> list[tuple[str, Sequence[object]]]:
        """Give the statements that store it."""
        payload = codec.to_payload(self.text)
        if self.kind == "item":
            params = (self.id, self.created_at, payload, self.owner, self.thread)
            return [(statements.SAVE_ITEM, params)]
        if self.kind == "attachment":
            place = (self.owner, self.id, self.created_at)
            return [(statements.SAVE_ATTACHMENT, (*place, payload))]
        # Saved a second time, a thread keeps its place, and remembers the later time.
        times = filter(None, (self.created_at, self.newest_created_at))
        return [
            (statements.SAVE_THREAD, (self.owner, self.id, time, payload, False))
            for time in times
        ]


async def _compare(database: Database, rows: list[_Row]) -> list[bool]:
    found = await asyncio.gather(*(database.read(*row.lookup()) for row in rows))
    for row, stored in zip(rows, found):
        if stored and _as_text(stored[0][1]) != row.text:
            raise TransferError(
                f"{row.name} is in this database already, with other content. Import into an "
                "empty database."
            )
    return [bool(stored) for stored in found]


def _as_text(payload: str) -> str:
    return _compact(_parse_object(codec.to_text(payload)))


def _pieces(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    piece: list[_Row] = []
    size = 0
    try:
        for row in rows:
            piece.append(row)
            size += len(row.text)
            if len(piece) == _PIECE_ROWS or size > _PIECE_BYTES:
                yield piece
                piece, size = [], 0
    except TransferError:
        yield piece  # what stands before the bad line
        raise
    yield piece


# --- the file


def _write(file: IO[bytes], line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _parse_object(text: str | bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _load(raw: bytes, number: int) -> dict[str, Any]:
    line = _parse_object(raw)
    if line is None:
        raise TransferError(f"Line {number} of the file is damaged.")
    return line


def _read_header(file: IO[bytes]) -> int:
    header = _parse_object(file.readline(1000)) or {}  # whatever the file is
    if header.get("kind") != "export":
        raise TransferError(
            "The file is not an export of a chat store. Name one that `export` has written."
        )
    if header.get("format") != _FORMAT:
        raise TransferError(
            f"The file has format {header.get('format')}, this code reads {_FORMAT}. Update it."
        )
    rows = header.get("rows")
    return rows if isinstance(rows, int) else 0


def _read_back(file: IO[bytes]) -> _Place:
    place = _Place()
    file.seek(0)
    if not file.read(1):
        return place
    file.seek(0)
    _read_header(file)
    place.has_header = True
    end = file.tell()
    for number, raw in enumerate(file, 2):
        if not raw.endswith(b"\n"):
            break  # the interruption came in the middle of it
        row = _load(raw, number)
        if row.get("kind") == "end":
            raise TransferError("The file is a complete export. Name another file.")
        try:
            place.pass_by(row)
        except (KeyError, TypeError, ValueError):
            raise TransferError(f"Line {number} of the file is damaged.") from None
        end += len(raw)
    file.seek(end)
    file.truncate()
    return place


def _parse(file: IO[bytes]) -> Iterator[_Row]:
    counts: Counter[str] = Counter()
    for number, raw in enumerate(file, 2):
        if not raw.endswith(b"\n"):
            break
        line = _load(raw, number)
        if line.get("kind") == "end":
            if line != {"kind": "end", **counts}:
                raise TransferError(
                    f"Lines of the file are missing: it has {dict(counts)}, but its last line, "
                    f"{number}, is {line}. What is in the file has been imported."
                )
            return
        try:
            row = _Row.model_validate({**line, "number": number})
        except ValidationError as error:
            wrong = sorted({str(detail["loc"][0]) for detail in error.errors()})
            raise TransferError(
                f"Line {number} of the file is not a row: {', '.join(wrong)}"
            ) from None
        counts[row.kind] += 1
        yield row
    raise TransferError(
        f"The export was interrupted after line {counts.total() + 1}. What is in the file has been "
        "imported. Run the export again, which completes the file, and then the import."
    )
