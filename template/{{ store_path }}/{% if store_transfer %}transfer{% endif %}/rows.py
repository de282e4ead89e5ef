# Extra "transfer": store_transfer=false deletes it, including your edits.
"""Export and import, in batches. Both continue if they are run again.

Stop the servers first: an export is not one transaction, and can miss concurrent
writes. Files are read and written on the event loop's thread, which suits a command
line, but not a server.
"""

import asyncio
import io
import os
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import IO, Any, TypeAlias

from .. import codec
from .. import statements as core
from ..database import Database
from ..migrate import require_current
from ..store import ChatStore
from . import statements
from .file import (
    FORMAT,
    Row,
    TransferError,
    parse,
    read_header,
    read_rows,
    shown,
    to_json,
    write_line,
)

OnProgress: TypeAlias = Callable[[int], None]
"""Called with the number of rows that are done."""

BATCH_ROWS = 50

_COLUMNS = ("owner", "thread", "id", "created_at", "newest_created_at", "position")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START: dict[str, Any] = {
    "kind": "thread",
    "owner": "",
    "thread": "",
    "id": "",
    "created_at": datetime.min.replace(tzinfo=UTC).isoformat(),
    "position": -1,
}


async def export_rows(
    store: ChatStore, file: IO[bytes], on_progress: OnProgress | None = None
) -> int:
    """Write all rows to a file, or the rest after an interrupted export.

    Args:
        store: The Store, open or closed.
        file: A pipe; or a file, open for reading and writing, that is empty or was left
            by an interrupted export. It is made readable by its owner only.
        on_progress: See `OnProgress`.

    Returns:
        The number of rows in the file.

    Raises:
        SchemaError: The tables do not fit this code.
        TransferError: The file is a complete export, or no export; or a row is damaged,
            and the file contains the rows before it.
    """
    async with store.connected() as database:
        await require_current(database)
        done, last = 0, None
        if file.readable() and file.seekable():  # not a pipe
            done, last = _read_back(file)
            _make_private(file)
        if last is None:
            last = _START
            write_line(file, {"kind": "export", "format": FORMAT})
        kinds = list(statements.EXPORT)
        for kind in kinds[kinds.index(last["kind"]) :]:
            statement = statements.EXPORT[kind]
            while rows := await database.read(statement, _place(kind, last)):
                for row in rows:
                    try:
                        last = _to_line(kind, row)
                        write_line(file, last)
                    except (OverflowError, ValueError) as error:
                        raise TransferError(
                            f"{kind.title()} {shown(row[2])} is damaged ({error}). "
                            "Repair or delete it, and run the export again to continue."
                        ) from None
                done += len(rows)
                if on_progress is not None:
                    on_progress(done)
            last = _START
        write_line(file, {"kind": "end", "rows": done})
        file.flush()
        return done


async def import_rows(
    store: ChatStore, file: IO[bytes], on_progress: OnProgress | None = None
) -> int:
    """Store the missing rows of an export, and read each one back.

    Nothing is overwritten: rows that already exist, as after an interrupted import,
    must have the same content.

    Args:
        store: The Store, open or closed.
        file: The export, from its beginning.
        on_progress: See `OnProgress`.

    Returns:
        The number of rows that were stored.

    Raises:
        SchemaError: The tables do not fit this code.
        TransferError: The file is not a complete export, or a row cannot be stored.
            Rows before the line that the message names may have been stored.
    """
    async with store.connected() as database:
        await require_current(database)
        read_header(file)
        done = stored = 0
        rows = read_rows(file)
        while batch := list(islice(rows, BATCH_ROWS)):
            if missing := await _missing(database, batch):
                await database.write(*(step for row in missing for step in _save(row)))
            if lost := await _missing(database, missing):
                raise TransferError(
                    f"{lost[0].name} was not stored: its thread does not exist, "
                    "or was deleted."
                )
            done, stored = done + len(batch), stored + len(missing)
            if on_progress is not None:
                on_progress(done)
        return stored


# --- export


def _read_back(file: IO[bytes]) -> tuple[int, dict[str, Any] | None]:
    """Count the rows of an unfinished export, and find the last, None if empty."""
    if not file.seek(0, io.SEEK_END):
        return 0, None
    file.seek(0)
    read_header(file)
    done, end, last = 0, file.tell(), b""
    for raw in file:
        if raw.endswith(b"\n"):  # else the export was interrupted here
            done, end, last = done + 1, end + len(raw), raw
    try:
        line = parse(last) if last else _START
        if line["kind"] == "end":
            raise TransferError("The file is a complete export. Use another file.")
        _place(line["kind"], line)
    except (KeyError, TypeError, ValueError):
        raise TransferError(f"Line {done + 1} is not a row of an export.") from None
    file.seek(end)
    file.truncate()
    return done, line


def _make_private(file: IO[bytes]) -> None:
    try:
        descriptor = file.fileno()
    except io.UnsupportedOperation:  # in memory
        return
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)


def _place(kind: str, line: dict[str, Any]) -> Sequence[object]:
    place = {**line, "created_at": datetime.fromisoformat(line["created_at"])}
    return (*(place[column] for column in statements.ORDER[kind]), BATCH_ROWS)


def _to_line(kind: str, row: tuple[Any, ...]) -> dict[str, Any]:
    *columns, payload = row
    line: dict[str, Any] = {"kind": kind, **dict(zip(_COLUMNS, columns, strict=True))}
    for name in ("created_at", "newest_created_at"):
        if line[name] is not None:
            line[name] = (_EPOCH + timedelta(microseconds=line[name])).isoformat()
    line["data"] = parse(codec.to_text(payload))
    return {name: value for name, value in line.items() if value is not None}


# --- import


async def _missing(database: Database, rows: list[Row]) -> list[Row]:
    """Return the rows that are not in the database; raise for those that differ."""
    found = await asyncio.gather(*(database.read(*_load(row)) for row in rows))
    for row, stored in zip(rows, found, strict=True):
        if stored and not _is_equal(row, stored[0][1]):
            raise TransferError(
                f"{row.name} is in the database with other content, or in the file "
                "twice. Nothing was overwritten."
            )
    return [row for row, stored in zip(rows, found, strict=True) if not stored]


def _is_equal(row: Row, payload: str) -> bool:
    try:
        return to_json(parse(codec.to_text(payload))) == row.text
    except ValueError:
        return False


def _load(row: Row) -> tuple[str, Sequence[object]]:
    if row.kind == "thread":
        return core.LOAD_THREAD, (row.owner, row.id)
    if row.kind == "item":
        return core.LOAD_ITEM, (row.owner, row.thread, row.id)
    return core.LOAD_ATTACHMENT, (row.owner, row.id)


def _save(row: Row) -> list[tuple[str, Sequence[object]]]:
    payload = codec.to_payload(row.text)
    if row.kind == "item":
        item = (row.id, row.created_at, payload, row.owner, row.thread)
        return [(core.SAVE_ITEM, item)]
    if row.kind == "attachment":
        attachment = (row.owner, row.id, row.created_at, payload)
        return [(core.SAVE_ATTACHMENT, attachment)]
    # A second save keeps the thread's position, and stores the later time (R10).
    times = filter(None, (row.created_at, row.newest_created_at))
    return [
        (core.SAVE_THREAD, (row.owner, row.id, time, payload, False)) for time in times
    ]
