"""Ids for what is new: made by `{{ store_id_callable }}`.

It is given the kind ("thread", "message", "tool_call", "task", "workflow",
"attachment", "sdk_hidden_context", or what a later SDK adds), the thread that the item
is for (None for a thread or an attachment) and the request context, and returns the
whole id. `prefix_of` in `keys.py` knows the SDK's prefixes. Its module must not import
this package while it is loaded.
"""

{% if store_id_pattern %}
import re
{% endif %}
from typing import cast

from chatkit.types import ThreadMetadata

# isort: split
{% from "includes/imports.jinja" import import_as %}
{{ import_as(store_id_callable, "make_id") }}

from .context import RequestContext
from .errors import IdError
from .keys import MAX_KEY_LENGTH, is_key
{% if store_id_pattern %}

_PATTERN = re.compile(r"{{ store_id_pattern }}")
{% endif %}


def new_id(kind: str, thread: ThreadMetadata | None, context: RequestContext) -> str:
    """Make an id, and check it.

    Args:
        kind: What it is for, such as "thread", "message" or "tool_call".
        thread: The item's thread; None for a thread or an attachment.
        context: The request that asks.

    Returns:
        What `{{ store_id_callable }}` returns.

    Raises:
        IdError: That is not text, cannot be a key{% if store_id_pattern %}, or breaks the pattern{% endif %}.
    """
    made = cast(object, make_id(kind, thread, context))
    if not isinstance(made, str) or not is_key(made):
        raise IdError(
            f"{{ store_id_callable }} made {made!r} for a {kind}; an id must be a str of 1 to "
            f"{MAX_KEY_LENGTH} characters, without U+0000 or lone surrogates."
        )
{% if store_id_pattern %}
    if not _PATTERN.fullmatch(made):
        raise IdError(
            f"{{ store_id_callable }} made {made!r} for a {kind}, which does not match the "
            f"pattern {_PATTERN.pattern!r}."
        )
{% endif %}
    return made
