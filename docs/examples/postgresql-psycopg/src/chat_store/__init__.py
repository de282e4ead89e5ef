"""Keeps ChatKit's threads, items and attachments in a database.

    store = ChatStore("…")  # or set CHAT_STORE_URL
    async with store:
        server = MyChatKitServer(store)

The README beside this file says how to wire, run, test and update it.
"""

from .context import RequestContext, owner_id
from .errors import (
    ChatStoreError,
    DatabaseError,
    DatabaseTimeoutError,
    IdError,
    OwnerError,
    SchemaError,
    StoreClosedError,
    TransferError,
    UnreadableError,
)
from .store import ChatStore

__all__ = [
    "ChatStore",
    "ChatStoreError",
    "DatabaseError",
    "DatabaseTimeoutError",
    "IdError",
    "OwnerError",
    "RequestContext",
    "SchemaError",
    "StoreClosedError",
    "TransferError",
    "UnreadableError",
    "owner_id",
]
