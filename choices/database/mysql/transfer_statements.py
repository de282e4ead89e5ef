# Extra "transfer": store_transfer=false deletes it, including your edits.
"""The statements of an export: for each kind of row, the order and a batch.

Threads and items are in the order of their insertion, since `position` breaks ties of
`created_at`. An import uses the Store's statements.
"""

ORDER = {
    "thread": ("position",),
    "item": ("position",),
    "attachment": ("owner", "owner", "id"),
}

EXPORT = {
    "thread": """
SELECT CONVERT(owner_id USING utf8mb4), NULL, CONVERT(id USING utf8mb4), created_at,
    newest_created_at, position, data
FROM chatkit_threads FORCE INDEX (chatkit_threads_position)
WHERE position > ? AND deleted_at IS NULL
ORDER BY position LIMIT ?
""",
    "item": """
SELECT CONVERT(owner_id USING utf8mb4), CONVERT(thread_id USING utf8mb4),
    CONVERT(id USING utf8mb4), created_at, NULL, position, data
FROM chatkit_items FORCE INDEX (chatkit_items_position)
WHERE position > ?
ORDER BY position LIMIT ?
""",
    "attachment": """
SELECT CONVERT(owner_id USING utf8mb4), NULL, CONVERT(id USING utf8mb4), created_at,
    NULL, NULL, data
FROM chatkit_attachments FORCE INDEX (PRIMARY)
WHERE owner_id > ? OR (owner_id = ? AND id > ?)
ORDER BY owner_id, id LIMIT ?
""",
}
