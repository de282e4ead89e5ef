# Extra "user_data": store_user_data=false deletes it, including your edits.
"""The statements of this extra. Each function returns one with its parameters.

Times are microseconds since 1970 in UTC. Parameters have numbers, as some are repeated.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

Step: TypeAlias = tuple[str, Sequence[object]]

BATCH = 100

_COUNT = """
SELECT
    (SELECT count(*) FROM chatkit_threads WHERE owner_id = ?1 AND deleted_at IS NULL),
    (SELECT count(*) FROM chatkit_threads WHERE owner_id = ?1 AND deleted_at IS NOT NULL),
    (SELECT count(*) FROM chatkit_items WHERE owner_id = ?1),
    (SELECT count(*) FROM chatkit_attachments WHERE owner_id = ?1)
"""

_NEXT_OWNER = """
SELECT min(owner_id) FROM (
    SELECT min(owner_id) AS owner_id FROM chatkit_threads WHERE owner_id > ?1
    UNION ALL SELECT min(owner_id) FROM chatkit_attachments WHERE owner_id > ?1
) AS following
"""

_THREADS = """
SELECT id, created_at, position, (
    SELECT count(*) FROM chatkit_items AS item
    WHERE item.owner_id = thread.owner_id AND item.thread_id = thread.id
), (
    SELECT max(item.created_at)
    FROM chatkit_items AS item
    WHERE item.owner_id = thread.owner_id AND item.thread_id = thread.id
), data
FROM chatkit_threads AS thread
WHERE owner_id = ?1 AND deleted_at IS NULL AND (created_at, position) > (?2, ?3)
ORDER BY created_at, position LIMIT ?4
"""

_ITEMS = """
SELECT id, created_at, position, data
FROM chatkit_items
WHERE owner_id = ?1 AND thread_id = ?2 AND (created_at, position) > (?3, ?4)
ORDER BY created_at, position LIMIT ?5
"""

_ATTACHMENTS = """
SELECT id, created_at, data
FROM chatkit_attachments WHERE owner_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3
"""

_DELETE_EMPTIED = """
DELETE FROM chatkit_threads
WHERE owner_id = ?1 AND deleted_at IS NOT NULL
    AND coalesce(newest_created_at, created_at) < ?2
"""

# A thread's last activity is the creation of its newest item, or its own creation.
_IS_EXPIRED = """
created_at < ?3 AND coalesce((
    SELECT item.created_at FROM chatkit_items AS item
    WHERE item.owner_id = thread.owner_id AND item.thread_id = thread.id
    ORDER BY item.created_at DESC, item.position DESC LIMIT 1
) < ?3, true)
"""

_NEXT_THREADS = f"""
SELECT owner_id, id, {_IS_EXPIRED} FROM chatkit_threads AS thread
WHERE (owner_id, id) > (?1, ?2) AND deleted_at IS NULL
ORDER BY owner_id, id LIMIT ?4
"""

# Also deletes the threads' items (ON DELETE CASCADE).
_DELETE_EXPIRED = f"""
DELETE FROM chatkit_threads AS thread
WHERE owner_id = ?1 AND id = ?2 AND deleted_at IS NULL AND {_IS_EXPIRED}
"""

_CLASHES = """
SELECT 'thread', id FROM chatkit_threads AS mine
WHERE owner_id = ?1 AND deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM chatkit_threads AS other
    WHERE other.owner_id = ?2 AND other.id = mine.id AND other.deleted_at IS NULL
)
UNION ALL
SELECT 'attachment', id FROM chatkit_attachments AS mine
WHERE owner_id = ?1 AND EXISTS (
    SELECT 1 FROM chatkit_attachments AS other
    WHERE other.owner_id = ?2 AND other.id = mine.id
)
LIMIT 1
"""

_DELETE_EMPTIED_TWINS = """
DELETE FROM chatkit_threads
WHERE owner_id = ?2 AND deleted_at IS NOT NULL AND id IN (
    SELECT id FROM chatkit_threads WHERE owner_id = ?1 AND deleted_at IS NULL
)
"""

# If the new owner has threads with the same time, the moved ones follow them.
_COPY_THREADS = """
INSERT INTO chatkit_threads
    (owner_id, id, created_at, position, newest_created_at, data)
SELECT ?2, id, created_at, position + (
    SELECT coalesce(max(tied.position) + 1, 0) FROM chatkit_threads AS tied
    WHERE tied.owner_id = ?2 AND tied.created_at = old.created_at
), newest_created_at, data
FROM chatkit_threads AS old
WHERE owner_id = ?1 AND deleted_at IS NULL
"""

_MOVE_ITEMS = """
UPDATE chatkit_items SET owner_id = ?2
WHERE owner_id = ?1 AND thread_id IN (
    SELECT id FROM chatkit_threads WHERE owner_id = ?2 AND deleted_at IS NULL
)
"""

_EMPTY_COPIED = """
UPDATE chatkit_threads SET deleted_at = ?3, data = NULL
WHERE owner_id = ?1 AND deleted_at IS NULL AND id IN (
    SELECT id FROM chatkit_threads WHERE owner_id = ?2
)
"""

_MOVE_ATTACHMENTS = """
UPDATE chatkit_attachments SET owner_id = ?2 WHERE owner_id = ?1
"""


{% include "choices/database/user_data_steps.py" %}


def delete_expired(keys: Sequence[tuple[str, str]], limit: datetime) -> list[Step]:
    """Delete threads and their items, if the threads are still expired."""
    return [(_DELETE_EXPIRED, (*key, limit)) for key in keys]
