"""The errors of this package.

`chatkit.store.NotFoundError` stays the answer for what is absent or another owner's,
and `ValueError` for bad arguments, as in the SDK. Everything else that can go wrong is
one of these. No message contains message text, row contents or a password.
"""


class ChatStoreError(Exception):
    """Base of every error that this package defines."""


class OwnerError(ChatStoreError, ValueError):
    """The request context names no owner, or one that cannot be a key."""


class IdError(ChatStoreError, ValueError):
    """A new id could not be made."""


class StoreClosedError(ChatStoreError, RuntimeError):
    """The Store is not open, or was opened in another event loop."""


class SchemaError(ChatStoreError, RuntimeError):
    """The tables are older than this code, or too new for it."""


class UnreadableError(ChatStoreError):
    """A stored row does not validate against the installed SDK's models."""


class DatabaseError(ChatStoreError):
    """The database refused or lost a call; the driver's detail is left out."""


class DatabaseTimeoutError(DatabaseError, TimeoutError):
    """No connection, or no answer, within the configured time."""
