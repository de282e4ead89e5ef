"""The Store's SQL statements, for PostgreSQL.

The owner comes first in every key and condition, so that no statement can reach another
owner's rows (R12), except the purge of expired rows; the thread's row proves the owner
of an item (R13). Parameters are in the order that `store.py` passes them. `position`
comes from a sequence, and breaks ties of `created_at` by order of insertion (R17).
Payloads are passed and read as text, so that a given pool's JSON codecs do not apply.
"""

LOAD_THREAD = """
SELECT id, data::text FROM chatkit_threads
WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL
"""

# The order and the owner are those of the first insert (R04). A deleted thread leaves an
# empty row, so that a running stream cannot recreate the thread: the row accepts only a
# thread newer than every save of the deleted one (R10); otherwise, no row changes. The
# last parameter means that the thread is new and empty: it then keeps the data of an
# existing row, so that a request can be repeated.
SAVE_THREAD = """
INSERT INTO chatkit_threads AS thread (owner_id, id, created_at, data)
VALUES ($1, $2, $3, $4::text::json)
ON CONFLICT (owner_id, id) DO UPDATE SET
    data = CASE
        WHEN $5::boolean AND thread.deleted_at IS NULL THEN thread.data
        ELSE excluded.data
    END,
    newest_created_at = greatest(
        thread.newest_created_at, thread.created_at, excluded.created_at
    ),
    created_at = CASE
        WHEN thread.deleted_at IS NULL THEN thread.created_at
        ELSE excluded.created_at
    END,
    position = CASE
        WHEN thread.deleted_at IS NULL THEN thread.position
        ELSE excluded.position
    END,
    deleted_at = NULL
WHERE thread.deleted_at IS NULL
    OR excluded.created_at > greatest(thread.newest_created_at, thread.created_at)
"""

# Compare and swap: changes the row only if its data still equals the last parameter
# (R41).
UPDATE_THREAD = """
UPDATE chatkit_threads SET
    data = $1::text::json,
    newest_created_at = greatest(newest_created_at, created_at, $2)
WHERE owner_id = $3 AND id = $4 AND deleted_at IS NULL AND data::text = $5
"""


def _in_both_orders(page: str) -> dict[str, str]:
    return {
        "asc": page.format(beyond=">", desc=""),
        "desc": page.format(beyond="<", desc=" DESC"),
    }


# One extra row tells whether more rows follow (R19). A row larger than its share of the
# page comes without its payload, which the Store then loads (R42).
FIRST_ITEMS = _in_both_orders("""
SELECT id, CASE WHEN size <= $1 THEN data::text END FROM chatkit_items
WHERE owner_id = $2 AND thread_id = $3
ORDER BY created_at{desc}, position{desc} LIMIT $4
""")

# The cursor's position is looked up once, so that the page is one range of its index,
# in order (R22). If the page is empty, the Store checks whether the cursor exists.
NEXT_ITEMS = _in_both_orders("""
SELECT id, CASE WHEN size <= $1 THEN data::text END FROM chatkit_items
WHERE owner_id = $2 AND thread_id = $3 AND (created_at, position) {beyond} (
    SELECT cursor.created_at, cursor.position FROM chatkit_items AS cursor
    WHERE cursor.owner_id = $2 AND cursor.thread_id = $3 AND cursor.id = $4
)
ORDER BY created_at{desc}, position{desc} LIMIT $5
""")

SAVE_ATTACHMENT = """
INSERT INTO chatkit_attachments (owner_id, id, created_at, data)
VALUES ($1, $2, $3, $4::text::json)
ON CONFLICT (owner_id, id) DO UPDATE SET data = excluded.data
"""

LOAD_ATTACHMENT = """
SELECT id, data::text FROM chatkit_attachments WHERE owner_id = $1 AND id = $2
"""

DELETE_ATTACHMENT = """
DELETE FROM chatkit_attachments WHERE owner_id = $1 AND id = $2
"""

