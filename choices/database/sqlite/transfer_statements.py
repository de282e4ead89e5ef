# Extra "transfer": store_transfer=false deletes it, including your edits.
"""The statements of an export: for each kind of row, the order and a batch.

The order is that of an index, and of the pages of threads and items. An import uses
the Store's statements.
"""

ORDER = {
    "thread": ("owner", "created_at", "position"),
    "item": ("owner", "thread", "created_at", "position"),
    "attachment": ("owner", "id"),
}

EXPORT = {
    "thread": """
SELECT owner_id, NULL, id, created_at, newest_created_at, position, data
FROM chatkit_threads
WHERE (owner_id, created_at, position) > (?, ?, ?) AND deleted_at IS NULL
ORDER BY owner_id, created_at, position LIMIT ?
""",
    "item": """
SELECT owner_id, thread_id, id, created_at, NULL, position, data
FROM chatkit_items
WHERE (owner_id, thread_id, created_at, position) > (?, ?, ?, ?)
ORDER BY owner_id, thread_id, created_at, position LIMIT ?
""",
    "attachment": """
SELECT owner_id, NULL, id, created_at, NULL, NULL, data
FROM chatkit_attachments
WHERE (owner_id, id) > (?, ?)
ORDER BY owner_id, id LIMIT ?
""",
}
