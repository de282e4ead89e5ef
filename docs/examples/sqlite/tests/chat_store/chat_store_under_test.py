"""The tested package; only this module depends on where it is."""

from chat_store import (
    ChatStore,
    ChatStoreError,
    DatabaseError,
    DatabaseTimeoutError,
    OwnerError,
    RequestContext,
    SchemaError,
    StoreClosedError,
    UnreadableError,
    codec,
    connections,
    keys,
    migrate,
    owner_id,
    statements,
)
from chat_store.database import DatabaseOptions
from chat_store.store import TOMBSTONE_LIFETIME

__all__ = [
    "TOMBSTONE_LIFETIME",
    "ChatStore",
    "ChatStoreError",
    "DatabaseError",
    "DatabaseOptions",
    "DatabaseTimeoutError",
    "OwnerError",
    "RequestContext",
    "SchemaError",
    "StoreClosedError",
    "UnreadableError",
    "codec",
    "connections",
    "keys",
    "migrate",
    "owner_id",
    "statements",
]
