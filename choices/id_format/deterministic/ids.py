"""New ids that are the same when a request is retried.

An id is derived from the owner and the user, the thread, the context's request id, the
kind, and the number of ids of that kind in the request. So if a client sends an HTTP
request twice, with the same request id, it creates one thread and one user message. The
ids of assistant messages, which OpenAI generates, differ between the tries.

A request id must identify one request: the same id for another request of the same user
in the same thread would overwrite the rows of the first. A client's key alone does not
guarantee that; `request_id(key, body)` does.

Create a new context object for each request: the ids are counted for each object.
"""

import hashlib
import json
import weakref
from collections import Counter
from collections.abc import MutableMapping
from typing import Any, cast

from chatkit.types import ThreadMetadata

from .context import RequestContext, owner_id
from .errors import ChatStoreError
from .keys import prefix_of, read

_COUNTS = "chat_store_id_counts"


class IdError(ChatStoreError, ValueError):
    """A new id could not be generated."""


def request_id(key: str | None, body: bytes) -> str | None:
    """Return the request id for a context; None without a key.

    Args:
        key: A value that the client repeats when it retries, such as its header
            Idempotency-Key; None if there is none.
        body: The request's body. With another body, the same key leads to other ids.
    """
    return f"{key}:{hashlib.sha256(body).hexdigest()}" if key else None


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Return a new id.

    Args:
        kind: The kind, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request.

    Returns:
        The SDK's prefix for the kind, and 32 hex digits: 128 bits of a SHA-256.

    Raises:
        IdError: The context has no request id.
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
            "retries, such as Idempotency-Key."
        )
    whose = [owner_id(context), str(read(context, "user_id"))]  # for users of a tenant
    where = thread.id if thread else None
    seed = json.dumps([*whose, where, str(request), kind, counts[kind]]).encode()
    return f"{prefix_of(kind)}_{hashlib.sha256(seed).hexdigest()[:32]}"


class _CountsOfObjects:
    """Counts for context objects, by identity, which are deleted with the object."""

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
        # A dict allows no weak references, so it holds its own counts.
        bag = cast(MutableMapping[str, Counter[str]], context)
        return bag.setdefault(_COUNTS, Counter())
    try:
        return _counts_of_objects.of(context)
    except TypeError:
        raise IdError(
            f"Deterministic ids are counted for each context object, and {type(context).__name__} "
            'does not allow weak references: add "__weakref__" to its __slots__.'
        ) from None
