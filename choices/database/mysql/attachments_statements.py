# Extra "attachments": store_attachments=false deletes it, including your edits.
"""The statements of this extra."""

# Compare and swap: of two concurrent uploads to the same URL, the first one wins.
MARK_UPLOADED = """
UPDATE chatkit_attachments SET data = ?, saves = saves + 1
WHERE owner_id = ? AND id = ? AND data IN (?, ?)
"""

NEW_ATTACHMENTS = """
SELECT 1 FROM chatkit_attachments
WHERE owner_id = ? AND created_at > ? LIMIT ?
"""
