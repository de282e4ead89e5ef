"""The request context, and the owner of the rows.

Create a RequestContext for each HTTP request, from the authenticated user, and pass it
to `ChatKitServer.process`, which passes it to every method of the Store.
"""

from dataclasses import dataclass

{% if store_tenant_scope == "user" %}
from .errors import OwnerError
from .keys import MAX_KEY_LENGTH, read_owner
{% else %}
from .keys import read_owner
{% endif %}


@dataclass(frozen=True)
class RequestContext:
    """One request to the ChatKit server.

    Attributes:
{% if store_tenant_scope == "user" %}
        tenant_id: The user's tenant.
        user_id: The user within the tenant, who owns all rows of the request.
{% else %}
        tenant_id: The tenant, whose users share all rows of the request.
        user_id: The user within the tenant, for your own code.
{% endif %}
        request_id: Identifies the request, and is the same when the client retries it.
            Optional.
    """

    tenant_id: str
    user_id: str
    request_id: str | None = None


def owner_id(context: RequestContext) -> str:
    """Return the owner of the rows that a request may read and change (R15).

    Args:
        context: The request.

    Returns:
{% if store_tenant_scope == "user" %}
        The tenant and the user, joined so that every pair has a different text.

    Raises:
        OwnerError: The context names no tenant or no user, or they are too long.
    """
    tenant = read_owner(context, "tenant_id")
    user = read_owner(context, "user_id")
    # The first colon ends the tenant, whose own colons are escaped.
    owner = f"{tenant.replace('%', '%25').replace(':', '%3A')}:{user}"
    if len(owner) > MAX_KEY_LENGTH:
        raise OwnerError(
            f"No owner: 'tenant_id' and 'user_id' have {len(owner)} characters together, colons "
            f"and percent signs of the tenant counted three times; {MAX_KEY_LENGTH} are allowed."
        )
    return owner
{% else %}
        The tenant's id.

    Raises:
        OwnerError: The context names no tenant.
    """
    return read_owner(context, "tenant_id")
{% endif %}
