"""The package that this suite tests, under the name that the suite calls it by."""

from chat_store import (
    ChatStore,
    ChatStoreError,
    DatabaseError,
    DatabaseTimeoutError,
    IdError,
    OwnerError,
    RequestContext,
    SchemaError,
    StoreClosedError,
    UnreadableError,
    codec,
    connections,
    ids,
    keys,
    migrate,
    owner_id,
    statements,
    web,
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
    "IdError",
    "OwnerError",
    "RequestContext",
    "SchemaError",
    "StoreClosedError",
    "UnreadableError",
    "codec",
    "connections",
    "ids",
    "keys",
    "migrate",
    "owner_id",
    "statements",
    "web",
]
