"""New ids as Nano IDs, such as `msg_V1StGXR8_Z5jdHi6B-myT`.

21 characters of a URL-safe alphabet have 126 random bits: collisions are negligible.
The ids are case-sensitive, and do not sort by creation time.
"""

import secrets
import string

from chatkit.types import ThreadMetadata

from .context import RequestContext
from .keys import prefix_of

_ALPHABET = string.ascii_letters + string.digits + "_-"


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id.

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and 21 characters of A-Z, a-z, 0-9, "_" and "-".
    """
    return f"{prefix_of(kind)}_{''.join(secrets.choice(_ALPHABET) for _ in range(21))}"
