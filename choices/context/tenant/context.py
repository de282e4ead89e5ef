"""Who is asking, and so who owns the rows.

Make one RequestContext for each HTTP request, from what your authentication has proved,
and pass it to `ChatKitServer.process`. The Store hands it to every method.
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
        tenant_id: The tenant whose user asks.
        user_id: The user within the tenant; every row that the request touches is
            theirs.
{% else %}
        tenant_id: The tenant; its users share every row that the request touches.
        user_id: The user within the tenant, for your own code.
{% endif %}
        request_id: What tells this request from others, and stays the same when the
            client tries again; None where nothing needs it.
    """

    tenant_id: str
    user_id: str
    request_id: str | None = None


def owner_id(context: RequestContext) -> str:
    """Tell whose rows a request may see and change (R15).

    Args:
        context: The request.

    Returns:
{% if store_tenant_scope == "user" %}
        The tenant and the user, joined so that no other pair gives the same text.

    Raises:
        OwnerError: The context names no tenant or no user, or both are too long
            together.
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
