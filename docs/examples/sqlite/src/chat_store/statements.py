"""The Store's SQL statements, for SQLite.

The owner comes first in every key and condition, so that no statement can reach another
owner's rows (R12), except the purge of expired rows; the thread's row proves the owner
of an item (R13). Parameters are in the order that `store.py` passes them. `created_at`
and `deleted_at` are microseconds since 1970 in UTC. `position` numbers the rows of the
same time in order of insertion (R17), which is safe, since SQLite has one writer.
Payloads are cast to text: a row that was repaired with `readfile` has a BLOB.
"""

LOAD_THREAD = """
SELECT id, CAST(data AS TEXT) FROM chatkit_threads
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL
"""

# The order and the owner are those of the first insert (R04). A deleted thread leaves an
# empty row, so that a running stream cannot recreate the thread: the row accepts only a
# thread newer than every save of the deleted one (R10); otherwise, no row changes. The
# last parameter means that the thread is new and empty: it then keeps the data of an
# existing row, so that a request can be repeated.
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

# Compare and swap: changes the row only if its data still equals the last parameter
# (R41).
UPDATE_THREAD = """
UPDATE chatkit_threads SET
    data = ?,
    newest_created_at = max(coalesce(newest_created_at, created_at), ?)
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL AND CAST(data AS TEXT) = ?
"""


def _in_both_orders(page: str) -> dict[str, str]:
    return {
        "asc": page.format(beyond=">", desc=""),
        "desc": page.format(beyond="<", desc=" DESC"),
    }


# One extra row tells whether more rows follow (R19). A row larger than its share of the
# page comes without its payload, which the Store then loads (R42).
FIRST_ITEMS = _in_both_orders("""
SELECT id, CASE WHEN length(CAST(data AS BLOB)) <= ? THEN CAST(data AS TEXT) END FROM chatkit_items
WHERE owner_id = ? AND thread_id = ?
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

# The cursor is looked up once, so that the page is one range of its index, in order
# (R22): CROSS JOIN makes SQLite begin with the cursor, and the plus, which removes the
# value's type affinity, lets it use both columns of the index. If the page is empty,
# the Store checks whether the cursor exists.
NEXT_ITEMS = _in_both_orders("""
SELECT item.id, CASE WHEN length(CAST(item.data AS BLOB)) <= ? THEN CAST(item.data AS TEXT) END
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
SELECT id, CAST(data AS TEXT) FROM chatkit_attachments WHERE owner_id = ? AND id = ?
"""

DELETE_ATTACHMENT = """
DELETE FROM chatkit_attachments WHERE owner_id = ? AND id = ?
"""

FIRST_THREADS = _in_both_orders("""
SELECT id, CASE WHEN length(CAST(data AS BLOB)) <= ? THEN CAST(data AS TEXT) END FROM chatkit_threads
WHERE owner_id = ? AND deleted_at IS NULL
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

NEXT_THREADS = _in_both_orders("""
SELECT thread.id, CASE WHEN length(CAST(thread.data AS BLOB)) <= ? THEN CAST(thread.data AS TEXT) END
FROM chatkit_threads AS cursor CROSS JOIN chatkit_threads AS thread
WHERE cursor.owner_id = ? AND cursor.id = ?
    AND thread.owner_id = cursor.owner_id AND thread.deleted_at IS NULL
    AND (thread.created_at, thread.position) {beyond} (cursor.created_at, +cursor.position)
ORDER BY thread.created_at{desc}, thread.position{desc} LIMIT ?
""")

# Also finds a deleted thread, whose empty row keeps its position (R20).
FIND_THREAD = """
SELECT id, '' FROM chatkit_threads WHERE owner_id = ? AND id = ?
"""

# Inserts only into an existing thread of the owner; otherwise, no row changes (R08). An
# existing item is updated in place (R05).
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
SELECT id, CAST(data AS TEXT) FROM chatkit_items WHERE owner_id = ? AND thread_id = ? AND id = ?
"""

# The empty row remains, and rejects late writes of a running stream (R10).
DELETE_THREAD = """
UPDATE chatkit_threads SET deleted_at = ?, data = NULL
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL
"""

DELETE_THREAD_ITEMS = """
DELETE FROM chatkit_items WHERE owner_id = ? AND thread_id = ?
"""

# Each deletion also purges a limited number of expired rows, of all owners.
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
