# Extra "user_data": store_user_data=false deletes it, including your edits.
"""Exports one owner's data, as JSON Lines and as readable Markdown."""

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from chatkit.types import (
    AssistantMessageItem,
    Attachment,
    ClientToolCallItem,
    UserMessageItem,
)

from .. import codec
from ..errors import UnreadableError
from ..store import ChatStore
from .rows import (
    Counts,
    Row,
    Thread,
    attachments_of,
    connected,
    count_in,
    items_of,
    threads_of,
)

ROWS, READABLE = "data.jsonl", "conversations.md"


async def export(store: ChatStore, owner: str, directory: str | Path) -> Counts:
    """Write an owner's data to two new files, `data.jsonl` and `conversations.md`.

    The first has each row as a line of JSON, the second the messages in Markdown. The
    files of attachments are not included. Concurrent changes in the database may be
    missing. The files are written on the event loop's thread.

    Args:
        store: The Store.
        owner: The owner.
        directory: The output directory. It is created if it is missing. The files and
            the new directory are private to the current user.

    Returns:
        The number of rows that the owner has.

    Raises:
        FileExistsError: One of the files already exists.
        ValueError: The owner is invalid.
    """
    directory = Path(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    targets = [directory / name for name in (ROWS, READABLE)]
    for target in targets:
        if target.exists():
            raise FileExistsError(f"{target} exists. Use another directory.")
    # Files are renamed when they are complete.
    parts = [target.with_suffix(f"{target.suffix}.part") for target in targets]
    with _open_private(parts[0]) as rows, _open_private(parts[1]) as readable:
        counts = await _write(store, owner, rows, readable)
    for part, target in zip(parts, targets, strict=True):
        part.rename(target)
    return counts


async def _write(
    store: ChatStore, owner: str, rows: TextIO, readable: TextIO
) -> Counts:
    async with connected(store, owner) as database:
        counts = await count_in(database, owner)
        readable.write(f"# Conversations\n\nExported on {_shown(datetime.now(UTC))}.\n")
        async for thread in threads_of(database, owner):
            rows.write(_to_line("thread", thread))
            readable.writelines(_head(thread))
            async for item in items_of(database, owner, thread.id):
                rows.write(_to_line("item", item, thread=thread.id))
                readable.writelines(_message(item))
        readable.write("\n## Files\n\n")
        async for attachment in attachments_of(database, owner):
            rows.write(_to_line("attachment", attachment))
            readable.write(_file(attachment))
        return counts


def _open_private(path: Path) -> TextIO:
    path.unlink(missing_ok=True)  # of an interrupted export
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    return open(
        os.open(path, flags, 0o600),
        "w",
        encoding="utf-8",
        errors="backslashreplace",  # a damaged row may contain invalid text
        newline="\n",
    )


def _to_line(kind: str, row: Thread | Row, **more: str) -> str:
    text = codec.to_text(row.data)
    data: Any = text
    with suppress(ValueError, RecursionError):  # a damaged row is exported as text
        data = json.loads(text)
    line = {
        "kind": kind,
        **more,
        "id": row.id,
        "created_at": row.created_at.isoformat(),
    }
    return f"{json.dumps({**line, 'data': data}, ensure_ascii=True)}\n"


# --- Markdown


def _head(thread: Thread) -> Iterable[str]:
    title = "A conversation that cannot be read"
    with suppress(UnreadableError):
        title = codec.load(codec.THREAD, thread.data, "").title or "Without a title"
    yield f"\n## {_escaped(title)}\n\n"
    yield f"{_shown(thread.created_at)}, {_escaped(thread.id)}\n"


def _message(row: Row) -> Iterable[str]:
    who, text, files = _content(row)
    if not who:
        return
    yield f"\n**{who}**, {_shown(row.created_at)}\n"
    if text:
        yield "\n"
    for line in text.splitlines():
        yield f"> {_without_tags(line)}".rstrip() + "\n"
    for file in files:
        yield f"\n{_describe(file)}\n"


def _content(row: Row) -> tuple[str, str, list[Attachment]]:
    # Returns the speaker, text and files; the speaker is empty for technical items.
    try:
        item = codec.load(codec.ITEM, row.data, "")
    except UnreadableError:
        return f"A message that cannot be read; it is in {ROWS}", "", []
    match item:
        case UserMessageItem():
            text = "\n".join(part.text for part in item.content)
            return "You", text, item.attachments
        case AssistantMessageItem():
            return "Assistant", "\n".join(part.text for part in item.content), []
        case ClientToolCallItem():
            return f"Action: {_escaped(item.name)}", "", []
        case _:
            copied: str | None = getattr(item, "copy_text", None)  # of a widget
            is_technical = "hidden" in item.type or item.type == "end_of_turn"
            who = "" if is_technical else item.type.replace("_", " ").capitalize()
            return who, copied or "", []


def _file(row: Row) -> str:
    try:
        attachment = codec.load(codec.ATTACHMENT, row.data, "")
    except UnreadableError:
        return f"- A file that cannot be read; it is in {ROWS}\n"
    return f"- {_describe(attachment)}, {_shown(row.created_at)}\n"


def _describe(attachment: Attachment) -> str:
    name, kind = _escaped(attachment.name), _escaped(attachment.mime_type)
    return f"File: {name} ({kind}), {_escaped(attachment.id)}"


def _escaped(text: str) -> str:
    # Joins the lines, and escapes what Markdown would interpret.
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _without_tags(line: str) -> str:
    # Messages may contain Markdown, but HTML in them must not run when it is displayed.
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
