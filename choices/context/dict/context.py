"""The request context, and the owner of the rows.

Create a dict for each HTTP request, from the authenticated user, and pass it to
`ChatKitServer.process`, which passes it to every method of the Store.
"""

from typing import Any, TypeAlias

from .keys import read_owner

RequestContext: TypeAlias = dict[str, Any]
"""One request to the ChatKit server.

"user_id" is the authenticated user, who owns all rows of the request. "request_id"
identifies the request, and is the same when the client retries it; optional. Other keys
are allowed.
"""


def owner_id(context: RequestContext) -> str:
    """Return the owner of the rows that a request may read and change (R15).

    Args:
        context: The request.

    Returns:
        The user's id.

    Raises:
        OwnerError: The context names no user.
    """
    return read_owner(context, "user_id")
