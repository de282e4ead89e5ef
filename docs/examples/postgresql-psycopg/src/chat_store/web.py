"""Serves ChatKit's requests in a FastAPI or Starlette application; see README.md."""

import logging
import traceback
from collections.abc import AsyncIterator

from chatkit.server import ChatKitServer, StreamingResult
from chatkit.store import NotFoundError
from chatkit.types import ErrorEvent
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .context import RequestContext, owner_id
from .errors import OwnerError
from .keys import show

_logger = logging.getLogger(__name__)


async def read_body(request: Request, max_bytes: int = 2 * 2**20) -> bytes:
    """Read a request's body; a proxy may have a lower limit.

    Raises:
        HTTPException: 413, the body exceeds `max_bytes`.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"The request body exceeds {max_bytes:,} bytes")
    return bytes(body)


async def respond(
    server: ChatKitServer[RequestContext], body: bytes, context: RequestContext
) -> Response:
    """Have the server process a request.

    Args:
        server: The application's ChatKit server.
        body: The request's body.
        context: The request's context.

    Returns:
        JSON, or a stream of events.

    Raises:
        HTTPException: 401 if the context names no owner, 404 if a thread or an item
            does not exist, 422 if the request is invalid; the log then names the line
            of code that rejected it.
    """
    try:
        owner_id(context)  # not every request reaches the Store, which checks this
        result = await server.process(body, context)
        if not isinstance(result, StreamingResult):
            return Response(result.json, media_type="application/json")
        # The status precedes the stream, so an error that comes with the first event,
        # such as "not found", must be raised first.
        events = aiter(result)
        first = await anext(events, b"")
    except (NotFoundError, ValueError) as error:
        raise _refusal(error) from None

    async def stream() -> AsyncIterator[bytes]:
        yield first
        try:
            async for event in events:
                yield event
        except (HTTPException, NotFoundError, ValueError) as error:
            # The status is already sent: this becomes an event, like ChatKit's errors.
            event = ErrorEvent(message=_refusal(error).detail)
            yield f"data: {event.model_dump_json()}\n\n".encode()

    return StreamingResponse(stream(), media_type="text/event-stream")


def _refusal(error: Exception) -> HTTPException:
    match error:
        case HTTPException():
            return error
        case OwnerError():
            return HTTPException(401, str(error))
        case NotFoundError():
            return HTTPException(404, str(error))
        case _:  # an error of the client or the application
            return HTTPException(422, _explain(error))


def _explain(error: Exception) -> str:
    # The error's own text may quote what users wrote.
    frames = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [place for place in frames if "pydantic" not in place]
    # A hostile client must not fill the log with invalid requests.
    level = logging.INFO if isinstance(error, ValidationError) else logging.WARNING
    what = f"{type(error).__name__} at {(own or frames)[-1]}"
    _logger.log(level, "Rejected a request: %s", what)
    if not isinstance(error, ValidationError):
        return "The request cannot be served"
    wrong = [
        f"{one['type']} at {'.'.join(map(str, one['loc'])) or 'the request'}"
        for one in error.errors()
    ]
    return f"Invalid request: {show(', '.join(wrong))}"
