"""Who is asking, and so who owns the rows.

Make one dict for each HTTP request, from what your authentication has proved, and pass
it to `ChatKitServer.process`. The Store hands it to every method.
"""

from typing import Any, TypeAlias

from .keys import read_owner

RequestContext: TypeAlias = dict[str, Any]
"""One request to the ChatKit server.

"user_id" is the user who asks; every row that the request touches is theirs.
"request_id" tells the request from others, and stays the same when the client tries
again; it may be left out where nothing needs it. Other keys are yours.
"""


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
