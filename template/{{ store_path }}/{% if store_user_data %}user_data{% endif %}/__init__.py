# Extra "user_data": store_user_data=false deletes it, including your edits.
"""One owner's data: list, export, move to another owner, erase; and expire old data.

    python -m chat_store.user_data list alice
    python -m chat_store.user_data export alice alice-data
    python -m chat_store.user_data adopt visitor-7 alice
    python -m chat_store.user_data erase alice
    python -m chat_store.user_data expire --days 365

An owner is what `owner_id(context)` returns for a request. The functions take a
ChatStore, open or closed, and can raise its `SchemaError` and `DatabaseError`. The
Store does not depend on this directory.
"""

from ..unshown import DeleteFile
from .adopt import AdoptError, adopt
from .erase import Erased, erase
from .expire import Expired, expire
from .export import export
from .rows import Counts, count, owners

__all__ = [
    "AdoptError",
    "Counts",
    "DeleteFile",
    "Erased",
    "Expired",
    "adopt",
    "count",
    "erase",
    "expire",
    "export",
    "owners",
]
