"""Who is asking, and so who owns the rows.

Make one RequestContext for each HTTP request, from what your authentication has proved,
and pass it to `ChatKitServer.process`. The Store hands it to every method.
"""

from typing import NotRequired

from typing_extensions import TypedDict

from .keys import read_owner


# typing_extensions comes with pydantic, which takes its TypedDict only before Python 3.12.
class RequestContext(TypedDict):
    """One request to the ChatKit server.

    Attributes:
        user_id: The user who asks; every row that the request touches is theirs.
        request_id: What tells this request from others, and stays the same when the
            client tries again; may be left out where nothing needs it.
    """

    user_id: str
    request_id: NotRequired[str | None]


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
