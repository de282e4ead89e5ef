"""Merges concurrent changes to a thread (R41).

The SDK loads a thread when a turn begins and saves the whole object when it ends;
meanwhile, the user may have renamed it. So a thread that was loaded or saved keeps a
snapshot of its state, and saving it again writes only the fields, and the keys of
`metadata`, that have changed since. If two callers change the same one, the later save
wins.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

from chatkit.types import Thread, ThreadMetadata

from . import codec, statements
from .database import Database
from .errors import DatabaseError
from .keys import show

# A row: the ChatStore's id, the owner, and the thread's id.
Key: TypeAlias = "tuple[UUID, str, str]"

# In the object's `__dict__`, as pydantic's cached properties: copied with the object,
# but neither compared nor serialized.
_SNAPSHOT = "_chat_store_snapshot"

# Each try lost to a concurrent update, or a trigger or policy rejects it.
_MAX_TRIES = 1000


@dataclass(frozen=True)
class Snapshot:
    """The state of a thread object when it was last loaded or saved."""

    key: Key  # of the row
    row: str  # the row's payload then
    own: str | None  # the object's payload then; None if just loaded from the row


def remember(thread: ThreadMetadata, snapshot: Snapshot) -> None:
    """Attach a snapshot to a thread, in place of the previous one."""
    vars(thread)[_SNAPSHOT] = snapshot


def recall(thread: ThreadMetadata, key: Key) -> Snapshot | None:
    """Return a thread's snapshot of a row, or None."""
    snapshot: Snapshot | None = vars(thread).get(_SNAPSHOT)
    return snapshot if snapshot and snapshot.key == key else None


async def save(
    database: Database,
    thread: ThreadMetadata,
    snapshot: Snapshot | None,
    key: Key,
    created_at: datetime,
    payload: str,
    max_item_bytes: int,
) -> bool:
    """Save a thread, and attach a snapshot of its new state.

    `snapshot` is its previous state, and `payload` the state to save: the object itself
    may be changed again meanwhile.

    Returns:
        False if the thread was deleted.

    Raises:
        ValueError: The row would exceed `max_item_bytes` with the changes of others.
    """
    _, owner, thread_id = key
    update = partial(_update, database, created_at, payload, max_item_bytes)
    if snapshot is not None:
        row = await update(snapshot)
        if row is None:
            return False
    else:
        new = ThreadMetadata(id=thread_id, created_at=thread.created_at)
        empty = codec.dump(codec.THREAD, new, f"Thread {show(thread_id)}")
        row = None
        if isinstance(thread, Thread) and payload != empty:
            # The SDK creates this object for a new thread, and saves an empty copy.
            row = await update(Snapshot(key, empty, empty))
        if row is None:
            params = (owner, thread_id, created_at, payload, payload == empty)
            if not await database.write((statements.SAVE_THREAD, params), owner=owner):
                return False
            row = payload
    remember(thread, Snapshot(key, row, payload))
    return True


async def _update(
    database: Database,
    created_at: datetime,
    payload: str,
    max_item_bytes: int,
    snapshot: Snapshot,
) -> str | None:
    # Returns the row's new payload, or None if there is no row.
    _, owner, thread_id = snapshot.key
    name = f"Thread {show(thread_id)}"
    row, own = snapshot.row, snapshot.own
    if own is None:
        own = codec.dump(codec.THREAD, codec.load(codec.THREAD, row, name), name)
    for _ in range(_MAX_TRIES):
        merged = merge(row, own, payload)
        codec.require_size(merged, max_item_bytes, name)
        # One round trip, unless a concurrent update came first.
        params = (merged, created_at, owner, thread_id, row)
        if await database.write((statements.UPDATE_THREAD, params), owner=owner):
            return merged
        rows = await database.read(
            statements.LOAD_THREAD, (owner, thread_id), owner=owner
        )
        if not rows:
            return None
        row = rows[0][1]
        codec.load(codec.THREAD, row, name)  # raises if it is unreadable
    raise DatabaseError(f"{name} could not be updated in {_MAX_TRIES} tries")


def merge(row: str, before: str, after: str) -> str:
    """Apply the difference between two states of an object to a row.

    Fields that only the row has, such as a newer SDK's, are kept.
    """
    if row == before:
        return after
    parts, old, new = _split(row), _split(before), _split(after)
    for part in {**old, **new}:  # in a stable order
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
