# Extra "transfer": store_transfer=false deletes it, including your edits.
"""The statements of an export: for each kind of row, the order and a batch.

The order is that of an index, and of the pages of threads and items. Times are
microseconds since 1970. An import uses the Store's statements.
"""

ORDER = {
    "thread": ("owner", "created_at", "position"),
    "item": ("owner", "thread", "created_at", "position"),
    "attachment": ("owner", "id"),
}

EXPORT = {
    "thread": """
SELECT owner_id, NULL, id, (extract(epoch FROM created_at) * 1000000)::bigint,
    (extract(epoch FROM newest_created_at) * 1000000)::bigint, position, data::text
FROM chatkit_threads
WHERE (owner_id, created_at, position) > ($1, $2, $3) AND deleted_at IS NULL
ORDER BY owner_id, created_at, position LIMIT $4
""",
    "item": """
SELECT owner_id, thread_id, id, (extract(epoch FROM created_at) * 1000000)::bigint,
    NULL, position, data::text
FROM chatkit_items
WHERE (owner_id, thread_id, created_at, position) > ($1, $2, $3, $4)
ORDER BY owner_id, thread_id, created_at, position LIMIT $5
""",
    "attachment": """
SELECT owner_id, NULL, id, (extract(epoch FROM created_at) * 1000000)::bigint,
    NULL, NULL, data::text
FROM chatkit_attachments
WHERE (owner_id, id) > ($1, $2)
ORDER BY owner_id, id LIMIT $3
""",
}
