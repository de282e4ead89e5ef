"""Ids for what is new: ULIDs, such as `msg_01JD8Q4ZJ8W2K7N3V5T9X6B1CM`.

They sort as text by the millisecond of their making, which keeps the database's indexes
compact, carry 80 random bits within it, and avoid letters that people misread.
"""

import secrets
import time

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Make an id (github.com/ulid/spec).

    Args:
        kind: What it is for, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request that asks.

    Returns:
        The SDK's prefix for the kind, and 26 digits in Crockford's base 32.
    """
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    digits = (_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))
    return f"{prefix_of(kind)}_{''.join(digits)}"
