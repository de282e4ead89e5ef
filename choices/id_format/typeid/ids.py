"""New ids as TypeIDs, such as `msg_01jd8q4zj8ffrbqhmzyk6ve2wp`.

A TypeID is a prefix and a UUIDv7 in lower-case base 32. They sort by creation time, to
the millisecond, which keeps the database's indexes compact, and have 74 random bits:
collisions are negligible. Other languages have libraries that read them.
"""

import secrets
import time

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id (github.com/jetify-com/typeid).

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and 26 digits of lower-case base 32.
    """
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    # Sets the version, 7, and the variant, 0b10.
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    digits = (_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))
    return f"{prefix_of(kind)}_{''.join(digits)}"
