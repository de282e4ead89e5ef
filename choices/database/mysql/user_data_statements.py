# Extra "user_data": store_user_data=false deletes it, including your edits.
"""The statements of this extra. Each function returns one with its parameters.

Times are microseconds since 1970 in UTC. Positions are compared column by column,
since the server does not use an index to compare rows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

Step: TypeAlias = tuple[str, Sequence[object]]

BATCH = 100

_COUNT = """
SELECT
    (SELECT COUNT(*) FROM chatkit_threads WHERE owner_id = ? AND deleted_at IS NULL),
    (SELECT COUNT(*) FROM chatkit_threads WHERE owner_id = ? AND deleted_at IS NOT NULL),
    (SELECT COUNT(*) FROM chatkit_items WHERE owner_id = ?),
    (SELECT COUNT(*) FROM chatkit_attachments WHERE owner_id = ?)
"""

_NEXT_OWNER = """
SELECT CONVERT(MIN(owner_id) USING utf8mb4) FROM (
    SELECT MIN(owner_id) AS owner_id FROM chatkit_threads WHERE owner_id > ?
    UNION ALL SELECT MIN(owner_id) FROM chatkit_attachments WHERE owner_id > ?
) AS following
"""

_THREADS = """
SELECT CONVERT(id USING utf8mb4), created_at, position, (
    SELECT COUNT(*) FROM chatkit_items AS item
    WHERE item.owner_id = thread.owner_id AND item.thread_id = thread.id
), (
    SELECT MAX(item.created_at) FROM chatkit_items AS item
    WHERE item.owner_id = thread.owner_id AND item.thread_id = thread.id
), data
FROM chatkit_threads AS thread FORCE INDEX (chatkit_threads_page)
WHERE owner_id = ? AND deleted_at IS NULL
    AND (created_at > ? OR (created_at = ? AND position > ?))
ORDER BY created_at, position LIMIT ?
"""

_ITEMS = """
SELECT CONVERT(id USING utf8mb4), created_at, position, data
FROM chatkit_items FORCE INDEX (chatkit_items_page)
WHERE owner_id = ? AND thread_id = ?
    AND (created_at > ? OR (created_at = ? AND position > ?))
ORDER BY created_at, position LIMIT ?
"""

_ATTACHMENTS = """
SELECT CONVERT(id USING utf8mb4), created_at, data FROM chatkit_attachments
WHERE owner_id = ? AND id > ? ORDER BY id LIMIT ?
"""

_DELETE_EMPTIED = """
DELETE FROM chatkit_threads
WHERE owner_id = ? AND deleted_at IS NOT NULL
    AND COALESCE(newest_created_at, created_at) < ?
"""

# A thread's last activity is the creation of its newest item, or its own creation. A
# subquery per thread prevents plans that read all items.
_IS_EXPIRED = """
created_at < ? AND COALESCE((
    SELECT item.created_at FROM chatkit_items AS item
    WHERE item.owner_id = thread.owner_id AND item.thread_id = thread.id
    ORDER BY item.created_at DESC, item.position DESC LIMIT 1
) < ?, true)
"""

_NEXT_THREADS = f"""
SELECT CONVERT(owner_id USING utf8mb4), CONVERT(id USING utf8mb4), {_IS_EXPIRED}
FROM chatkit_threads AS thread FORCE INDEX (PRIMARY)
WHERE (owner_id > ? OR (owner_id = ? AND id > ?)) AND deleted_at IS NULL
ORDER BY owner_id, id LIMIT ?
"""

# For BATCH keys: fewer are padded with the last one.
_IN_KEYS = " OR ".join(["(thread.owner_id = ? AND thread.id = ?)"] * BATCH)

_LOCK_OLD = f"""
SELECT 1 FROM chatkit_threads AS thread WHERE ({_IN_KEYS}) AND thread.created_at < ?
ORDER BY thread.owner_id, thread.id FOR UPDATE
"""

_DELETE_EXPIRED_ITEMS = f"""
DELETE item FROM chatkit_threads AS thread
JOIN chatkit_items AS item
    ON item.owner_id = thread.owner_id AND item.thread_id = thread.id
LEFT JOIN chatkit_items AS newer
    ON newer.owner_id = thread.owner_id AND newer.thread_id = thread.id
    AND newer.created_at >= ?
WHERE ({_IN_KEYS}) AND thread.created_at < ? AND newer.id IS NULL
"""

_DELETE_EXPIRED = f"""
DELETE thread FROM chatkit_threads AS thread
LEFT JOIN chatkit_items AS item
    ON item.owner_id = thread.owner_id AND item.thread_id = thread.id
