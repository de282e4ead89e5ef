# Extra "attachments", rendered for the answer store_attachments. Changing the answer to false
# deletes this directory, with your edits.
"""What files may be: their names, their types, and whether the content fits the type."""

import re
from collections.abc import AsyncIterator
from pathlib import PurePath

from starlette.exceptions import HTTPException

IMAGE_TYPES = ("image/gif", "image/jpeg", "image/png", "image/webp")
"""Images that every browser shows and that hold no script, as SVG does."""

ALLOWED_TYPES = (
    *IMAGE_TYPES,
    "application/json",
    "application/pdf",
    "text/csv",
    "text/markdown",
    "text/plain",
)
"""What people may attach unless you say otherwise."""

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
    """A file that is not accepted.

    Its status is 409 not uploaded, 413 too large, 415 of the wrong type, 429 too many.

    As an HTTPException it reaches the client, from the routes and from the server.
    """


class ContentCheck:
    """Checks the content of a file while it streams.

    Args:
        mime_type: What the file is said to be.
        max_bytes: How large it may be.

    Attributes:
        size: How many bytes have come.
    """

    def __init__(self, mime_type: str, max_bytes: int) -> None:
        self._mime_type = mime_type
        self._max_bytes = max_bytes
        self.size = 0
        self._head = b""

    async def checked(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass the content on, as far as it is in order.

        Raises:
            UnfitFileError: It is too large, or of another type.
        """
        async for chunk in content:
            self.size += len(chunk)
            if self.size > self._max_bytes:
                raise UnfitFileError(413, f"A file may have {self._max_bytes:,} bytes")
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
        else:  # many formats are archives, such as those of Word and LibreOffice
            known = [mime_type for mime_type in found if mime_type == "application/zip"]
        if found != known:
            raise self._wrong_type()

    def _wrong_type(self) -> UnfitFileError:
        return UnfitFileError(415, f"The file is not {self._mime_type}")


def is_text(mime_type: str) -> bool:
    """Tell whether a type is text."""
    return mime_type.startswith("text/") or mime_type == "application/json"


def clean_name(name: str) -> str:
    """Return a file's name without directories and what cannot be seen.

    Returns:
        At most 200 characters; "file" where nothing is left.
    """
    name = re.split(r"[/\\]", name)[-1]
    # Control characters, and marks that turn the direction of what follows.
    name = "".join(part for part in name if part.isprintable()).strip(" .")
    if len(name) > _MAX_NAME:
        stem, dot, suffix = name.rpartition(".")
        end = dot + suffix if stem and len(suffix) <= 20 else ""
        name = name[: _MAX_NAME - len(end)] + end
    return name or "file"


def clean_type(mime_type: str, name: str = "") -> str:
    """Return the type of a file, without parameters and in lower case.

    Of text, browsers may send the type of a program that opens it, or none: then the
    file's name decides.
    """
    mime_type = mime_type.partition(";")[0].strip().lower()
    if mime_type in _VAGUE_TYPES:
        return _SUFFIXES.get(PurePath(name).suffix.lower(), mime_type)
    return "image/jpeg" if mime_type == "image/jpg" else mime_type
