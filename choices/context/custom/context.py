"""Who is asking, and so who owns the rows: `{{ store_context_class }}`.

Its `{{ store_context_owner }}` is the owner: a str, an int or a UUID. A `request_id` on it, where
there is one, tells the request from others and stays the same when the client tries
again. Its module must not import this package while it is loaded.
"""

{% from "includes/imports.jinja" import import_as %}
{{ import_as(store_context_class, "RequestContext") }}

from .keys import read_owner

__all__ = ["RequestContext", "owner_id"]


def owner_id(context: RequestContext) -> str:
    """Tell whose rows a request may see and change (R15).

    Args:
        context: The request.

    Returns:
        The value at `{{ store_context_owner }}`, as text.

    Raises:
        OwnerError: There is none.
    """
    return read_owner(context, "{{ store_context_owner }}")
