"""New ids as random UUIDs, such as `msg_6f1d0c9e8a4b4f7d…`.

With 122 random bits, collisions are negligible. The ids do not reveal their creation
time, and are scattered over the database's indexes, which costs cache on large tables.
"""

import uuid

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id.

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and 32 hex digits.
    """
    return f"{prefix_of(kind)}_{uuid.uuid4().hex}"
