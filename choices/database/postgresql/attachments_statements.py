# Extra "attachments": store_attachments=false deletes it, including your edits.
"""The statements of this extra."""

# Compare and swap: of two concurrent uploads to the same URL, the first one wins.
MARK_UPLOADED = """
UPDATE chatkit_attachments SET data = $1::text::json
WHERE owner_id = $2 AND id = $3 AND data::text IN ($4, $5)
"""

NEW_ATTACHMENTS = """
SELECT 1 FROM chatkit_attachments
WHERE owner_id = $1 AND created_at > $2 LIMIT $3
"""
