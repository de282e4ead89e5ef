# Extra "attachments": store_attachments=false deletes it, including your edits.
"""File attachments: upload, storage, previews, input for the model, and deletion.

    attachments = ChatAttachments(
        "file:///var/lib/uploads",
        public_url="https://chat.example.com/files",
        secret=os.environ["FILES_SECRET"],
    )
    store = AttachmentChatStore(attachments)
    server = MyChatKitServer(store, attachments)
    app.mount("/files", file_routes(store))

`converter.py` converts attachments for the model. The Store does not depend on this
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

    The environment variable CHAT_STORE_FILES is the URL of the file storage.
    """
    await Files().delete_of(metadata)
