"""New ids in the SDK's format, such as `msg_1a2b3c4d`.

Eight hex digits are 32 random bits: among 77,000 ids of a kind, the odds of a collision
are even. Within one thread, or between threads of one owner, the second row would
replace the first. Use this format only to match existing ids.
"""

import uuid

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id, like `chatkit.store.default_generate_id`, for any kind.

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and eight hex digits.
    """
    return f"{prefix_of(kind)}_{uuid.uuid4().hex[:8]}"
