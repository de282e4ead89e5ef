"""Ids for what is new: as the SDK makes them, such as `msg_1a2b3c4d`.

Eight hex digits are 32 random bits: even odds that two of a kind meet at 77,000. The
Store keeps owners and threads apart all the same; within one thread, or for threads of
one owner, the second would replace the first. Take this only to match ids that exist
already.
"""

import uuid

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Make an id, like `chatkit.store.default_generate_id`, for any kind.

    Args:
        kind: What it is for, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request that asks.

    Returns:
        The SDK's prefix for the kind, and eight hex digits.
    """
    return f"{prefix_of(kind)}_{uuid.uuid4().hex[:8]}"
