"""New ids as UUIDv7, such as `msg_019aab3c5c5b7d3e8f…`.

They sort by creation time, to the millisecond, which keeps the database's indexes
compact, and have 74 random bits: collisions are negligible.
"""

import secrets
import time
import uuid

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id (RFC 9562, section 5.7).

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and 32 hex digits.
    """
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | secrets.randbits(80)
    # Sets the version, 7, and the variant, 0b10.
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix_of(kind)}_{uuid.UUID(int=bits).hex}"
