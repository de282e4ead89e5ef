"""Stores ChatKit's threads, items and attachments in a database.

    store = ChatStore("…")  # or set CHAT_STORE_URL
    async with store:
        server = MyChatKitServer(store)

README.md in this directory covers setup, operation, tests and updates.
"""

import sys
from pathlib import Path

try:
    from .context import RequestContext, owner_id
    from .errors import (
        ChatStoreError,
        DatabaseError,
        DatabaseTimeoutError,
        OwnerError,
        SchemaError,
        StoreClosedError,
        UnreadableError,
    )
    from .store import ChatStore
except ModuleNotFoundError as error:
    what = (
        f"The chat store cannot import {error.name!r}. Unless it is your own module, install "
        f"it: pip install -r {Path(__file__).with_name('requirements.txt')}"
    )
    if sys.argv[:1] == ["-m"]:  # the command line, before it runs: no traceback
        sys.exit(what)
    raise ModuleNotFoundError(what, name=error.name) from None

__all__ = [
    "ChatStore",
    "ChatStoreError",
    "DatabaseError",
    "DatabaseTimeoutError",
    "OwnerError",
    "RequestContext",
    "SchemaError",
    "StoreClosedError",
    "UnreadableError",
    "owner_id",
]
