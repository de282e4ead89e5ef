# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""The statements of this extra."""

# Two uploads to the same URL may end at the same time: the first one counts.
MARK_UPLOADED = """
UPDATE chatkit_attachments SET data = ?, saves = saves + 1
WHERE owner_id = ? AND id = ? AND data IN (?, ?)
"""

NEW_ATTACHMENTS = """
SELECT 1 FROM chatkit_attachments
WHERE owner_id = ? AND created_at > ? LIMIT ?
"""
