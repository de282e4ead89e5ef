# Extra "transfer": store_transfer=false deletes it, including your edits.
"""Copies all rows to another database, through a file of JSON Lines.

    python -m chat_store.transfer export rows.jsonl
    python -m chat_store.transfer import rows.jsonl

The Store does not depend on this directory.
"""

from .file import TransferError
from .rows import export_rows, import_rows

__all__ = ["TransferError", "export_rows", "import_rows"]
