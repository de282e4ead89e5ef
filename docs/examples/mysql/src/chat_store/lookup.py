"""Reads values out of a request context, by attribute or by key.

A context may be a dataclass, a model, a dict or whatever a framework hands over;
nothing here asks for its class, so a test double or a subclass serves as well (R15).
Nothing is guessed either: an owner that is missing is an error, never a shared default.
"""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from .errors import OwnerError
from .keys import MAX_KEY_LENGTH, is_key


def read(context: object, path: str) -> object:
    """Follow a dotted path through a context.

    Args:
        context: The request context.
        path: Attribute names or keys, such as "user_id" or "principal.user.id".

    Returns:
        The value at the path, or None where a step of it is missing.
    """
    value = context
    for name in path.split("."):
        value = _step(value, name)
    return value


def read_owner(context: object, path: str) -> str:
    """Read the part of a context that says who owns its rows (R15).

    Args:
        context: The request context.
        path: Where the owner stands, as for `read`.

    Returns:
        The owner as text of 1 to 255 characters; integers and UUIDs are written out.

    Raises:
        OwnerError: The owner is missing, None, empty, of another type, or cannot be a
            key.
    """
    value = read(context, path)
    where = f"{path!r} of the request context ({type(context).__name__})"
    if value is None or value == "":
        raise OwnerError(
            f"No owner: {where} is missing or empty. Set it for every request."
        )
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        raise OwnerError(
            f"No owner: {where} is a {type(value).__name__}; it must be a str, an int or a UUID."
        )
    owner = str(value)
    if not is_key(owner):
        raise OwnerError(
            f"No owner: {where} must have 1 to {MAX_KEY_LENGTH} characters, without U+0000 or "
            f"lone surrogates; it has {len(owner)}."
        )
    return owner


def _step(value: Any, name: str) -> object:
    if isinstance(value, Mapping):
        return cast(Mapping[str, object], value).get(name)
    try:
        return getattr(value, name)
    except AttributeError:
        pass
    try:
        return value[name]
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
