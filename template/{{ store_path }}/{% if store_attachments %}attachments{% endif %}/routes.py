# Extra "attachments": store_attachments=false deletes it, including your edits.
"""The routes for uploading and downloading files, for FastAPI and Starlette.

    app.mount("/files", file_routes(store))

They require no authentication: each URL is signed, for one owner and one purpose.
"""

import logging
from collections.abc import Callable
from urllib.parse import quote

import anyio
from chatkit.store import NotFoundError
from chatkit.types import Attachment
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ..context import RequestContext, owner_id
from .files import FileStorageError, StoredFile
from .form import FormFile, read_file
from .store import AttachmentChatStore
from .urls import Action, UrlError

logger = logging.getLogger(__name__)

_ATTACHMENT: TypeAdapter[Attachment] = TypeAdapter(Attachment)

# Prevent browsers from running the content of a file.
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def file_routes(
    store: AttachmentChatStore | Callable[[], AttachmentChatStore],
    make_context: Callable[[str], RequestContext] | None = None,
) -> Starlette:
    """Return an application to mount at the path of `public_url`.

    Args:
        store: The open Store, or a function that returns it.
        make_context: Returns the context of an owner. Only the upload strategy "direct"
            needs it, to generate ids.

    Returns:
        An application with the routes upload, direct, preview and download.
    """
    routes = _Routes(store if callable(store) else lambda: store, make_context)
    return Starlette(
        routes=[
            Route("/upload/{token}", routes.upload, methods=["POST"]),
            Route("/direct/{token}", routes.direct, methods=["POST"]),
            Route("/preview/{token}", routes.preview),
            Route("/download/{token}", routes.download),
        ],
        # Any origin is allowed: access depends on the signed URL, not on a cookie.
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
            )
        ],
        exception_handlers={
            UrlError: _answer(403),
            NotFoundError: _answer(404),
            FileNotFoundError: _answer(404),
            FileStorageError: _answer_503,
            ClientDisconnect: _answer(400),
        },
    )


class _Routes:
    def __init__(
        self,
        store: Callable[[], AttachmentChatStore],
        make_context: Callable[[str], RequestContext] | None,
    ) -> None:
        self._store = store
        self._make_context = make_context

    async def upload(self, request: Request) -> Response:
        """Receive the file of an attachment that `create_attachment` returned."""
        store, owner, attachment, payload = await self._find("upload", request)
        if attachment.upload_descriptor is None:
            raise HTTPException(409, "This file was already uploaded")
        file = await read_file(request)
        return await self._take(store, attachment, owner, payload, file)

    async def direct(self, request: Request) -> Response:
        """Receive a file, and create its attachment from the form."""
        store = self._store()
        [owner] = store.attachments.urls.read("direct", request.path_params["token"])
        if self._make_context is None:
            raise HTTPException(404, "This server does not accept direct uploads")
        context = self._make_context(owner)
        if owner_id(context) != owner:
            raise RuntimeError("make_context returned the context of another owner")
        file = await read_file(request)
        attachments = store.attachments
        new_id = attachments.generate_attachment_id(file.mime_type, context)
        new = attachments.describe(new_id, file.name, file.mime_type)
        await store.save_attachment(new, context)
        attachment, payload = await store.load_row(owner, new_id)
        try:
            return await self._take(store, attachment, owner, payload, file)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await store.delete_attachment(new_id, context)
            raise

    async def preview(self, request: Request) -> Response:
        """Send the preview of an image."""
        store, _, attachment, _ = await self._find("preview", request)
        stored, mime_type = await store.attachments.open_preview(attachment)
        headers = {"Cache-Control": "private, max-age=600"}
        return _send(stored, mime_type, headers)

    async def download(self, request: Request) -> Response:
        """Send a file as a download."""
        store, _, attachment, _ = await self._find("download", request)
        stored = await store.attachments.open(attachment)
        name = quote(attachment.name, safe="")
        headers = {
            "Cache-Control": "private, no-store",
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        }
        return _send(stored, attachment.mime_type, headers)

    async def _find(
        self, action: Action, request: Request
    ) -> tuple[AttachmentChatStore, str, Attachment, str]:
        # Returns the Store, and the owner, attachment and payload that the URL is for.
        store = self._store()
        token = request.path_params["token"]
        owner, attachment_id = store.attachments.urls.read(action, token)
        return store, owner, *await store.load_row(owner, attachment_id)

    async def _take(
        self,
        store: AttachmentChatStore,
        attachment: Attachment,
        owner: str,
        payload: str,
        file: FormFile,
    ) -> Response:
        stored = await store.attachments.store_file(attachment, file.content)
        if not await store.mark_uploaded(owner, stored, payload):
            raise HTTPException(409, "This file was already uploaded, or was deleted")
        signed = store.attachments.signed(stored, owner)
        content = _ATTACHMENT.dump_json(signed, context={"exclude_metadata": True})
        return Response(content, media_type="application/json")


def _send(stored: StoredFile, mime_type: str, headers: dict[str, str]) -> Response:
    length = {"Content-Length": str(stored.size)}
    return StreamingResponse(
        stored.chunks,
        headers={**_SAFE_HEADERS, **length, **headers},
        media_type=mime_type,
    )


def _answer(status: int) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), status)

    return answer


def _answer_503(request: Request, error: Exception) -> Response:
    logger.error("%s", error)
    return PlainTextResponse("The file storage is unavailable. Try again.", 503)
