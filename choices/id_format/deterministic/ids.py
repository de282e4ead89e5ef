"""Ids for what is new, which a retry of the same request makes again.

An id is derived from the owner and the user, the thread, the request id that the context
carries, the kind, and how many of the kind the request has asked for. So an HTTP request
that a client sends twice, with the same request id, makes one thread and one user
message. Ids that OpenAI mints, those of assistant messages, are not ours and differ
between the tries.

A request id must stand for one request: the same id for another request of the same user
in the same thread would overwrite what the first has made. A client's key alone cannot
promise that; `request_id(key, body)` can.

Give each request a context object of its own: the count belongs to the object.
"""

import hashlib
import json
import weakref
from collections import Counter
from collections.abc import MutableMapping
from typing import Any, cast

from chatkit.types import ThreadMetadata

from .context import RequestContext, owner_id
from .errors import IdError
from .keys import prefix_of, read

_COUNTS = "chat_store_id_counts"


def request_id(key: str | None, body: bytes) -> str | None:
    """Make the request id of a context.

    Args:
        key: What the client repeats when it tries again, such as its header
            Idempotency-Key; None where it sent none.
        body: The request's body. A key that is used again for something else makes
            other ids, and harms nothing.

    Returns:
        The request id; None where there is no key.
    """
    return f"{key}:{hashlib.sha256(body).hexdigest()}" if key else None


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Make an id.

    Args:
        kind: What it is for, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request that asks.

    Returns:
        The SDK's prefix for the kind, and 32 hex digits: 128 bits of a SHA-256.

    Raises:
        IdError: The context carries no request id.
        OwnerError: The context names no owner.
    """
    counts = _counts(context)
    counts[kind] += 1
    request = read(context, "request_id")
    if request is None or request == "":
        raise IdError(
            f"No request id: 'request_id' of the request context ({type(context).__name__}) is "
            "missing or empty, and deterministic ids are derived from it. Set it to "
            "`request_id(key, body)` of ids.py, with a header that the client repeats when it "
            "tries again, such as Idempotency-Key."
        )
    whose = [owner_id(context), str(read(context, "user_id"))]  # a tenant has many
    where = thread.id if thread else None
    seed = json.dumps([*whose, where, str(request), kind, counts[kind]]).encode()
    return f"{prefix_of(kind)}_{hashlib.sha256(seed).hexdigest()[:32]}"


class _CountsOfObjects:
    """Counts for context objects, by identity; they vanish with their object."""

    def __init__(self) -> None:
        self._counts: dict[int, tuple[weakref.ref[Any], Counter[str]]] = {}

    def of(self, context: object) -> Counter[str]:
        key = id(context)
        if key not in self._counts:
            gone = weakref.ref(context, lambda _: self._counts.pop(key, None))
            self._counts[key] = (gone, Counter())
        return self._counts[key][1]


_counts_of_objects = _CountsOfObjects()


def _counts(context: Any) -> Counter[str]:
    if isinstance(context, MutableMapping):
        # A dict cannot be referenced weakly, so it keeps its own counts.
        bag = cast(MutableMapping[str, Counter[str]], context)
        return bag.setdefault(_COUNTS, Counter())
    try:
        return _counts_of_objects.of(context)
    except TypeError:
        raise IdError(
            f"Deterministic ids are counted for each context object, and {type(context).__name__} "
            'does not allow weak references: add "__weakref__" to its __slots__.'
        ) from None