WHERE ({_IN_KEYS}) AND thread.created_at < ? AND thread.deleted_at IS NULL
    AND item.id IS NULL
"""

_CLASHES = """
SELECT 'thread', CONVERT(mine.id USING utf8mb4)
FROM chatkit_threads AS mine JOIN chatkit_threads AS other ON other.id = mine.id
WHERE mine.owner_id = ? AND mine.deleted_at IS NULL
    AND other.owner_id = ? AND other.deleted_at IS NULL
UNION ALL
SELECT 'attachment', CONVERT(mine.id USING utf8mb4)
FROM chatkit_attachments AS mine JOIN chatkit_attachments AS other ON other.id = mine.id
WHERE mine.owner_id = ? AND other.owner_id = ?
LIMIT 1
"""

_DELETE_EMPTIED_TWINS = """
DELETE emptied FROM chatkit_threads AS emptied
JOIN chatkit_threads AS live ON live.id = emptied.id
WHERE live.owner_id = ? AND live.deleted_at IS NULL
    AND emptied.owner_id = ? AND emptied.deleted_at IS NOT NULL
"""

# The locks block concurrent inserts of items, which then find an emptied thread.
_COPY_THREADS = """
INSERT INTO chatkit_threads
    (owner_id, id, created_at, position, newest_created_at, data)
SELECT ?, id, created_at, position, newest_created_at, data FROM chatkit_threads
WHERE owner_id = ? AND deleted_at IS NULL
FOR UPDATE
"""

_MOVE_ITEMS = """
UPDATE chatkit_items SET owner_id = ?
WHERE owner_id = ? AND thread_id IN (
    SELECT id FROM chatkit_threads WHERE owner_id = ? AND deleted_at IS NULL
)
"""

_EMPTY_COPIED = """
UPDATE chatkit_threads AS mine JOIN chatkit_threads AS other ON other.id = mine.id
SET mine.deleted_at = ?, mine.data = NULL
WHERE mine.owner_id = ? AND mine.deleted_at IS NULL AND other.owner_id = ?
"""

_MOVE_ATTACHMENTS = """
UPDATE chatkit_attachments SET owner_id = ? WHERE owner_id = ?
"""


def count(owner: str) -> Step:
    """Count an owner's threads, emptied rows, items and attachments."""
    return _COUNT, (owner, owner, owner, owner)


def next_owner(last: str) -> Step:
    """Find the owner after `last`; NULL if there is none."""
    return _NEXT_OWNER, (last, last)


def threads(owner: str, created_at: datetime, position: int) -> Step:
    """Load threads: id, time, position, number of items, the last one's time, data."""
    return _THREADS, (owner, created_at, created_at, position, BATCH)


def items(owner: str, thread_id: str, created_at: datetime, position: int) -> Step:
    """Load a thread's items: id, time, position, data."""
    return _ITEMS, (owner, thread_id, created_at, created_at, position, BATCH)


def attachments(owner: str, last: str) -> Step:
    """Load attachments by id: id, time, data."""
    return _ATTACHMENTS, (owner, last, BATCH)


def delete_emptied(owner: str, created_before: datetime) -> Step:
    """Delete the rows of deleted threads that are old enough."""
    return _DELETE_EMPTIED, (owner, created_before)


def next_threads(owner: str, thread_id: str, limit: datetime) -> Step:
    """Find the threads after this one: owner, id, whether it is expired."""
    return _NEXT_THREADS, (limit, limit, owner, owner, thread_id, BATCH)


def delete_expired(keys: Sequence[tuple[str, str]], limit: datetime) -> list[Step]:
    """Delete threads and their items, if the threads are still expired."""
    padded = [*keys, *[keys[-1]] * (BATCH - len(keys))]
    params = [part for key in padded for part in key]
    # Locks the threads first, so that no item is added between the deletions.
    return [
        (_LOCK_OLD, (*params, limit)),
        (_DELETE_EXPIRED_ITEMS, (limit, *params, limit)),
        (_DELETE_EXPIRED, (*params, limit)),
    ]


def clashes(old: str, new: str) -> Step:
    """Find a row that both owners have: its kind and id."""
    return _CLASHES, (old, new, old, new)


def adopt(old: str, new: str, now: datetime) -> list[Step]:
    """Move one owner's rows to another, leaving emptied rows of the threads."""
    return [
        (_DELETE_EMPTIED_TWINS, (old, new)),
        (_COPY_THREADS, (new, old)),
        (_MOVE_ITEMS, (new, old, new)),
        (_EMPTY_COPIED, (now, old, new)),
        (_MOVE_ATTACHMENTS, (new, old)),
    ]
