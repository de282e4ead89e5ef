"""Who is asking, and so who owns the rows.

Make one RequestContext for each HTTP request, from what your authentication has proved,
and pass it to `ChatKitServer.process`. The Store hands it to every method.
"""

from dataclasses import dataclass

from .keys import read_owner


@dataclass(frozen=True)
class RequestContext:
    """One request to the ChatKit server.

    Attributes:
        user_id: The user who asks; every row that the request touches is theirs.
        request_id: What tells this request from others, and stays the same when the
            client tries again; None where nothing needs it.
    """

    user_id: str
    request_id: str | None = None


def owner_id(context: RequestContext) -> str:
    """Tell whose rows a request may see and change (R15).

    Args:
        context: The request.

    Returns:
        The user's id.

    Raises:
        OwnerError: The context names no user.
    """
    return read_owner(context, "user_id")
