"""The errors of this package.

As in the SDK, `chatkit.store.NotFoundError` is raised for rows that are missing or
belong to another owner, and `ValueError` for invalid arguments. No error contains
users' text, row contents or a password.
"""


class ChatStoreError(Exception):
    """Base of every error that this package defines."""


class OwnerError(ChatStoreError, ValueError):
    """The request context names no owner, or one that cannot be a key."""


class StoreClosedError(ChatStoreError, RuntimeError):
    """The Store is not open, or was opened in another event loop."""


class SchemaError(ChatStoreError, RuntimeError):
    """The tables are older than this code, or too new for it."""


class UnreadableError(ChatStoreError):
    """A stored row does not validate against the installed SDK's models."""


class DatabaseError(ChatStoreError):
    """The database rejected or lost a call; the driver's details are left out."""


class DatabaseTimeoutError(DatabaseError, TimeoutError):
    """No connection, or no response, within the configured time."""
