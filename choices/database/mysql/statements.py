"""Every SQL statement of the Store, for MySQL and MariaDB, with its reason.

The owner comes first in every key and condition, so that no statement can reach another
owner's rows (R12), and the ownership of an item is proved by the thread's row itself
(R13). Parameters stand in the order that `store.py` gives them. `created_at` and
`deleted_at` are microseconds since 1970 in UTC; `position` counts up, and breaks the
ties of `created_at` by the order of insertion (R17). Ids are stored as bytes, which no
collation compares, and converted to be read. `saves` grows with each save, so that one
which changes nothing else is still a row changed.
"""

LOAD_THREAD = """
SELECT CONVERT(id USING utf8mb4), data FROM chatkit_threads
WHERE owner_id = ? AND id = ? AND deleted_at IS NULL
"""

# The order and the owner are those of the first insert (R04). A deleted thread leaves an
# emptied row, so that a stream which still runs cannot bring the thread back: the row
# accepts only a thread that is newer than every save of the deleted one (R10). To refuse,
# it sets `saves` to NULL, which is an error: where a client has set FOUND_ROWS, a row that
# stays as it is counts as changed. Each assignment sees what those above it have left:
# from the second on, a row without data is one that refuses. The last parameter says that
# the thread is new and empty: it then leaves the data of a live row alone, as when a
# request is made a second time.
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

# Changes the row only if it still is what the last parameter says: nobody was faster
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


# One row more than the page tells whether there is more (R19). A row that is larger than
# its share of the page comes without its payload, which the Store then loads (R42).
FIRST_ITEMS = _in_both_orders("""
SELECT CONVERT(id USING utf8mb4), IF(LENGTH(data) <= ?, data, NULL) FROM chatkit_items
WHERE owner_id = ? AND thread_id = ?
ORDER BY created_at{desc}, position{desc} LIMIT ?
""")

# The cursor is found by its whole key, so that its place is a constant and the page one
# range of its index (R22); a comparison of rows of two columns would not be. The index is
# named, or the server may read all of the thread up to the cursor instead. Where the page
# has no rows, the Store asks whether there is such a cursor.
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

# Finds a thread that was deleted, too: its emptied row still has its place (R20).
FIND_THREAD = """
SELECT CONVERT(id USING utf8mb4), '' FROM chatkit_threads WHERE owner_id = ? AND id = ?
"""

# The row is made only from the owner's own live thread: zero rows changed means that
# there is none (R08). The lock makes a deletion of the thread wait until the item is
# there to be deleted, and the item wait for a deletion that is under way (R10). An item
# that the thread already has is updated where it stands (R05).
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

# One process migrates at a time, on a server; on the nodes of a cluster the statements
# themselves pass over what another node has done. The name is one for each database.
LOCK = "SELECT GET_LOCK(CONCAT('chatkit_', SHA2(DATABASE(), 224)), 1)"
UNLOCK = "SELECT RELEASE_LOCK(CONCAT('chatkit_', SHA2(DATABASE(), 224)))"
