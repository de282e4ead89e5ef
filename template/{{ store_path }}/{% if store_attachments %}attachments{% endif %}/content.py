# Extra "attachments": store_attachments=false deletes it, including your edits.
"""Validates the names, types and content of files."""

import re
from collections.abc import AsyncIterator
from pathlib import PurePath

from starlette.exceptions import HTTPException

IMAGE_TYPES = ("image/gif", "image/jpeg", "image/png", "image/webp")
"""Images that every browser shows. SVG is excluded because it can contain scripts."""

ALLOWED_TYPES = (
    *IMAGE_TYPES,
    "application/json",
    "application/pdf",
    "text/csv",
    "text/markdown",
    "text/plain",
)
"""The types that are accepted by default."""

_VAGUE_TYPES = ("", "application/octet-stream", "application/vnd.ms-excel")
_SUFFIXES = {".csv": "text/csv", ".md": "text/markdown", ".txt": "text/plain"}

_SIGNATURES = {
    "image/gif": rb"GIF8[79]a",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/webp": rb"RIFF....WEBP",
    "application/pdf": rb"%PDF-",
    "application/zip": rb"PK\x03\x04",
}
_HEAD = 16  # bytes, enough for each of the above

_MAX_NAME = 200  # characters


class UnfitFileError(HTTPException):
    """A file that is not accepted. Its status reaches the client.

    409: not uploaded; 413: too large, or too many in a message; 415: of the wrong type;
    429: too many in 24 hours.
    """


class ContentCheck:
    """Checks the content of a file while it streams.

    Args:
        mime_type: The declared type.
        max_bytes: The maximum size.

    Attributes:
        size: The number of bytes received.
    """

    def __init__(self, mime_type: str, max_bytes: int) -> None:
        self._mime_type = mime_type
        self._max_bytes = max_bytes
        self.size = 0
        self._head = b""

    async def checked(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the content as long as it is valid.

        Raises:
            UnfitFileError: It is too large, or of another type.
        """
        async for chunk in content:
            self.size += len(chunk)
            if self.size > self._max_bytes:
                raise UnfitFileError(413, f"File exceeds {self._max_bytes:,} bytes")
            if is_text(self._mime_type) and b"\0" in chunk:
                raise self._wrong_type()
            if len(self._head) < _HEAD:
                self._head += chunk[:_HEAD]
                if len(self._head) >= _HEAD:
                    self._check_head()
            yield chunk
        self._check_head()  # again, since a short file was not checked yet

    def _check_head(self) -> None:
        found = [
            mime_type
            for mime_type, signature in _SIGNATURES.items()
            if re.match(signature, self._head, re.DOTALL)
        ]
        if self._mime_type in _SIGNATURES or is_text(self._mime_type):
            known = [self._mime_type] if self._mime_type in _SIGNATURES else []
        else:  # ZIP archives: the formats of Word and LibreOffice, for example
            known = [mime_type for mime_type in found if mime_type == "application/zip"]
        if found != known:
            raise self._wrong_type()

    def _wrong_type(self) -> UnfitFileError:
        return UnfitFileError(415, f"The file is not {self._mime_type}")


def is_text(mime_type: str) -> bool:
    """Return whether a type is text."""
    return mime_type.startswith("text/") or mime_type == "application/json"


def clean_name(name: str) -> str:
    """Return a file's name without directories and invisible characters.

    Returns:
        At most 200 characters; "file" if none remain.
    """
    name = re.split(r"[/\\]", name)[-1]
    # Removes control characters and marks that change the direction of text.
    name = "".join(part for part in name if part.isprintable()).strip(" .")
    if len(name) > _MAX_NAME:
        stem, dot, suffix = name.rpartition(".")
        end = dot + suffix if stem and len(suffix) <= 20 else ""
        name = name[: _MAX_NAME - len(end)] + end
    return name or "file"


def clean_type(mime_type: str, name: str = "") -> str:
    """Return a media type in lower case, without parameters.

    For text files, browsers may send a generic type or none; then the suffix of the
    file's name decides.
    """
    mime_type = mime_type.partition(";")[0].strip().lower()
    if mime_type in _VAGUE_TYPES:
        return _SUFFIXES.get(PurePath(name).suffix.lower(), mime_type)
    return "image/jpeg" if mime_type == "image/jpg" else mime_type
