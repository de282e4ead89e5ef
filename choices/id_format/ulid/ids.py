"""New ids as ULIDs, such as `msg_01JD8Q4ZJ8W2K7N3V5T9X6B1CM`.

They sort as text by creation time, to the millisecond, which keeps the database's
indexes compact, have 80 random bits, and avoid letters that are easily misread.
"""

import secrets
import time

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id (github.com/ulid/spec).

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and 26 digits in Crockford's base 32.
    """
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    digits = (_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))
    return f"{prefix_of(kind)}_{''.join(digits)}"
