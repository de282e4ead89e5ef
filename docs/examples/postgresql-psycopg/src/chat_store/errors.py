"""The errors of this package.

`chatkit.store.NotFoundError` stays the answer for what is absent or another owner's,
and `ValueError` for bad arguments, as the SDK has it. Everything else that can go wrong
is one of these. No message carries message text, row contents or a password (R39).
"""


class ChatStoreError(Exception):
    """Base of every error that this package defines."""


class OwnerError(ChatStoreError, ValueError):
    """The request context names no owner, or one that cannot be a key (R15)."""


class IdError(ChatStoreError, ValueError):
    """An id could not be made, or the one that was made breaks its own pattern."""


class StoreClosedError(ChatStoreError, RuntimeError):
    """The Store was used before it was opened, after it was closed, or in another event
    loop (R40)."""


class SchemaError(ChatStoreError, RuntimeError):
    """The tables are older than this code, or too new for it (R37)."""


class TransferError(ChatStoreError):
    """An export cannot be written or read; the message says where, and what to do."""


class UnreadableError(ChatStoreError):
    """A stored row does not validate against the installed SDK's models (R29)."""


class DatabaseError(ChatStoreError):
    """The database refused or lost a call; the driver's detail is left out (R39)."""


class DatabaseTimeoutError(DatabaseError, TimeoutError):
    """No connection, or no answer, within the configured time (R31, R33)."""
