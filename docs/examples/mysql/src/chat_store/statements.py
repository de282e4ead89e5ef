"""The Store's SQL statements, for MySQL and MariaDB.

The owner comes first in every key and condition, so that no statement can reach another
owner's rows (R12), except the purge of expired rows; the thread's row proves the owner
of an item (R13). Parameters are in the order that `store.py` passes them. `created_at`
and `deleted_at` are microseconds since 1970 in UTC. `position` is a counter, and breaks
ties of `created_at` by order of insertion (R17). Ids are stored as bytes, so that no
collation applies, and are converted when read. Each save increments `saves`, so that it
counts as a changed row even if nothing else changes.
"""

LOAD_THREAD = """
SELECT CONVERT(id USING utf8mb4), data FROM chatkit_threads
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL
"""

# The order and the owner are those of the first insert (R04). A deleted thread leaves
# an empty row, so that a running stream cannot recreate the thread: the row accepts
# only a thread that is newer than every save of the deleted one (R10). To reject a
# save, it sets `saves` to NULL, which is an error: with FOUND_ROWS, set by a client, an
# unchanged row would count as changed. Each assignment sees the results of those above
# it: from the second on, the row has no data if the save is rejected. The last
# parameter means that the thread is new and empty: it then keeps the data of an
# existing row, so that a request can be repeated.
SAVE_THREAD = """
INSERT INTO chatkit_threads (owner_id, id, created_at, data) VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE
    data = CASE
        WHEN deleted_at IS NULL AND ? THEN data
        WHEN deleted_at IS NULL THEN VALUES(data)
        WHEN VALUES(created_at) > COALESCE(newest_created_at, created_at)
            THEN VALUES(data)
    END,
    saves = CASE WHEN data IS NOT NULL THEN saves + 1 END,
    newest_created_at = GREATEST(
        COALESCE(newest_created_at, created_at), VALUES(created_at)
    ),
    created_at = CASE
        WHEN deleted_at IS NULL THEN created_at
        ELSE VALUES(created_at)
    END,
    position = CASE
        WHEN deleted_at IS NULL THEN position
        ELSE VALUES(position)
    END,
    deleted_at = NULL
"""

# Compare and swap: changes the row only if its data still equals the last parameter
# (R41).
UPDATE_THREAD = """
UPDATE chatkit_threads SET
    data = ?,
    newest_created_at = GREATEST(COALESCE(newest_created_at, created_at), ?),
    saves = saves + 1
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL AND data = ?
"""


def _in_both_orders(page: str) -> dict[str, str]:
    return {
        "asc": page.format(beyond=">", desc=""),
        "desc": page.format(beyond="<", desc=" DESC"),
    }


# One extra row tells whether more rows follow (R19). A row larger than its share of the
# page comes without its payload, which the Store then loads (R42).
FIRST_ITEMS = _in_both_orders("""
SELECT CONVERT(id USING utf8mb4), IF(LENGTH(data) <= ?, data, NULL) FROM chatkit_items
WHERE owner_id = ? AND thread_id = ?
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

# The cursor is found by its whole key, so that its position is a constant and the page
# one range of its index (R22); a comparison of two-column rows would not be. Without
# the hint, the server may read the whole thread up to the cursor. If the page is empty,
# the Store checks whether the cursor exists.
NEXT_ITEMS = _in_both_orders("""
SELECT CONVERT(item.id USING utf8mb4), IF(LENGTH(item.data) <= ?, item.data, NULL)
FROM chatkit_items AS origin JOIN chatkit_items AS item
    FORCE INDEX (chatkit_items_page)
    ON item.owner_id = origin.owner_id AND item.thread_id = origin.thread_id
WHERE origin.owner_id = ? AND origin.thread_id = ? AND origin.id = ? AND (
    item.created_at {beyond} origin.created_at
    OR (item.created_at = origin.created_at AND item.position {beyond} origin.position)
)
ORDER BY item.created_at{desc}, item.position{desc} LIMIT ?
""")

SAVE_ATTACHMENT = """
INSERT INTO chatkit_attachments (owner_id, id, created_at, data) VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE data = VALUES(data), saves = saves + 1
"""

LOAD_ATTACHMENT = """
SELECT CONVERT(id USING utf8mb4), data FROM chatkit_attachments
WHERE owner_id = ? AND id = ?
"""

DELETE_ATTACHMENT = """
DELETE FROM chatkit_attachments WHERE owner_id = ? AND id = ?
"""

FIRST_THREADS = _in_both_orders("""
SELECT CONVERT(id USING utf8mb4), IF(LENGTH(data) <= ?, data, NULL) FROM chatkit_threads
WHERE owner_id = ? AND deleted_at IS NULL
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

NEXT_THREADS = _in_both_orders("""
SELECT CONVERT(thread.id USING utf8mb4), IF(LENGTH(thread.data) <= ?, thread.data, NULL)
FROM chatkit_threads AS origin JOIN chatkit_threads AS thread
    FORCE INDEX (chatkit_threads_page)
    ON thread.owner_id = origin.owner_id AND thread.deleted_at IS NULL
WHERE origin.owner_id = ? AND origin.id = ? AND (
    thread.created_at {beyond} origin.created_at
    OR (thread.created_at = origin.created_at AND thread.position {beyond} origin.position)
)
ORDER BY thread.created_at{desc}, thread.position{desc} LIMIT ?
""")

# Also finds a deleted thread, whose empty row keeps its position (R20).
FIND_THREAD = """
SELECT CONVERT(id USING utf8mb4), '' FROM chatkit_threads WHERE owner_id = ? AND id = ?
"""

# Inserts only into an existing thread of the owner; otherwise, no row changes (R08).
# The lock makes a deletion of the thread wait until the item is inserted, and the
# insert wait for a running deletion (R10). An existing item is updated in place (R05).
SAVE_ITEM = """
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT thread.owner_id, thread.id, ?, ?, ? FROM chatkit_threads AS thread
WHERE thread.owner_id = ? AND thread.id = ? AND thread.deleted_at IS NULL
LOCK IN SHARE MODE
ON DUPLICATE KEY UPDATE data = VALUES(data), saves = chatkit_items.saves + 1
"""

LOAD_ITEM = """
SELECT CONVERT(id USING utf8mb4), data FROM chatkit_items
WHERE owner_id = ? AND thread_id = ? AND id = ?
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
DELETE FROM chatkit_threads WHERE deleted_at < ? ORDER BY deleted_at LIMIT 100
"""

DELETE_ITEM = """
DELETE FROM chatkit_items WHERE owner_id = ? AND thread_id = ? AND id = ?
"""

CREATE_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS chatkit_migrations (
    version INT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    runs_with INT NOT NULL,
    applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB
"""

HAS_MIGRATIONS = """
SELECT 1 FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = 'chatkit_migrations'
"""

TLS_CIPHER = """
SHOW SESSION STATUS LIKE 'Ssl_cipher'
"""

CLIENT_HOST = """
SELECT SUBSTRING_INDEX(USER(), '@', -1)
"""

LIST_MIGRATIONS = """
SELECT version, runs_with FROM chatkit_migrations
"""

RECORD_MIGRATION = """
INSERT IGNORE INTO chatkit_migrations (version, name, runs_with) VALUES (?, ?, ?)
"""

# One process per server migrates at a time; on the nodes of a cluster, the statements
# skip the changes made by another node. Each database has its own lock name.
LOCK = "SELECT GET_LOCK(CONCAT('chatkit_', SHA2(DATABASE(), 224)), 1)"
UNLOCK = "SELECT RELEASE_LOCK(CONCAT('chatkit_', SHA2(DATABASE(), 224)))"
