"""The request context, `{{ store_context_class }}`, and the owner of the rows.

Its `{{ store_context_owner }}` is the owner: a str, an int or a UUID. Its `request_id`
identifies the request, and is the same when the client retries it; optional. Its module
must not import this package while it is loaded.
"""

{% from "includes/imports.jinja" import import_as %}
{{ import_as(store_context_class, "RequestContext") }}

from .keys import read_owner

__all__ = ["RequestContext", "owner_id"]


def owner_id(context: RequestContext) -> str:
    """Return the owner of the rows that a request may read and change (R15).

    Args:
        context: The request.

    Returns:
        The value at `{{ store_context_owner }}`, as text.

    Raises:
        OwnerError: The context names no owner.
    """
    return read_owner(context, "{{ store_context_owner }}")
