"""The request context, and the owner of the rows.

Create a RequestContext for each HTTP request, from the authenticated user, and pass it
to `ChatKitServer.process`, which passes it to every method of the Store.
"""

from dataclasses import dataclass

from .keys import read_owner


@dataclass(frozen=True)
class RequestContext:
    """One request to the ChatKit server.

    Attributes:
        user_id: The authenticated user, who owns all rows of the request.
        request_id: Identifies the request, and is the same when the client retries it.
            Optional.
    """

    user_id: str
    request_id: str | None = None


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
