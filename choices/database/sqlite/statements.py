"""Every SQL statement of the Store, for SQLite, with its reason.

The owner comes first in every key and condition, so that no statement can reach another
owner's rows (R12), and the ownership of an item is proved by the thread's row itself
(R13). Parameters stand in the order that `store.py` gives them. `created_at` and
`deleted_at` are microseconds since 1970 in UTC; `position` counts the rows that were
inserted for one instant, and so breaks ties (R17); nobody else writes meanwhile.
"""

LOAD_THREAD = """
SELECT id, data FROM chatkit_threads
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL
"""

# The order and the owner are those of the first insert (R04). A deleted thread leaves an
# emptied row, so that a stream which still runs cannot bring the thread back: the row
# accepts only a thread that is newer than every save of the deleted one (R10). Zero rows
# changed means that it was refused. The last parameter says that the thread is new and
# empty: it then leaves the data of a live row alone, as when a request is made twice.
SAVE_THREAD = """
INSERT INTO chatkit_threads (owner_id, id, created_at, position, data)
SELECT owner_id, id, created_at, (
    SELECT coalesce(max(tied.position) + 1, 0) FROM chatkit_threads AS tied
    WHERE tied.owner_id = new.owner_id AND tied.created_at = new.created_at
), data
FROM (SELECT ? AS owner_id, ? AS id, ? AS created_at, ? AS data) AS new WHERE true
ON CONFLICT (owner_id, id) DO UPDATE SET
    data = CASE
        WHEN ? AND deleted_at IS NULL THEN data
        ELSE excluded.data
    END,
    newest_created_at = max(
        coalesce(newest_created_at, created_at), excluded.created_at
    ),
    created_at = CASE
        WHEN deleted_at IS NULL THEN created_at
        ELSE excluded.created_at
    END,
    position = CASE
        WHEN deleted_at IS NULL THEN position
        ELSE excluded.position
    END,
    deleted_at = NULL
WHERE deleted_at IS NULL
    OR excluded.created_at > coalesce(newest_created_at, created_at)
"""

# Changes the row only if it still is what the last parameter says: nobody was faster
# (R41).
UPDATE_THREAD = """
UPDATE chatkit_threads SET
    data = ?,
    newest_created_at = max(coalesce(newest_created_at, created_at), ?)
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL AND data = ?
"""


def _in_both_orders(page: str) -> dict[str, str]:
    return {
        "asc": page.format(beyond=">", desc=""),
        "desc": page.format(beyond="<", desc=" DESC"),
    }


# One row more than the page tells whether there is more (R19). A row that is larger than
# its share of the page comes without its payload, which the Store then loads (R42).
FIRST_ITEMS = _in_both_orders("""
SELECT id, CASE WHEN length(CAST(data AS BLOB)) <= ? THEN data END FROM chatkit_items
WHERE owner_id = ? AND thread_id = ?
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

# The cursor is looked up once, and the page is then one range of its index, in order
# (R22): CROSS JOIN makes SQLite begin with the cursor, and the plus lets it use both
# columns of the index, since it takes the type off the value. Where the page has no
# rows, the Store asks whether there is such a cursor.
NEXT_ITEMS = _in_both_orders("""
SELECT item.id, CASE WHEN length(CAST(item.data AS BLOB)) <= ? THEN item.data END
FROM chatkit_items AS cursor CROSS JOIN chatkit_items AS item
WHERE cursor.owner_id = ? AND cursor.thread_id = ? AND cursor.id = ?
    AND item.owner_id = cursor.owner_id AND item.thread_id = cursor.thread_id
    AND (item.created_at, item.position) {beyond} (cursor.created_at, +cursor.position)
ORDER BY item.created_at{desc}, item.position{desc} LIMIT ?
""")

SAVE_ATTACHMENT = """
INSERT INTO chatkit_attachments (owner_id, id, created_at, data) VALUES (?, ?, ?, ?)
ON CONFLICT (owner_id, id) DO UPDATE SET data = excluded.data
"""

LOAD_ATTACHMENT = """
SELECT id, data FROM chatkit_attachments WHERE owner_id = ? AND id = ?
"""

DELETE_ATTACHMENT = """
DELETE FROM chatkit_attachments WHERE owner_id = ? AND id = ?
"""

FIRST_THREADS = _in_both_orders("""
SELECT id, CASE WHEN length(CAST(data AS BLOB)) <= ? THEN data END FROM chatkit_threads
WHERE owner_id = ? AND deleted_at IS NULL
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

NEXT_THREADS = _in_both_orders("""
SELECT thread.id, CASE WHEN length(CAST(thread.data AS BLOB)) <= ? THEN thread.data END
FROM chatkit_threads AS cursor CROSS JOIN chatkit_threads AS thread
WHERE cursor.owner_id = ? AND cursor.id = ?
    AND thread.owner_id = cursor.owner_id AND thread.deleted_at IS NULL
    AND (thread.created_at, thread.position) {beyond} (cursor.created_at, +cursor.position)
ORDER BY thread.created_at{desc}, thread.position{desc} LIMIT ?
""")

# Finds a thread that was deleted, too: its emptied row still has its place (R20).
FIND_THREAD = """
SELECT id, '' FROM chatkit_threads WHERE owner_id = ? AND id = ?
"""

# The row is made only from the owner's own live thread: zero rows changed means that
# there is none (R08). An item that the thread already has is updated where it stands
# (R05).
SAVE_ITEM = """
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, position, data)
SELECT thread.owner_id, thread.id, new.id, new.created_at, (
    SELECT coalesce(max(tied.position) + 1, 0) FROM chatkit_items AS tied
    WHERE tied.owner_id = thread.owner_id AND tied.thread_id = thread.id
        AND tied.created_at = new.created_at
), new.data
FROM (SELECT ? AS id, ? AS created_at, ? AS data) AS new, chatkit_threads AS thread
WHERE thread.owner_id = ? AND thread.id = ? AND thread.deleted_at IS NULL
ON CONFLICT (owner_id, thread_id, id) DO UPDATE SET data = excluded.data
"""

LOAD_ITEM = """
SELECT id, data FROM chatkit_items WHERE owner_id = ? AND thread_id = ? AND id = ?
"""

# The row stays, emptied, and refuses what a stream that is still running sends it
# (R10).
DELETE_THREAD = """
UPDATE chatkit_threads SET deleted_at = ?, data = NULL
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL
"""

DELETE_THREAD_ITEMS = """
DELETE FROM chatkit_items WHERE owner_id = ? AND thread_id = ?
"""

# Each deletion takes a bounded number of expired rows of all owners with it.
PURGE_THREADS = """
DELETE FROM chatkit_threads
WHERE rowid IN (SELECT rowid FROM chatkit_threads WHERE deleted_at < ? LIMIT 100)
"""

DELETE_ITEM = """
DELETE FROM chatkit_items WHERE owner_id = ? AND thread_id = ? AND id = ?
"""

CREATE_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS chatkit_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    runs_with INTEGER NOT NULL,
    applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""

HAS_MIGRATIONS = """
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'chatkit_migrations'
"""

LIST_MIGRATIONS = """
SELECT version, runs_with FROM chatkit_migrations
"""

RECORD_MIGRATION = """
INSERT INTO chatkit_migrations (version, name, runs_with) VALUES (?, ?, ?)
"""
