"""Every SQL statement of the Store, for PostgreSQL, with its reason.

The owner comes first in every key and condition, so that no statement can reach another
owner's rows (R12), and the ownership of an item is proved by the thread's row itself
(R13). Parameters stand in the order that `store.py` gives them. `position` comes from a
sequence, and breaks the ties of `created_at` by the order of insertion (R17). Payloads
are passed and read as text: the driver must neither write nor read their JSON, whatever
codecs a pool that was handed in has set.
"""

LOAD_THREAD = """
SELECT id, data::text FROM chatkit_threads
WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL
"""

# The order and the owner are those of the first insert (R04). A deleted thread leaves an
# emptied row, so that a stream which still runs cannot bring the thread back: the row
# accepts only a thread that is newer than every save of the deleted one (R10). Zero rows
# changed means that it was refused. The last parameter says that the thread is new and
# empty: it then leaves the data of a live row alone, as when a request is made twice.
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

# Changes the row only if it still is what the last parameter says: nobody was faster
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


# One row more than the page tells whether there is more (R19). A row that is larger than
# its share of the page comes without its payload, which the Store then loads (R42).
FIRST_ITEMS = _in_both_orders("""
SELECT id, CASE WHEN size <= $1 THEN data::text END FROM chatkit_items
WHERE owner_id = $2 AND thread_id = $3
ORDER BY created_at{desc}, position{desc} LIMIT $4
""")

# The cursor's place is looked up once, and the page is then one range of its index, in
# order (R22). Where it has no rows, the Store asks whether there is such a cursor.
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

# Finds a thread that was deleted, too: its emptied row still has its place (R20).
FIND_THREAD = """
SELECT id, '' FROM chatkit_threads WHERE owner_id = $1 AND id = $2
"""

# The row is made only from the owner's own live thread: zero rows changed means that
# there is none (R08). FOR SHARE makes a deletion of the thread wait until the item is
# there to be deleted, and the item wait for a deletion that is under way (R10). An item
# that the thread already has is updated where it stands (R05).
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

# The row stays, emptied, and refuses what a stream that is still running sends it
# (R10). Its items go in a statement of their own, which sees those that were added
# while this one waited.
DELETE_THREAD = """
UPDATE chatkit_threads SET deleted_at = $1, data = NULL
WHERE owner_id = $2 AND id = $3 AND deleted_at IS NULL
"""

DELETE_THREAD_ITEMS = """
DELETE FROM chatkit_items WHERE owner_id = $1 AND thread_id = $2
"""

# Each deletion takes a bounded number of expired rows of all owners with it, and
# passes over those that another deletion is taking.
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

# One process migrates at a time. The others try again instead of waiting inside the
# statement, since CREATE INDEX CONCURRENTLY would wait for theirs. The number is
# arbitrary, and the same for all versions of this code.
LOCK_FOR_TRANSACTION = "SELECT pg_try_advisory_xact_lock(7165118200475331)"
LOCK = "SELECT pg_try_advisory_lock(7165118200475331)"
UNLOCK = "SELECT pg_advisory_unlock(7165118200475331)"

SERVER_ENCODING = "SHOW server_encoding"
