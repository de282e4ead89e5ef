_OLD_ATTACHMENTS = """
SELECT CONVERT(owner_id USING utf8mb4), CONVERT(id USING utf8mb4), data
FROM chatkit_attachments FORCE INDEX (PRIMARY)
WHERE (owner_id > ? OR (owner_id = ? AND id > ?)) AND created_at < ?
ORDER BY owner_id, id LIMIT ?
"""

_IS_IN_THREAD = """
SELECT 1 FROM chatkit_items
WHERE owner_id = ? AND thread_id = ? AND LOCATE(?, data) > 0 LIMIT 1
"""

_IS_ANYWHERE = """
SELECT 1 FROM chatkit_items WHERE owner_id = ? AND LOCATE(?, data) > 0 LIMIT 1
"""


def _next_attachments(owner: str, last: str, created_before: datetime) -> Step:
    """Find the old attachments after this one: owner, id, data."""
    return _OLD_ATTACHMENTS, (owner, owner, last, created_before, BATCH)


def _is_in_thread(owner: str, thread_id: str, text: str) -> Step:
    """Return a row if an item of a thread contains the text."""
    return _IS_IN_THREAD, (owner, thread_id, text)


def _is_anywhere(owner: str, text: str) -> Step:
    """Return a row if an item of an owner contains the text."""
    return _IS_ANYWHERE, (owner, text)
