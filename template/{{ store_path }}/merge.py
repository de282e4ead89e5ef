"""Merges what several callers change in the same thread at the same time (R41).

The SDK loads a thread when a turn begins and saves the whole object when it ends;
meanwhile the user may have renamed it. So a thread that was loaded or saved remembers
what it carried then, and saving it again changes in the row only what the caller has
changed since: each field, and each key of `metadata`. Where two changed the same, the
later save wins.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from chatkit.types import Thread, ThreadMetadata

from . import codec, statements
from .database import Database

Place: TypeAlias = "tuple[UUID, str, str]"

# Beside the fields of the object, where pydantic also keeps cached properties: it is
# copied with the object, but neither compared nor serialized, and goes when it goes.
_MEMORY = "_chat_store_memory"


@dataclass(frozen=True)
class Memory:
    """What a thread carried when it was last loaded or saved.

    Attributes:
        place: The row's: which ChatStore, whose thread, and its id.
        row: The payload of the row then.
        carried: The payload of the object then; None if it is what the row reads as.
    """

    place: Place
    row: str
    carried: str | None


def remember(thread: ThreadMetadata, memory: Memory) -> None:
    """Let a thread remember what it carries now."""
    vars(thread)[_MEMORY] = memory


def recall(thread: ThreadMetadata, place: Place) -> Memory | None:
    """Return what a thread remembers of the row at a place, or None."""
    memory: Memory | None = vars(thread).get(_MEMORY)
    return memory if memory and memory.place == place else None


async def save(
    database: Database,
    thread: ThreadMetadata,
    memory: Memory | None,
    place: Place,
    created_at: datetime,
    payload: str,
) -> bool:
    """Save a thread, and let it remember what it carries.

    Args:
        database: Where the row is.
        thread: The thread; what it carries may have changed since the call.
        memory: What the thread remembers of this row.
        place: Where the row is.
        created_at: When the thread was made.
        payload: What the thread carried when it was to be saved.

    Returns:
        False if the thread was deleted.
    """
    _, owner, thread_id = place
    if memory is not None:
        row = await _update(database, memory, created_at, payload)
        if row is None:
            return False
    else:
        new = ThreadMetadata(id=thread_id, created_at=thread.created_at)
        bare = codec.dump(codec.THREAD, new, f"Thread {thread_id}")
        row = None
        if isinstance(thread, Thread) and payload != bare:
            # The SDK makes this object for a new thread, and saves a bare copy of it.
            made = Memory(place, bare, bare)
            row = await _update(database, made, created_at, payload)
        if row is None:
            params = (owner, thread_id, created_at, payload, payload == bare)
            if not await database.write((statements.SAVE_THREAD, params)):
                return False
            row = payload
    remember(thread, Memory(place, row, payload))
    return True


async def _update(
    database: Database, memory: Memory, created_at: datetime, payload: str
) -> str | None:
    # Returns what the row is then, or None where there is none.
    _, owner, thread_id = memory.place
    name = f"Thread {thread_id}"
    row, carried = memory.row, memory.carried
    if carried is None:
        carried = codec.dump(codec.THREAD, codec.load(codec.THREAD, row, name), name)
    while True:
        merged = merge(row, carried, payload)
        # One round trip, unless somebody was faster.
        params = (merged, created_at, owner, thread_id, row)
        if await database.write((statements.UPDATE_THREAD, params)):
            return merged
        rows = await database.read(statements.LOAD_THREAD, (owner, thread_id))
        if not rows:
            return None
        row = rows[0][1]
        codec.load(codec.THREAD, row, name)  # raises where it cannot be read


def merge(row: str, before: str, after: str) -> str:
    """Change in a row what differs between two states of an object.

    Fields that only the row has, such as a newer SDK's, stay as they are.
    """
    if row == before:
        return after
    parts, old, new = _split(row), _split(before), _split(after)
    for part in {**old, **new}:  # in a certain order
        if old.get(part) != new.get(part):
            if part in new:
                parts[part] = new[part]
            else:
                parts.pop(part, None)
    return _join(parts)


def _split(payload: str) -> dict[tuple[str, ...], str]:
    # Values are compared as JSON, where 1, 1.0 and true differ.
    fields: dict[str, Any] = json.loads(codec.to_text(payload))
    metadata: dict[str, Any] = fields.pop("metadata", {})
    return {
        **{(field,): json.dumps(value) for field, value in fields.items()},
        **{("metadata", key): json.dumps(value) for key, value in metadata.items()},
    }


def _join(parts: dict[tuple[str, ...], str]) -> str:
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for (*parent, name), value in parts.items():
        (metadata if parent else fields)[name] = json.loads(value)
    fields["metadata"] = metadata
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return codec.to_payload(text)
