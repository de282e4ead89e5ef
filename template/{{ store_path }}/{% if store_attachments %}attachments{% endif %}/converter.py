# Extra "attachments": store_attachments=false deletes it, including your edits.
"""Converts attachments to model input: images, PDFs and text.

    converter = AttachmentConverter(store.attachments)
    input_items = await converter.to_agent_input(items.data)

It needs no request context, since only the owner can load the items.
"""

import base64

from chatkit.agents import ThreadItemConverter
from chatkit.types import Attachment
from openai.types.responses import (
    ResponseInputContentParam,
    ResponseInputFileParam,
    ResponseInputImageParam,
    ResponseInputTextParam,
)

from .attachments import ChatAttachments
from .content import IMAGE_TYPES, is_text


class AttachmentConverter(ThreadItemConverter):
    """A ThreadItemConverter for threads with attachments.

    Args:
        attachments: The files.
        max_file_bytes: The maximum size of an image or PDF that the model receives.
        max_text_bytes: The size at which text is truncated.
    """

    def __init__(
        self,
        attachments: ChatAttachments,
        *,
        max_file_bytes: int = 10 * 2**20,
        max_text_bytes: int = 200_000,
    ) -> None:
        self._attachments = attachments
        self._max_file_bytes = max_file_bytes
        self._max_text_bytes = max_text_bytes

    async def attachment_to_message_content(
        self, attachment: Attachment
    ) -> ResponseInputContentParam:
        """Convert an attachment to a part of the model's input.

        Returns:
            The image, PDF or text; or a note to the model that the file was deleted, is
            too large, or has an unsupported type.

        Raises:
            FileStorageError: The storage cannot be used.
        """
        name, mime_type = attachment.name, attachment.mime_type
        can_read_text = is_text(mime_type)
        if not can_read_text and mime_type not in (*IMAGE_TYPES, "application/pdf"):
            return _note(
                f"The attached file {name!r} is {mime_type}, which you cannot read."
            )
        try:
            stored = await self._attachments.open(attachment)
        except FileNotFoundError:
            return _note(f"The attached file {name!r} is no longer there.")
        if not can_read_text and stored.size > self._max_file_bytes:
            return _note(f"The attached file {name!r} is too large for you to read.")
        content = bytearray()
        async for chunk in stored.chunks:
            content += chunk
            if can_read_text and len(content) > self._max_text_bytes:
                break
        if can_read_text:
            text = content[: self._max_text_bytes].decode("utf-8", "replace")
            what = "beginning" if len(content) > self._max_text_bytes else "whole"
            return _note(f"The {what} of the attached file {name!r}:\n\n{text}")
        url = f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
        if mime_type == "application/pdf":
            return ResponseInputFileParam(
                type="input_file", filename=name, file_data=url
            )
        return ResponseInputImageParam(type="input_image", detail="auto", image_url=url)


def _note(text: str) -> ResponseInputTextParam:
    return ResponseInputTextParam(type="input_text", text=text)
