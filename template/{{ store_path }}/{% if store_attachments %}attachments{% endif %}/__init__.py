# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""Files that people attach: taken, stored, shown, given to the model, and deleted.

    attachments = ChatAttachments(
        "file:///var/lib/uploads",
        public_url="https://chat.example.com/files",
        secret=os.environ["FILES_SECRET"],
    )
    store = AttachmentChatStore(attachments)
    server = MyChatKitServer(store, attachments)
    app.mount("/files", file_routes(store))

The converter for the model is in `converter.py`. Nothing in the Store depends on this
directory.
"""

from typing import Any

from .attachments import ChatAttachments
from .content import ALLOWED_TYPES, UnfitFileError
from .files import Files, FileStorageError
from .routes import file_routes
from .store import AttachmentChatStore
from .sweep import Swept, sweep
from .urls import UrlError

__all__ = [
    "ALLOWED_TYPES",
    "AttachmentChatStore",
    "ChatAttachments",
    "FileStorageError",
    "Files",
    "Swept",
    "UnfitFileError",
    "UrlError",
    "delete_file",
    "file_routes",
    "sweep",
]


async def delete_file(owner: str, attachment_id: str, metadata: dict[str, Any]) -> None:
    """Delete the files of an attachment; for `--delete-files` of `user_data`.

    Where they are is in the environment variable CHAT_STORE_FILES.
    """
    await Files().delete_of(metadata)
