# Extra "attachments": store_attachments=false deletes it, including your edits.
"""AttachmentChatStore: a ChatStore whose attachments have files and signed URLs.

Rows contain no signed URLs. URLs are signed whenever an attachment is loaded, by itself
or in a message, without another database call.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from chatkit.store import NotFoundError
from chatkit.types import Attachment, Page, ThreadItem, UserMessageItem

from .. import codec
from .. import statements as core
from ..context import RequestContext, owner_id
from ..keys import require_key, show
from ..store import ChatStore
from ..unshown import metadata_of
from . import statements
from .attachments import ChatAttachments
from .content import UnfitFileError


class AttachmentChatStore(ChatStore):
    """A ChatStore for a server with attachments.

    Args:
        attachments: The files.
        url: As for `ChatStore`.
        options: As for `ChatStore`.
    """

    def __init__(
        self, attachments: ChatAttachments, url: str | None = None, **options: Any
    ) -> None:
        super().__init__(url, **options)
        self.attachments = attachments

    async def load_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> Attachment:
        """Load an attachment; raises as `ChatStore` does.

        A file that was uploaded directly to the bucket is checked now.

        Raises:
            UnfitFileError: The file is too large or of another type. It is deleted.
            FileStorageError: The bucket cannot be used.
        """
        owner = owner_id(context)
        attachment, payload = await self.load_row(owner, attachment_id)
        descriptor = attachment.upload_descriptor
        if descriptor is not None and descriptor.method == "PUT":
            try:
                stored = await self.attachments.store_incoming(attachment)
            except UnfitFileError:
                await self.delete_attachment(attachment_id, context)
                raise
            if stored and await self.mark_uploaded(owner, stored, payload):
                await self.attachments.delete_incoming(stored)
                attachment = stored
            else:  # another request may have stored it
                attachment, _ = await self.load_row(owner, attachment_id)
        return self.attachments.signed(attachment, owner)

    async def save_attachment(
        self, attachment: Attachment, context: RequestContext
    ) -> None:
        """Insert or update an attachment's row.

        Raises:
            UnfitFileError: It is new, and exceeds the owner's limit for 24 hours; or
                it is part of a message, and its file was not uploaded.
        """
        if attachment.upload_descriptor is not None:
            if attachment.thread_id is not None:
                name = show(attachment.id)
                message = f"The file of attachment {name} was not uploaded"
                raise UnfitFileError(409, message)
            await self._require_few(owner_id(context))
        await super().save_attachment(self.attachments.unsigned(attachment), context)

    async def delete_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> None:
        """Delete an attachment's files, then its row.

        Raises:
            FileStorageError: The files could not be deleted. Try again.
        """
        owner = owner_id(context)
        rows = await self._read(owner, core.LOAD_ATTACHMENT, owner, attachment_id)
        for _, payload in rows:
            await self.attachments.files.delete_of(metadata_of(payload))
        await super().delete_attachment(attachment_id, context)

    async def load_thread_items(
        self,
        thread_id: str,
        after: str | None,
        limit: int,
        order: str,
        context: RequestContext,
    ) -> Page[ThreadItem]:
        """Load a page of a thread's items, as `ChatStore` does."""
        page = await super().load_thread_items(thread_id, after, limit, order, context)
        owner = owner_id(context)
        data = [self._signed(item, owner) for item in page.data]
        return page.model_copy(update={"data": data})

    async def load_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> ThreadItem:
        """Load an item of a thread, as `ChatStore` does."""
        item = await super().load_item(thread_id, item_id, context)
        return self._signed(item, owner_id(context))

    async def add_thread_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        """Append or update an item, as `ChatStore` does.

        Raises:
            UnfitFileError: It has too many files.
        """
        if isinstance(item, UserMessageItem) and item.attachments:
            most = self.attachments.max_files_per_message
            if len(item.attachments) > most:
                raise UnfitFileError(413, f"A message may have at most {most} files")
            unsigned = [self.attachments.unsigned(one) for one in item.attachments]
            item = item.model_copy(update={"attachments": unsigned})
        await super().add_thread_item(thread_id, item, context)

    # --- for the routes, which know the owner from a signed URL

    async def load_row(self, owner: str, attachment_id: str) -> tuple[Attachment, str]:
        """Load an attachment without signing its URLs, and its payload.

        Raises:
            NotFoundError: The owner has no attachment with this id.
        """
        name = f"Attachment {show(attachment_id)}"
        rows = await self._read(owner, core.LOAD_ATTACHMENT, owner, attachment_id)
        if not rows:
            raise NotFoundError(f"{name} not found")
        payload: str = rows[0][1]
        return codec.load(codec.ATTACHMENT, payload, name), payload

    async def mark_uploaded(
        self, owner: str, attachment: Attachment, expected: str
    ) -> bool:
        """Update the row of an attachment whose file was stored.

        Args:
            owner: The owner.
            attachment: The completed attachment.
            expected: The payload of the row before.

        Returns:
            False if the row was changed or deleted; then the file is deleted.
        """
        name = f"Attachment {show(require_key(attachment.id))}"
        new = self._dump(codec.ATTACHMENT, attachment, name)
        # A write is repeated if its response is lost; then the row already is `new`.
        params = (new, owner, attachment.id, expected, new)
        is_written = bool(await self._write(owner, (statements.MARK_UPLOADED, params)))
        if not is_written:
            await self.attachments.delete_stored(attachment)
        return is_written

    async def _require_few(self, owner: str) -> None:
        most = self.attachments.max_files_per_day
        yesterday = datetime.now(UTC) - timedelta(days=1)
        params = (owner, yesterday, most)
        self._begin_call()
        rows = await self._database.read(
            statements.NEW_ATTACHMENTS, params, owner=owner
        )
        if len(rows) >= most:
            raise UnfitFileError(429, f"The limit is {most} files in 24 hours")

    def _signed(self, item: ThreadItem, owner: str) -> ThreadItem:
        if not isinstance(item, UserMessageItem) or not item.attachments:
            return item
        signed = [self.attachments.signed(one, owner) for one in item.attachments]
        return item.model_copy(update={"attachments": signed})
