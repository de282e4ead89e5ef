# Extra "attachments": store_attachments=false deletes it, including your edits.
"""Streams the file of a form (`multipart/form-data`) while it is received.

Starlette's `request.form()` would write it to a temporary file first.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

_MAX_BEFORE = 64 * 1024  # bytes before the file


@dataclass(frozen=True)
class FormFile:
    """A form's file: its declared name and type, and its content, readable once."""

    name: str
    mime_type: str
    content: AsyncIterator[bytes]


async def read_file(request: Request) -> FormFile:
    """Find the file in the form's field `file`.

    Raises:
        HTTPException: 422: it is not such a form. Reading the content also raises this,
            if the form is truncated.
        starlette.requests.ClientDisconnect: The client has disconnected.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise HTTPException(
            422, "Send a form: multipart/form-data with the field 'file'"
        )
    try:
        form = _Form(boundary)
    except FormParserError:
        raise HTTPException(422, "The form's boundary is not valid") from None
    body = request.stream()
    size = 0
    while form.file is None:
        chunk = await anext(body, b"")
        if not chunk or size > _MAX_BEFORE:
            raise HTTPException(422, "The form has no file in its field 'file'")
        form.feed(chunk)
        size += len(chunk)

    async def content() -> AsyncIterator[bytes]:
        while True:
            for part in form.take():
                yield part
            if form.is_complete:
                return
            chunk = await anext(body, b"")
            if not chunk:
                raise HTTPException(422, "The form ends before the file does")
            form.feed(chunk)

    headers = form.file
    _, named = parse_options_header(headers.get(b"content-disposition", b""))
    return FormFile(
        named.get(b"filename", b"").decode("utf-8", "replace"),
        headers.get(b"content-type", b"").decode("latin-1"),
        content(),
    )


class _Form:
    # Collects what the parser finds.

    def __init__(self, boundary: bytes) -> None:
        self.file: dict[bytes, bytes] | None = None
        self.is_complete = False
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._is_file = False
        self._content: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_name,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_content,
                "on_part_end": self._end_part,
            },
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise HTTPException(422, "The form is malformed") from None

    def take(self) -> list[bytes]:
        content, self._content = self._content, []
        return content

    def _begin_part(self) -> None:
        self._headers = {}

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        self._is_file = self.file is None and options.get(b"name") == b"file"
        if self._is_file:
            self.file = self._headers

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._content.append(data[start:end])

    def _end_part(self) -> None:
        self.is_complete = self.is_complete or self._is_file
        self._is_file = False
