_OLD_ATTACHMENTS = """
SELECT owner_id, id, data FROM chatkit_attachments
WHERE (owner_id, id) > (?1, ?2) AND created_at < ?3
ORDER BY owner_id, id LIMIT ?4
"""

_IS_IN_THREAD = """
SELECT 1 FROM chatkit_items
WHERE owner_id = ?1 AND thread_id = ?2 AND instr(data, ?3) > 0 LIMIT 1
"""

_IS_ANYWHERE = """
SELECT 1 FROM chatkit_items
WHERE owner_id = ?1 AND instr(data, ?2) > 0 LIMIT 1
"""


{% include "choices/database/unshown_steps.py" %}