FIRST_THREADS = _in_both_orders("""
SELECT id, CASE WHEN size <= $1 THEN data::text END FROM chatkit_threads
WHERE owner_id = $2 AND deleted_at IS NULL
ORDER BY created_at{desc}, position{desc} LIMIT $3
""")

NEXT_THREADS = _in_both_orders("""
SELECT id, CASE WHEN size <= $1 THEN data::text END FROM chatkit_threads
WHERE owner_id = $2 AND deleted_at IS NULL AND (created_at, position) {beyond} (
    SELECT cursor.created_at, cursor.position FROM chatkit_threads AS cursor
    WHERE cursor.owner_id = $2 AND cursor.id = $3
)
ORDER BY created_at{desc}, position{desc} LIMIT $4
""")

# Also finds a deleted thread, whose empty row keeps its position (R20).
FIND_THREAD = """
SELECT id, '' FROM chatkit_threads WHERE owner_id = $1 AND id = $2
"""

# Inserts only into an existing thread of the owner; otherwise, no row changes (R08).
# FOR SHARE makes a deletion of the thread wait until the item is inserted, and the
# insert wait for a running deletion (R10). An existing item is updated in place (R05).
SAVE_ITEM = """
INSERT INTO chatkit_items (owner_id, thread_id, id, created_at, data)
SELECT thread.owner_id, thread.id, $1::text, $2::timestamptz, $3::text::json
FROM chatkit_threads AS thread
WHERE thread.owner_id = $4 AND thread.id = $5 AND thread.deleted_at IS NULL
FOR SHARE
ON CONFLICT (owner_id, thread_id, id) DO UPDATE SET data = excluded.data
"""

LOAD_ITEM = """
SELECT id, data::text FROM chatkit_items
WHERE owner_id = $1 AND thread_id = $2 AND id = $3
"""

# The empty row remains, and rejects late writes of a running stream (R10). A separate
# statement deletes the items: it also sees those inserted while this one waited.
DELETE_THREAD = """
UPDATE chatkit_threads SET deleted_at = $1, data = NULL
WHERE owner_id = $2 AND id = $3 AND deleted_at IS NULL
"""

DELETE_THREAD_ITEMS = """
DELETE FROM chatkit_items WHERE owner_id = $1 AND thread_id = $2
"""

# Each deletion also purges a limited number of expired rows, of all owners, and skips
# those that another deletion is purging.
PURGE_THREADS = """
DELETE FROM chatkit_threads WHERE (owner_id, id) IN (
    SELECT owner_id, id FROM chatkit_threads WHERE deleted_at < $1
    LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""

DELETE_ITEM = """
DELETE FROM chatkit_items WHERE owner_id = $1 AND thread_id = $2 AND id = $3
"""

CREATE_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS chatkit_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    runs_with integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""

HAS_MIGRATIONS = """
SELECT 1 WHERE to_regclass('chatkit_migrations') IS NOT NULL
"""

IS_EXPOSED = """
SELECT NOT ssl AND inet_client_addr() <> inet_server_addr()
FROM pg_stat_ssl WHERE pid = pg_backend_pid()
"""

LIST_MIGRATIONS = """
SELECT version, runs_with FROM chatkit_migrations
"""

RECORD_MIGRATION = """
INSERT INTO chatkit_migrations (version, name, runs_with) VALUES ($1, $2, $3)
"""

# One process migrates at a time. The others retry instead of waiting in a statement,
# for which CREATE INDEX CONCURRENTLY would wait. The number is arbitrary, and the same
# for all versions of this code.
LOCK_FOR_TRANSACTION = "SELECT pg_try_advisory_xact_lock(7165118200475331)"
LOCK = "SELECT pg_try_advisory_lock(7165118200475331)"
UNLOCK = "SELECT pg_advisory_unlock(7165118200475331)"

SERVER_ENCODING = "SHOW server_encoding"
