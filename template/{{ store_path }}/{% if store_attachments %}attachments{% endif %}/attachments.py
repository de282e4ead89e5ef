# Extra "attachments": store_attachments=false deletes it, including your edits.
"""ChatAttachments: an implementation of ChatKit's `AttachmentStore`."""

import logging
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

from chatkit.store import AttachmentStore
from chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    AttachmentUploadDescriptor,
    FileAttachment,
    ImageAttachment,
)
from pydantic import AnyUrl

from ..context import RequestContext, owner_id
from ..ids import new_id
from ..keys import require_key, show
from .content import (
    ALLOWED_TYPES,
    IMAGE_TYPES,
    ContentCheck,
    UnfitFileError,
    clean_name,
    clean_type,
)
from .files import (
    INCOMING,
    Files,
    FileStorageError,
    StoredFile,
    is_place,
    new_name,
    new_place,
)
from .previews import MAX_BYTES, PREVIEW_TYPE, make_preview
from .urls import SignedUrls

logger = logging.getLogger(__name__)

# Stored in place of URLs, which are signed each time the row is loaded.
_UNSIGNED = AnyUrl("https://files.invalid/")


class ChatAttachments(AttachmentStore[RequestContext]):
    """Stores the files of attachments; an `AttachmentChatStore` stores their rows.

    Args:
        url: The URL of the file storage, as for `Files`.
        public_url: The URL of `file_routes`: https://chat.example.com/files
        secret: The key that signs URLs, as for `SignedUrls`.
        allowed_types: The accepted media types.
        max_file_bytes: The maximum size of a file.
        max_files_per_day: The approximate limit per owner in 24 hours.
        max_files_per_message: The maximum number of files in a message.
        upload_lifetime: How long an upload can be started with its URL.
        view_lifetime: How long a file can be viewed with its URL.
        straight_to_bucket: Whether browsers upload directly to the bucket. Files are
            then checked when the message is sent.
        options: Further arguments of `Files`.

    Raises:
        ValueError: An argument is invalid.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        public_url: str,
        secret: str | Sequence[str],
        allowed_types: Sequence[str] = ALLOWED_TYPES,
        max_file_bytes: int = 20 * 2**20,
        max_files_per_day: int = 200,
        max_files_per_message: int = 20,
        upload_lifetime: timedelta = timedelta(days=1),
        view_lifetime: timedelta = timedelta(hours=1),
        straight_to_bucket: bool = False,
        **options: Any,
    ) -> None:
        self.files = Files(url, **options)
        self.urls = SignedUrls(public_url, secret, upload_lifetime, view_lifetime)
        self.max_files_per_day = max_files_per_day
        self.max_files_per_message = max_files_per_message
        self._max_file_bytes = max_file_bytes
        self._allowed_types = frozenset(map(clean_type, allowed_types))
        self._upload_lifetime = upload_lifetime
        self._straight_to_bucket = straight_to_bucket
        if straight_to_bucket:
            self.files.require_bucket()  # fails now, not at the first upload

    # --- chatkit.store.AttachmentStore

    def generate_attachment_id(self, mime_type: str, context: RequestContext) -> str:
        """Return a new id, in the format of `ids.py`."""
        return new_id("attachment", None, context)

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        """Create an attachment, with the URL for uploading its file.

        Raises:
            UnfitFileError: The file is too large, or its type is not accepted.
        """
        owner = owner_id(context)
        if input.size > self._max_file_bytes:
            raise UnfitFileError(413, f"File exceeds {self._max_file_bytes:,} bytes")
        new = self.generate_attachment_id(input.mime_type, context)
        attachment = self.describe(new, input.name, input.mime_type)
        if self._straight_to_bucket:
            place = _place_of(attachment)
            url = await self.files.sign_upload(place, INCOMING, self._upload_lifetime)
            descriptor = AttachmentUploadDescriptor(
                url=AnyUrl(url), method="PUT", headers=self.files.upload_headers
            )
            attachment.upload_descriptor = descriptor
        return self.signed(attachment, owner)

    async def delete_attachment(
        self, attachment_id: str, context: RequestContext
    ) -> None:
        """Do nothing: the Store then deletes the files together with the row."""

    # --- for the application

    def direct_upload_url(self, context: RequestContext) -> str:
        """Return the URL for the upload strategy "direct", for any number of files."""
        return self.urls.make("direct", owner_id(context))

    def download_url(self, attachment_id: str, context: RequestContext) -> str:
        """Return a URL that downloads a file of the owner."""
        return self.urls.make("download", owner_id(context), attachment_id)

    async def open(self, attachment: Attachment) -> StoredFile:
        """Open the file of an attachment for reading.

        Raises:
            FileNotFoundError: It was not uploaded, or was deleted.
            FileStorageError: The storage cannot be used.
        """
        return await self.files.open(_place_of(attachment), _file_of(attachment))

    async def open_preview(self, attachment: Attachment) -> tuple[StoredFile, str]:
        """Open the preview of an image, or the image itself if it has none.

        Returns:
            The file and its type. Raises the same errors as `open`.
        """
        place, name = _place_of(attachment), _file_of(attachment)
        try:
            return await self.files.open(place, _preview_of(name)), PREVIEW_TYPE
        except FileNotFoundError:
            return await self.files.open(place, name), attachment.mime_type

    # --- for the Store and the routes

    def describe(self, attachment_id: str, name: str, mime_type: str) -> Attachment:
        """Return a new attachment, whose file is not yet uploaded.

        Raises:
            UnfitFileError: Its type is not accepted.
        """
        name, mime_type = clean_name(name), clean_type(mime_type, name)
        if mime_type not in self._allowed_types:
            raise UnfitFileError(
                415, f"Files of type {show(mime_type)} are not accepted"
            )
        kind = ImageAttachment if mime_type in IMAGE_TYPES else FileAttachment
        descriptor = AttachmentUploadDescriptor(url=_UNSIGNED, method="POST")
        return kind.model_validate(
            {
                "id": require_key(attachment_id),
                "name": name,
                "mime_type": mime_type,
                "upload_descriptor": descriptor,
                "preview_url": _UNSIGNED,
                "metadata": {"place": new_place()},
            }
        )

    async def store_file(
        self, attachment: Attachment, content: AsyncIterator[bytes]
    ) -> Attachment:
        """Store the file of an attachment while it is received.

        Returns:
            The completed attachment, for the row.

        Raises:
            UnfitFileError: The file is too large or of another type. Nothing is stored.
            FileStorageError: The storage cannot be used. Nothing is stored.
        """
        place, name = _place_of(attachment), new_name()
        check = ContentCheck(attachment.mime_type, self._max_file_bytes)
        await self.files.write(place, name, check.checked(content))
        return await self._completed(attachment, place, name, check.size)

    async def store_incoming(self, attachment: Attachment) -> Attachment | None:
        """Check a file that a browser has uploaded to the bucket.

        Returns:
            The completed attachment, for the row; None if there is no file.

        Raises:
            UnfitFileError: The file is too large or of another type.
            FileStorageError: The bucket cannot be used.
        """
        place, name = _place_of(attachment), new_name()
        # Checks a copy, which the browser's URL cannot overwrite. The original is kept
        # until the row names the copy, so that an interrupted attempt can be repeated.
        try:
            await self.files.copy(place, INCOMING, name)
        except FileNotFoundError:
            return None
        stored = await self.files.open(place, name)
        check = ContentCheck(attachment.mime_type, self._max_file_bytes)
        async for _ in check.checked(stored.chunks):
            pass
        return await self._completed(attachment, place, name, check.size)

    async def delete_incoming(self, attachment: Attachment) -> None:
        """Delete the browser's upload, once the row names the checked copy."""
        await self.files.delete(_place_of(attachment), INCOMING)

    async def delete_stored(self, attachment: Attachment) -> None:
        """Delete the file that `store_file` stored, if its row was not updated."""
        place, name = _place_of(attachment), _file_of(attachment)
        await self.files.delete(place, name)
        await self.files.delete(place, _preview_of(name))

    def signed(self, attachment: Attachment, owner: str) -> Attachment:
        """Return a copy with newly signed URLs."""
        update: dict[str, Any] = {}
        if (
            isinstance(attachment, ImageAttachment)
            and attachment.preview_url == _UNSIGNED
        ):
            url = self.urls.make("preview", owner, attachment.id)
            update["preview_url"] = AnyUrl(url)
        descriptor = attachment.upload_descriptor
        if (
            descriptor is not None
            and descriptor.url == _UNSIGNED
            and descriptor.method == "POST"  # the URL of a PUT is issued only once
        ):
            url = self.urls.make("upload", owner, attachment.id)
            fresh = descriptor.model_copy(update={"url": AnyUrl(url)})
            update["upload_descriptor"] = fresh
        return attachment.model_copy(update=update)

    def unsigned(self, attachment: Attachment) -> Attachment:
        """Return a copy without signed URLs, which would expire in the row."""
        update: dict[str, Any] = {}
        if isinstance(attachment, ImageAttachment) and self._is_ours(
            attachment.preview_url
        ):
            update["preview_url"] = _UNSIGNED
        descriptor = attachment.upload_descriptor
        if descriptor is not None and (
            descriptor.method == "PUT" or self._is_ours(descriptor.url)
        ):
            update["upload_descriptor"] = AttachmentUploadDescriptor(
                url=_UNSIGNED, method=descriptor.method
            )
        return attachment.model_copy(update=update)

    def _is_ours(self, url: AnyUrl) -> bool:
        return str(url).startswith(f"{self.urls.base}/")

    async def _completed(
        self, attachment: Attachment, place: str, name: str, size: int
    ) -> Attachment:
        if attachment.mime_type in IMAGE_TYPES and size <= MAX_BYTES:
            try:
                await self._add_preview(place, name)
            except FileStorageError as error:
                logger.warning("A preview could not be stored: %s", error)
        metadata = {**(attachment.metadata or {}), "file": name}
        return attachment.model_copy(
            update={"upload_descriptor": None, "metadata": metadata}
        )

    async def _add_preview(self, place: str, name: str) -> None:
        if preview := await make_preview(lambda: self.files.read_now(place, name)):
            await self.files.write(place, _preview_of(name), _once(preview))


def _place_of(attachment: Attachment) -> str:
    place = (attachment.metadata or {}).get("place")
    if not is_place(place):
        raise FileNotFoundError("This attachment has no file")
    return str(place)


def _file_of(attachment: Attachment) -> str:
    name = (attachment.metadata or {}).get("file")
    if not isinstance(name, str):
        raise FileNotFoundError("This attachment has no file")
    return name


def _preview_of(name: str) -> str:
    return f"{name}.preview"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
